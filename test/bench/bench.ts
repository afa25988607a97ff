/*
 * npm run bench: what the gateway costs. An upstream, a bare relay, the gateway as it is shipped and a load generator, each a process of
 * its own on loopback. Absolute times depend on the machine and on who else works on it; what holds is the CPU time of the gateway for
 * one call (or one event of a stream) as a multiple of the relay's, measured in turns: relay, gateway, relay, gateway …
 * At the end, when all rows are asked for: how soon the gateway is ready, another gateway on Node, a thousand open streams, and two workers.
 *
 *   --runs N       pairs of runs per row (5)
 *   --only TEXT    only rows whose name holds this
 *   --quick        under 60 seconds: whole calls and streams, fewer runs, and limits that allow for a busy machine
 *   --profile DIR  the gateway's CPU profile is written there (which makes it slower: compare no numbers)
 */
import type { ChildProcess } from 'node:child_process'
import { readFileSync, truncateSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { keyHash } from '../../src/gateway/clients.ts'
import { children, FAILED } from './children.ts'
import { CPU_ARGS, cpuMicros, HAS_PROC } from './cpu.ts'
import type { Loaded, LoadMessage } from './load.ts'
import { PORTKEY, portkey } from './portkey.ts'
import { CHAT_PATH, CLIENT_KEY, DOWN_PATH, FAILOVER, type Load, OTHER_DIALECT, ROWS, type Row, SAME_DIALECT } from './rows.ts'
import { type Scaled, scalingSection } from './scaling.ts'
import { startSection } from './start.ts'
import { streamsSection } from './streams.ts'
import { limitLine, median, type Pair, perUnit, type Run, table } from './table.ts'

/** So much more than its limit a row may cost on a machine that others use, measured in a hurry. */
const QUICK_ALLOWANCE = 1.3
/** Pairs of runs beside the other gateway, and how many times its calls a second per core ours should be. */
const OTHER_RUNS = 3
const LEAST_TIMES = 8
const QUICK_RUNS = { call: 3, event: 1 } as const

const { values: options } = parseArgs({
  options: { runs: { type: 'string' }, only: { type: 'string' }, quick: { type: 'boolean' }, profile: { type: 'string' } },
})
const runsAsked = options.runs === undefined ? undefined : Number(options.runs)
if (runsAsked !== undefined && !(Number.isInteger(runsAsked) && runsAsked >= 1))
  usage(`--runs ${options.runs}: expected a whole number from 1`)
const rows = (options.quick ? ROWS.slice(0, 2) : ROWS).filter(({ name }) => name.includes(options.only ?? ''))
if (rows.length === 0)
  usage(`--only ${options.only}: there is no such row; there are ${ROWS.map(({ name }) => `"${name}"`).join(', ')}`)

function usage(text: string): never {
  process.stderr.write(`${text}\n`)
  process.exit(64)
}

const own = children()
let redisStarted: Promise<string | undefined> | undefined
const portOf = (child: ChildProcess) => own.heard(child, (message: { port?: number }) => message.port)

const upstream = `http://127.0.0.1:${await portOf(own.start('upstream', './upstream.ts', []))}`
const relay = own.start('relay', './relay.ts', [upstream], { execArgs: CPU_ARGS })
const relayPort = await portOf(relay)
const profiling = options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', resolve(options.profile)]
const gateway = await startGateway('gateway')
const limitedGateway = rows.some(({ limited }) => limited) ? await startLimited() : undefined
const generator = own.start('load generator', './load.ts', [])
await own.heard(generator, (message: LoadMessage) => ('ready' in message ? true : undefined))

interface StartedGateway {
  readonly child: ChildProcess
  readonly port: number
  readonly logFile: string
}

/** @param limits of the one client  @param more further sections */
async function startGateway(name: string, limits: object = {}, more: object = {}): Promise<StartedGateway> {
  const logFile = own.file(`${name}.log`, '')
  const configFile = own.file(`${name}.yaml`, gatewayConfig(limits, more))
  const child = own.start(name, '../../src/main.ts', ['serve', '--config', configFile], {
    execArgs: [...CPU_ARGS, ...profiling],
    output: logFile,
  })
  return { child, port: await listens(logFile), logFile }
}

/** With limits that no load of ours reaches, but that have to be asked for. Undefined where no Redis is to be had. */
async function startLimited(): Promise<StartedGateway | undefined> {
  const redis = await redisUrl()
  if (redis === undefined) return undefined
  const limits = { rpm: 1e9, tpm: 1e12, concurrency: 10_000, budget: { usd: 1e6, per: 'month' } }
  return startGateway('gateway-with-redis', limits, { state: { redis } })
}

/** Of a Redis of our own, started when it is asked for first. */
function redisUrl(): Promise<string | undefined> {
  redisStarted ??= import('../support/redis-server.ts').then(async ({ noRedis, startRedis }) =>
    noRedis ? undefined : (await startRedis()).url,
  )
  return redisStarted
}

/** As an operator would write it, for two providers and somebody to stand in; the upstream takes the traces, too. JSON is YAML. */
function gatewayConfig(limits: object, more: object): string {
  const models = { 'small-1': { context: 128_000, price: { input: 0.15, cached_input: 0.075, output: 0.6 } } }
  return JSON.stringify({
    server: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    providers: {
      primary: {
        type: 'openai',
        base_url: `${upstream}/v1`,
        keys: ['sk-primary-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL'],
        models,
      },
      foreign: {
        type: 'anthropic',
        base_url: upstream,
        keys: ['sk-foreign-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL'],
        models,
      },
      down: {
        type: 'openai',
        base_url: `${upstream}${DOWN_PATH}/v1`,
        keys: ['sk-down-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO'],
        models,
      },
      reserve: {
        type: 'openai-compatible',
        base_url: `${upstream}/v1`,
        keys: ['sk-reserve-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL'],
        models,
      },
    },
    routes: {
      [SAME_DIALECT]: { targets: ['primary/small-1'], fallbacks: ['reserve/small-1'] },
      [FAILOVER]: { targets: ['down/small-1'], fallbacks: ['primary/small-1'] },
      [OTHER_DIALECT]: { targets: ['foreign/small-1'], fallbacks: ['reserve/small-1'] },
    },
    clients: [{ name: 'bench', key_sha256: keyHash(CLIENT_KEY), ...limits }],
    telemetry: { log: { level: 'info' }, traces: { endpoint: upstream, sample: 0.05 } },
    ...more,
  })
}

/** It takes a free port and says which one in its log, like everything else that it says. */
async function listens(logFile: string): Promise<number> {
  for (let tries = 0; tries < 400; tries++) {
    const ready = readFileSync(logFile, 'utf8')
      .split('\n')
      .find(line => line.includes('"msg":"ready"'))
    if (ready !== undefined) return Number(new URL((JSON.parse(ready) as { listen: string }).listen).port)
    await pause(50)
  }
  throw new Error('the gateway did not say that it is ready')
}

/** Who is measured. */
interface Side {
  readonly child: ChildProcess
  readonly port: number
  readonly pathOf: (row: Row) => string
  readonly headers?: readonly string[]
  /** Where it writes a line per call, thousands a second. */
  readonly logFile?: string
}

const ofGateway = (started: StartedGateway): Side => ({ ...started, pathOf: () => CHAT_PATH })
const RELAY: Side = { child: relay, port: relayPort, pathOf: row => row.relayPath }
const GATEWAY = ofGateway(gateway)
const LIMITED = limitedGateway && ofGateway(limitedGateway)

async function measure(side: Side, row: Row, leadInMs: number, windowMs: number): Promise<Run> {
  const { child, port, pathOf, headers = [], logFile } = side
  // The disk need not keep them.
  if (logFile !== undefined) truncateSync(logFile)
  const { body, connections, stream, perSecond } = row
  const at = { port, path: pathOf(row), headers }
  const load: Load = { ...at, body, connections, stream, perSecond, leadInMs, windowMs }
  const began = own.heard(generator, (message: LoadMessage) => ('began' in message ? true : undefined))
  const ended = own.heard(generator, (message: LoadMessage): Loaded | undefined =>
    'loaded' in message ? message.loaded : undefined,
  )
  generator.send(load)
  await began
  const before = await cpuMicros(child)
  const loaded = await ended
  const spent = (await cpuMicros(child)) - before
  return { ...loaded, cpuMicros: spent / perUnit(row.per, loaded) }
}

async function pairsOf(row: Row): Promise<readonly Pair[]> {
  const { warmUpMs, leadInMs, windowMs } = row
  const runs = runsAsked ?? (options.quick ? QUICK_RUNS[row.per] : 5)
  // As fast as they can: what is compiled is compiled before the measuring begins.
  const gateway = row.limited ? LIMITED! : GATEWAY
  for (const side of [RELAY, gateway]) await measure(side, { ...row, perSecond: undefined }, leadInMs, warmUpMs)
  const pairs: Pair[] = []
  for (let run = 1; run <= runs; run++) {
    progress(`${row.name}: ${run} of ${runs}`)
    const ofRelay = await measure(RELAY, row, leadInMs, windowMs)
    pairs.push({ relay: ofRelay, gateway: await measure(gateway, row, leadInMs, windowMs) })
  }
  progress('')
  return pairs
}

/** One line that is written over, for those who watch. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

async function main(): Promise<number> {
  const results = new Map<Row, readonly Pair[]>()
  const isSkipped = ({ limited }: Row) => limited && limitedGateway === undefined
  for (const row of rows) if (!isSkipped(row)) results.set(row, await pairsOf(row))
  if (options.profile !== undefined) for (const one of [gateway, limitedGateway]) if (one !== undefined) await own.stop(one.child)

  const load = loadavg()[0]!.toFixed(1)
  process.stdout.write(
    `Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown CPU'}, load ${load}\n\n`,
  )
  process.stdout.write(table(results))
  for (const { name } of rows.filter(isSkipped)) process.stdout.write(`skipped: "${name}": there is no Redis to be had here\n`)
  process.stdout.write(
    '\nµs: CPU time of the process, user and system, all threads. ms: from call to answer, for streams to the first event. Medians.\n',
  )

  if (!options.quick && options.only === undefined) {
    process.stdout.write(`\n${await startSection(own)}`)
    process.stdout.write(`\n${await otherSection()}`)
    process.stdout.write(`\n${await streamsSection(own)}`)
    process.stdout.write(`\n${await workersSection()}`)
  }
  if (options.profile !== undefined) return 0
  const limits = [...results].map(([row, pairs]) => limitLine(row, pairs, options.quick ? QUICK_ALLOWANCE : 1))
  process.stdout.write(`\n${limits.map(({ text }) => `${text}\n`).join('')}`)
  return limits.some(({ isOver }) => isOver) ? 1 : 0
}

/** The first row once more, beside another gateway; as many calls as they can. */
async function otherSection(): Promise<string> {
  const other = await portkey(own, upstream)
  if (typeof other === 'string') return `${PORTKEY}: left out, ${other}\n`
  const row = { ...ROWS[0]!, perSecond: undefined }
  const { child, port, headers, nodeVersion } = other
  const side: Side = { child, port, headers, pathOf: () => CHAT_PATH }
  const { warmUpMs, leadInMs, windowMs } = row
  await measure(side, row, leadInMs, warmUpMs)
  const theirs: number[] = []
  const ours: number[] = []
  for (let run = 0; run < OTHER_RUNS; run++) {
    theirs.push(1e6 / (await measure(side, row, leadInMs, windowMs)).cpuMicros)
    ours.push(1e6 / (await measure(GATEWAY, row, leadInMs, windowMs)).cpuMicros)
  }
  await own.stop(child)
  const times = median(ours.map((rate, run) => rate / theirs[run]!))
  return [
    `${row.name}, calls a second per core`,
    `  understudy        ${median(ours).toFixed(0)}`,
    `  ${PORTKEY}    ${median(theirs).toFixed(0)} (Node ${nodeVersion}): ours are ${times.toFixed(1)} times as many; ${LEAST_TIMES} are wanted`,
    '',
  ].join('\n')
}

/** The first row, as fast as it goes, on a gateway of its own with so many workers, which share their state. */
async function startScaled(workers: number, redis: string): Promise<Scaled> {
  const more = { server: { listen: '127.0.0.1:0', workers }, state: { redis } }
  const started = await startGateway(`gateway-${workers}`, {}, more)
  const { warmUpMs, leadInMs } = ROWS[0]!
  return {
    child: started.child,
    window: () => measure(ofGateway(started), { ...ROWS[0]!, perSecond: undefined }, leadInMs, warmUpMs / 2),
    stop: () => own.stop(started.child),
  }
}

async function workersSection(): Promise<string> {
  const redis = HAS_PROC ? await redisUrl() : undefined
  if (redis === undefined)
    return 'by workers: left out, since the kernel does not tell CPU times here, or there is no Redis to be had\n'
  return scalingSection(workers => startScaled(workers, redis))
}

main().then(
  code => process.exit(code),
  (error: Error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`)
    process.exit(FAILED)
  },
)
