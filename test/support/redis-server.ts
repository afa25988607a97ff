/*
 * Redis for tests: a real one, on a port of its own, that a test may kill, freeze and fill. The program is the one on the path
 * (`redis-server`, `valkey-server` or both); where there is none it is installed with apt-get, as root on Debian, or run by Docker. Where
 * none can be had the suites are skipped and say why, and with CI=true they fail.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { had, onPath } from './debian.ts'
import { freePort } from './free-port.ts'

const execute = promisify(execFile)

interface Program {
  readonly name: string
  readonly image?: string
}

export interface RedisServer {
  readonly port: number
  /** redis://127.0.0.1:port */
  readonly url: string
  /** Runs one command over a connection of its own. */
  command(name: string, ...args: (string | number)[]): Promise<any>
  /** SIGKILL, SIGSTOP, SIGCONT … */
  signal(signal: NodeJS.Signals): Promise<void>
  /** Kills it, and waits until it is gone. */
  kill(): Promise<void>
  /** Starts it again on the same port; empty, unless its `args` had it write to its folder. */
  start(): Promise<void>
  /** Kills it and removes what it has written. */
  stop(): Promise<void>
}

const NAMES = ['redis-server', 'valkey-server']
const IMAGE = 'redis:8-alpine'

async function findPrograms(): Promise<readonly Program[]> {
  const found = () => NAMES.filter(onPath).map(name => ({ name }))
  if (found().length === 0) await had(['redis-server'], 'redis-server')
  if (found().length > 0) return found()
  const docker = onPath('docker') && (await execute('docker', ['info'], { timeout: 10_000 }).then(yes, no))
  return docker ? [{ name: 'docker', image: IMAGE }] : []
}

const yes = () => true
const no = () => false

export const redisPrograms = await findPrograms()
/** For a test's `skip`: why there is no Redis, or false. */
export const noRedis = redisPrograms.length === 0 ? 'no redis-server, valkey-server or Docker is to be had here' : false
if (noRedis && process.env.CI === 'true') throw new Error(`Redis is needed: ${noRedis}`)

/** However the process ends, none of them outlives it. */
const alive = new Set<() => void>()
process.on('exit', () => {
  for (const end of alive) end()
})

/**
 * @param args more of the command line, such as ['--requirepass', 'x']
 * @param sentinel the configuration of a sentinel, when it is to be one
 */
export async function startRedis(
  args: readonly string[] = [],
  program = redisPrograms[0]!,
  sentinel?: string,
): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-redis-'))
  const port = await freePort()
  const name = `understudy-redis-${port}`
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
  const file = join(folder, 'sentinel.conf')
  if (sentinel !== undefined) await writeFile(file, sentinel)
  const commandLine =
    sentinel === undefined ? [...settings, '--save', '', '--appendonly', 'no', ...args] : [file, ...settings, '--sentinel']
  let ended: Promise<unknown> = Promise.resolve()
  let child: ReturnType<typeof spawn> | undefined

  async function start(): Promise<void> {
    let said = ''
    child =
      program.image === undefined
        ? spawn(program.name, commandLine, { stdio: ['ignore', 'pipe', 'pipe'] })
        : spawn('docker', [
            'run',
            '--rm',
            '--network',
            'host',
            '--name',
            name,
            '-v',
            `${folder}:${folder}`,
            program.image,
            'redis-server',
            ...commandLine,
          ])
    child.stdout!.on('data', chunk => (said += chunk))
    child.stderr!.on('data', chunk => (said += chunk))
    let over = false
    const started = child
    const end = () => void started.kill('SIGKILL')
    alive.add(end)
    ended = new Promise<void>(resolve => started.once('close', () => resolve())).then(() => {
      over = true
      alive.delete(end)
    })
    for (;;) {
      if (over) throw new Error(`${program.name} did not start: ${said}`)
      if (/Ready to accept connections|Sentinel ID is/.test(said)) return
      await sleep(10)
    }
  }

  async function signal(which: NodeJS.Signals): Promise<void> {
    if (program.image === undefined) child!.kill(which)
    else await execute('docker', ['kill', '--signal', which, name]).catch(() => undefined)
  }

  async function kill(): Promise<void> {
    await signal('SIGKILL')
    await ended
  }

  await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    async command(name, ...rest) {
      const password = args[args.indexOf('--requirepass') + 1]
      const client = new Redis({
        port,
        host: '127.0.0.1',
        retryStrategy: () => null,
        ...(args.includes('--requirepass') && { password: password! }),
      })
      client.on('error', () => undefined)
      try {
        return await client.call(name, ...rest)
      } finally {
        client.disconnect()
      }
    },
    signal,
    kill,
    start,
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
