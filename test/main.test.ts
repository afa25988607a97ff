/* The commands, as processes of their own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from './support/running.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Started {
  readonly child: ChildProcess
  out(): string
  readonly ended: Promise<Ran>
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd = ROOT): Started {
  const main = join(ROOT, 'src/main.ts')
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.on('data', chunk => (out += chunk))
  child.stderr.on('data', chunk => (err += chunk))
  const ended = new Promise<Ran>(resolve => child.once('close', code => resolve({ code, out, err })))
  return { child, out: () => out, ended }
}

const run = (...args: Parameters<typeof start>) => start(...args).ended

const ANY_PORTS = { UNDERSTUDY_LISTEN: '127.0.0.1:0', UNDERSTUDY_ADMIN_LISTEN: '127.0.0.1:0' }

describe('the commands', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'understudy-test-'))
  })
  after(() => rm(folder, { recursive: true }))
  const file = async (name: string, text: string) => {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }

  it('serve without a file runs the demo within 5 seconds, its two commands work, and Ctrl-C stops it cleanly', async () => {
    const startedAt = performance.now()
    const demo = start(['serve'], ANY_PORTS, folder)
    try {
      await until('it listens', () => demo.out().includes('A stream:') && demo.out().includes('One log line'), 5_000)
      assert.ok(performance.now() - startedAt < 5_000)
      const commands = demo.out().match(/ {2}curl [\s\S]*?'\n/g)!
      assert.equal(commands.length, 2)
      for (const [at, command] of commands.entries()) {
        const shell = spawn('sh', ['-c', command.replace('curl', 'curl -s')])
        let answer = ''
        shell.stdout.on('data', chunk => (answer += chunk))
        await new Promise(resolve => shell.once('close', resolve))
        if (at === 0) {
          assert.match(answer, /^HTTP\/1\.1 200 OK/)
          assert.match(answer, /x-understudy-trail: /)
          assert.match(answer, /"object": ?"chat\.completion"/)
        } else assert.match(answer, /^data: [\s\S]*data: \[DONE\]\n\n$/)
      }
      const health = /metrics on (\S+)\/metrics/.exec(demo.out())![1]
      assert.match(await (await fetch(`${health}/metrics`)).text(), /llm_requests_total\{route="demo"/)
    } finally {
      demo.child.kill('SIGINT')
    }
    const { code, err } = await demo.ended
    assert.deepEqual({ code, err }, { code: 0, err: '' })
  })

  it('serve takes ./understudy.yaml where there is one', async () => {
    const own = await mkdtemp(join(folder, 'own-'))
    const text =
      'server: {listen: "127.0.0.1:0"}\nadmin: {listen: "127.0.0.1:0"}\nproviders: {local: {type: vllm, base_url: "http://127.0.0.1:9/v1"}}\nroutes: {mine: [local/m]}\n'
    await writeFile(join(own, 'understudy.yaml'), text)
    const gateway = start(['serve'], {}, own)
    await until('it is ready', () => gateway.out().includes('"ready"'))
    const ready = JSON.parse(gateway.out().split('\n')[0]!)
    const models = (await (await fetch(`${ready.listen}/v1/models`)).json()) as { data: { id: string }[] }
    assert.deepEqual(
      models.data.map(({ id }) => id),
      ['mine'],
    )
    gateway.child.kill('SIGTERM')
    assert.equal((await gateway.ended).code, 0)
  })

  it('keeps what Node makes of the source beside it, and begins with what it has kept', async () => {
    const env = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
    await run(['--version'], env)
    const { err } = await run(['--version'], env)
    assert.match(err, /resolved path \S+\/node_modules\/\.cache\/understudy /)
    assert.match(err, /cache for ESM \S+\/src\/cli\.ts was accepted/)
  })

  it('a signal lets an open stream come to its end, refuses new calls meanwhile, and then stops', async () => {
    const path = await file(
      'drain.yaml',
      `server: {listen: "127.0.0.1:0", drain: 10s}
admin: {listen: "127.0.0.1:0"}
simulators: [{name: slow, token_delay: 60ms}]
providers: {slow: {type: openai, base_url: "simulator:slow/v1", keys: [a]}}
routes: {slow: [slow/m]}
`,
    )
    const gateway = start(['serve', '--config', path])
    await until('it is ready', () => gateway.out().includes('"ready"'))
    const { listen, admin } = JSON.parse(gateway.out().split('\n')[0]!)
    const call = (stream: boolean) =>
      fetch(`${listen}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'slow', messages: [{ role: 'user', content: 'x' }], stream }),
      })
    const open = await call(true)
    gateway.child.kill('SIGTERM')
    await until('it is not ready', async () => (await fetch(`${admin}/ready`)).status === 503)
    const refused = await call(false)
    assert.equal(refused.status, 503)
    assert.equal(refused.headers.get('x-should-retry'), 'true')
    await refused.text()
    assert.match(await open.text(), /\[DONE\]\n\n$/)
    assert.equal((await gateway.ended).code, 0)
  })

  describe('with a state file', () => {
    const config = (at: string, script = '[]') => `
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0", token: operator}
state: {file: ${JSON.stringify(join(folder, at))}}
simulators: [{name: s, script: ${script}}]
providers:
  s: {type: openai-compatible, base_url: "simulator:s/v1", spend_cap: {usd: 9, per: month}, models: {m: {price: {input: 100, output: 100}}}}
routes: {r: [s/m]}
clients: [{name: team, key: the-key-of-the-team, budget: {usd: 5, per: month}}]
`

    /** A gateway that listens, and what can be asked of it. */
    async function serving(path: string) {
      const gateway = start(['serve', '--config', path])
      await until('it is ready', () => gateway.out().includes('"ready"'), 10_000)
      const { listen, admin } = JSON.parse(gateway.out().split('\n')[0]!)
      const call = () =>
        fetch(`${listen}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: 'Bearer the-key-of-the-team' },
          body: JSON.stringify({ model: 'r', max_tokens: 100, messages: [{ role: 'user', content: 'x' }] }),
        })
      async function spent(): Promise<readonly number[]> {
        const report: any = await (await fetch(`${admin}/admin/spend`, { headers: { authorization: 'Bearer operator' } })).json()
        return [report.providers[0].usd, report.clients[0].usd]
      }
      return { ...gateway, call, spent }
    }

    it('budgets and spend survive a restart', async () => {
      const path = await file('restart.yaml', config('restart.db'))
      const first = await serving(path)
      for (let calls = 0; calls < 5; calls++) await (await first.call()).text()
      const spent = await first.spent()
      assert.ok(spent[0]! > 0 && spent[0] === spent[1])
      first.child.kill('SIGTERM')
      assert.equal((await first.ended).code, 0)
      const second = await serving(path)
      assert.deepEqual(await second.spent(), spent)
      second.child.kill('SIGTERM')
      await second.ended
    })

    it('a process that is killed loses what it settled in its last 200 ms at most, and what was reserved for calls under way is free', async () => {
      const path = await file('killed.yaml', config('killed.db', '[{calls: [4, 100], never_answer: true}]'))
      const first = await serving(path)
      for (let calls = 0; calls < 3; calls++) await (await first.call()).text()
      const spent = await first.spent()
      const underWay = first.call().catch(() => undefined)
      await until('it is reserved', async () => (await first.spent())[1]! > spent[1]!)
      // Longer than a batch waits: nothing that is promised is in memory alone.
      await new Promise(resolve => setTimeout(resolve, 400))
      first.child.kill('SIGKILL')
      await Promise.all([first.ended, underWay])
      const second = await serving(path)
      assert.deepEqual(await second.spent(), spent)
      second.child.kill('SIGKILL')
      await second.ended
    })

    it('serve says what is wrong with the file, and exits with 69', async () => {
      const first = await serving(await file('first.yaml', config('shared.db')))
      const taken = await run(['serve', '--config', join(folder, 'first.yaml')])
      assert.equal(taken.code, 69)
      assert.match(taken.err, /^state\.file: .*shared\.db: another process uses it/)
      first.child.kill('SIGTERM')
      await first.ended
      await file('broken.db', 'no database at all. '.repeat(1_000))
      const broken = await run(['serve', '--config', await file('broken.yaml', config('broken.db'))])
      assert.equal(broken.code, 69)
      assert.match(broken.err, /^state\.file: .*broken\.db: it is damaged or no database/)
    })
  })

  it('check and serve say everything that is wrong, with line and column, and exit with 78', async () => {
    const path = await file(
      'bad.yaml',
      'providers:\n  a: {type: opnai}\nroutes:\n  r: [b/x]\n  s: {targets: [a/x], dedline: 1s}\n',
    )
    for (const command of ['check', 'serve']) {
      const { code, err, out } = await run([command, '--config', path])
      assert.equal(code, 78)
      assert.equal(out, '')
      const lines = err.trim().split('\n')
      assert.ok(
        lines.some(line => line.startsWith(`${path}:2:13  providers.a.type  `) && line.includes('did you mean')),
        err,
      )
      assert.ok(
        lines.some(line => line.startsWith(`${path}:4:7  routes.r[0]`) || line.startsWith(`${path}:4:7  routes.r`)),
        err,
      )
      assert.ok(
        lines.some(line => line.startsWith(`${path}:5:23  routes.s.dedline  `) && line.includes('deadline')),
        err,
      )
    }
  })

  it('check tells what a good configuration does', async () => {
    const { code, out } = await run(['check', '--config', join(ROOT, 'config/demo.yaml')])
    assert.equal(code, 0)
    assert.match(out, /demo +weighted +shaky\/gpt-4o-mini/)
  })

  it('check tells what is legal and perhaps not meant, and still exits with 0', async () => {
    const path = await file(
      'unwise.yaml',
      'providers:\n  a: {type: vllm, base_url: "http://127.0.0.1:9/v1"}\nroutes:\n  r: [a/x]\n',
    )
    const { code, out, err } = await run(['check', '--config', path])
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /^Legal, and perhaps not meant:\n\n.*unwise\.yaml:4:6 {2}routes\.r {2}has one provider only/m)
    assert.doesNotMatch((await run(['check', '--config', join(ROOT, 'config/demo.yaml')])).out, /first_token of/)
  })

  it('drill prints what clients would have seen, needs no secret, and exits with 1 when calls were lost for no need', async () => {
    const config = (deadline: string) => `
admin: {listen: "0.0.0.0:9090"}
providers:
  a: {type: openai, keys: [env:NOT_SET], timeouts: {first_token: 5s}}
  b: {type: anthropic, keys: [env:NOT_SET]}
routes: {r: {targets: [a/m], fallbacks: [b/m], deadline: ${deadline}}}
`
    const well = await run(['drill', '--config', await file('well.yaml', config('1m'))])
    assert.deepEqual([well.code, well.err], [0, ''])
    assert.match(well.out, /^r +a down +20 +20 /m)
    assert.match(well.out, /^r +a \+ b down +20 +0 \(nobody else\)/m)
    const lost = await run(['drill', '--config', await file('lost.yaml', config('4s'))])
    assert.equal(lost.code, 1)
    assert.match(lost.out, /^r: \d+ of 20 calls were not answered while a silent/m)
    assert.equal((await run(['drill'])).code, 64)
  })

  it('serve says which address is taken, and exits with 69', async () => {
    const first = start(['serve'], ANY_PORTS, folder)
    await until('it listens', () => first.out().includes('Listening on'))
    const taken = /Listening on http:\/\/(\S+);/.exec(first.out())![1]!
    const { code, err } = await run(['serve'], { ...ANY_PORTS, UNDERSTUDY_LISTEN: taken }, folder)
    first.child.kill('SIGTERM')
    await first.ended
    assert.equal(code, 69)
    assert.match(err, /server\.listen: .*EADDRINUSE/)
  })

  it('keys new makes a key that its own lines let in', async () => {
    const { code, out } = await run(['keys', 'new', 'search-team'])
    assert.equal(code, 0)
    const key = /^ {2}(us-\S+)$/m.exec(out)![1]!
    const hash = /key_sha256: ([0-9a-f]{64})$/m.exec(out)![1]!
    const { keyHash } = await import('../src/gateway/clients.ts')
    assert.equal(keyHash(key), hash)
  })

  it('simulator runs a script over TCP', async () => {
    const script = await file('faults.yaml', '- {calls: [1, 1], status: 529}\n')
    const simulator = start(['simulator', '--speaks', 'anthropic', '--listen', '127.0.0.1:0', '--script', script])
    await until('it listens', () => simulator.out().includes('http://'))
    const url = /http:\/\/\S+/.exec(simulator.out())![0]
    const call = () =>
      fetch(`${url}/v1/messages`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'm', max_tokens: 50, messages: [{ role: 'user', content: 'x' }] }),
      })
    assert.equal((await call()).status, 529)
    assert.equal((await call()).status, 200)
    simulator.child.kill('SIGINT')
    assert.equal((await simulator.ended).code, 0)
  })

  it('simulator speaks every wire that it names', async () => {
    const simulator = start(['simulator', '--speaks', 'gemini', '--listen', '127.0.0.1:0'])
    await until('it listens', () => simulator.out().includes('http://'))
    assert.match(simulator.out(), /^gemini simulator on /)
    const url = /http:\/\/\S+/.exec(simulator.out())![0]
    const response = await fetch(`${url}/v1beta/models/m:generateContent`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'x' }] }] }),
    })
    assert.equal(((await response.json()) as { modelVersion: string }).modelVersion, 'm')
    simulator.child.kill('SIGTERM')
    assert.equal((await simulator.ended).code, 0)
    assert.match((await run(['simulator', '--speaks', 'latin'])).err, /openai, anthropic, gemini/)
  })

  it('refuses what it does not know, with its usage, and exits with 64', async () => {
    for (const args of [['fly'], ['serve', '--fast'], ['check'], ['keys'], ['simulator', '--speaks', 'latin']]) {
      const { code, err } = await run(args)
      assert.equal(code, 64, args.join(' '))
      assert.ok(err.length > 20)
    }
  })
})
