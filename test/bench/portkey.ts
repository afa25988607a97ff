/*
 * Another gateway on Node, measured in the same way in the same run. It is no dependency of ours: it is installed from the registry into
 * the bench's own folder, and runs on the Node of the system. Where it cannot be had, the section says so.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Children } from './children.ts'

const VERSION = '1.15.2'
export const PORTKEY = `Portkey ${VERSION}`
/** Installing takes seconds; a registry that does not answer must not hold up the bench. */
const INSTALL_MS = 120_000
const READY_TRIES = 200

export interface Portkey {
  readonly child: ChildProcess
  readonly port: number
  readonly nodeVersion: string
  /** What a call has to say of where it goes. */
  readonly headers: readonly string[]
}

/** @returns it, or why it cannot be measured */
export async function portkey(own: Children, upstream: string): Promise<Portkey | string> {
  const folder = join(dirname(own.file('portkey.txt', '')), 'portkey')
  mkdirSync(folder)
  const node = systemNode()
  if (node === undefined) return 'there is no other Node on the path'
  const install = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
  try {
    await promisify(execFile)('npm', [...install, `@portkey-ai/gateway@${VERSION}`], { timeout: INSTALL_MS })
  } catch (error) {
    return `it could not be installed: ${(error as Error).message.split('\n')[0]}`
  }
  const port = await freePort()
  const main = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js')
  // Its own word for a host that may be on this machine.
  const env = { ...process.env, NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: 'localhost,127.0.0.1' }
  const child = own.adopt(
    PORTKEY,
    spawn(node, [main, `--port=${port}`, '--headless'], { stdio: ['ignore', 'ignore', 'pipe'], env }),
  )
  for (let tries = 0; tries < READY_TRIES; tries++) {
    await pause(50)
    const answers = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
    if (!answers) continue
    const headers = ['x-portkey-provider: openai', `x-portkey-custom-host: ${upstream}/v1`]
    return { child, port, headers, nodeVersion: execFileSync(node, ['--version'], { encoding: 'utf8' }).trim() }
  }
  throw new Error(`${PORTKEY} did not listen`)
}

/** npm puts the Node of this package first on the path: the next one is the system's. */
function systemNode(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder.includes('node_modules')) continue
    const node = join(folder, 'node')
    try {
      execFileSync(node, ['--version'], { stdio: 'ignore' })
      return node
    } catch {
      // There is none here.
    }
  }
  return undefined
}

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
