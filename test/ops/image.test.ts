/* The image, as far as it can be made without an engine: the Dockerfile's steps in a clean folder, and the gateway that comes of it. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HELLO, until } from '../support/running.ts'
import { type Built, build, instructionsIn } from './dockerfile.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The Node that runs the tests stands in for the one of the image. */
const run = ([program, ...args]: readonly string[]): Promise<number> => {
  assert.equal(program, 'node')
  return new Promise(resolve => {
    execFile(process.execPath, args, error => resolve(error === null ? 0 : Number(error.code)))
  })
}

describe('the image', () => {
  let folder: string
  let built: Built
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'understudy-image-'))
    // What is in npm's cache already need not be fetched again.
    built = await build(ROOT, folder, { npm_config_prefer_offline: 'true' })
  })
  after(() => rm(folder, { recursive: true }))

  it('begins with images that have a tag, and runs as nobody of importance', async () => {
    const instructions = instructionsIn(await readFile(join(ROOT, 'Dockerfile'), 'utf8'))
    const bases = instructions.filter(({ name }) => name === 'FROM').map(({ rest }) => rest.split(' ')[0]!)
    for (const base of bases) assert.match(base, /^node:24(\.\d+)*-slim$/)
    const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))
    assert.deepEqual(
      last.filter(({ name }) => name === 'USER').map(({ rest }) => rest),
      ['node'],
    )
  })

  it('brings what Node has made of the source, for all to read and for nobody to change', async () => {
    const kept = join(built.root, built.workdir, 'node_modules/.cache/understudy')
    const files = await readdir(kept, { recursive: true, withFileTypes: true })
    assert.ok(files.filter(file => file.isFile()).length > 500)
    for (const file of files) {
      const { mode } = await stat(join(file.parentPath, file.name))
      assert.equal(mode & 0o044, 0o044, file.name)
      assert.equal(mode & 0o022, 0, file.name)
    }
  })

  it('serves the demo from its own files alone, tells that it is well, and ends cleanly', async () => {
    const { root, workdir, env, command, healthcheck } = built
    const [program, ...args] = command
    assert.equal(program, 'node')
    const child = spawn(process.execPath, args, {
      cwd: join(root, workdir),
      env: { ...env, UNDERSTUDY_LISTEN: '127.0.0.1:0', UNDERSTUDY_ADMIN_LISTEN: '127.0.0.1:0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.on('data', chunk => (out += chunk))
    child.stderr.on('data', chunk => (err += chunk))
    const ended = new Promise<number | null>(resolve => child.once('close', resolve))
    try {
      await until(`it listens: ${err}`, () => out.includes('One log line'), 20_000)
      const [, url, admin] = /Listening on (\S+); metrics on (\S+)\/metrics/.exec(out)!
      const isWell = healthcheck.map(word => word.replace('http://127.0.0.1:9090', admin!))
      assert.notDeepEqual(isWell, healthcheck)
      assert.equal(await run(isWell), 0)
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'demo', messages: HELLO }),
      })
      assert.equal(response.status, 200)
      await response.text()
      child.kill('SIGTERM')
      assert.equal(await ended, 0)
      assert.equal(await run(isWell), 1)
    } finally {
      child.kill('SIGKILL')
    }
  })
})
