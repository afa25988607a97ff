/*
 * node test/bench/overload.ts: what becomes of the gateway at four times what it can carry. First thousands of clients, each with its
 * connection, make some calls at a time, each in its turn: as many as are answered then is the peak. Then each makes its next call a short time after
 * the last was over, so that together they would make four times as many if all were answered; then half as many, to see how soon all is
 * well again. A client that was refused waits for as long as it is told, as SDKs do.
 *
 *   --bytes N          the size of a call (30,000)
 *   --clients N        (4,000)
 *   --at-once N        calls at a time at the peak (64)
 *   --latency MS       what the provider takes for an answer (0); more calls at once are the peak then
 *   --workers N        of the gateway (1), which share their state by a Redis on this machine; memory is told of one process, and so not then
 *   --insist           they do not wait after a refusal
 *   --new              their connections are made when the flood begins, but for those of the peak
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { gatewayProcess } from '../support/gateway-process.ts'
import { startRedis } from '../support/redis-server.ts'
import { children } from './children.ts'
import { cpuMicrosOfAll } from './cpu.ts'

const { values: options } = parseArgs({
  options: {
    bytes: { type: 'string' },
    clients: { type: 'string' },
    'at-once': { type: 'string', default: '64' },
    latency: { type: 'string', default: '0' },
    workers: { type: 'string', default: '1' },
    insist: { type: 'boolean' },
    new: { type: 'boolean' },
  },
})
const AT_ONCE = Number(options['at-once'])
const CLIENTS = Number(options.clients ?? 4_000)
const [LEAD_IN_MS, WINDOW_MS] = [3_000, 6_000]

const own = children()
const upstream = await own.heard(
  own.start('upstream', './upstream.ts', [options.latency]),
  (message: { port?: number }) => message.port,
)
const workers = Number(options.workers)
const redis = workers > 1 ? await startRedis() : undefined
const gateway = await gatewayProcess({
  ...(redis !== undefined && { server: { listen: '127.0.0.1:0', workers }, state: { redis: redis.url } }),
  providers: { p: { type: 'openai-compatible', base_url: `http://127.0.0.1:${upstream}/v1` } },
  routes: { r: ['p/m'] },
})
const body = JSON.stringify({
  model: 'r',
  messages: [{ role: 'user', content: 'x'.repeat(Number(options.bytes ?? 30_000)) }],
})
const CALL = Buffer.from(
  `POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
)

interface Counted {
  answered: number
  readonly answeredMs: number[]
  readonly refusedMs: number[]
  /** Not answered and not refused. */
  broken: number
}

const fresh = (): Counted => ({ answered: 0, answeredMs: [], refusedMs: [], broken: 0 })
let counts = fresh()
const idle: Line[] = []
let open = 0

interface Line {
  call(): void
}

/** In the order of their creation what belongs to them would lie in a row, and be found sooner than that of clients who call when they like. */
function shuffle(lines: Line[]): void {
  for (let at = lines.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1))
    ;[lines[at], lines[other]] = [lines[other]!, lines[at]!]
  }
}

/** How long a client's next call comes after its last, at the mean; undefined: when another's is over and it is its turn. */
let restMs: number | undefined

/** What a client does when its call is over. */
function rest(line: Line): void {
  if (restMs !== undefined) return void setTimeout(() => line.call(), restMs * -Math.log(Math.random()))
  idle.push(line)
  idle.shift()!.call()
}

/** A connection; one call at a time. */
function line(opened: (line: Line) => void): void {
  open++
  const socket: Socket = connect(gateway.port, '127.0.0.1')
  socket.setNoDelay(true)
  let sentAt = 0
  let refused = false
  let waitMs = 0
  let length = 0
  let got = 0
  const self: Line = {
    call() {
      sentAt = performance.now()
      ;[refused, length, got] = [false, 0, 0]
      socket.write(CALL)
    },
  }
  function over(): void {
    const ms = performance.now() - sentAt
    if (refused) counts.refusedMs.push(ms)
    else {
      counts.answered++
      counts.answeredMs.push(ms)
    }
    sentAt = 0
    if (refused && !options.insist) setTimeout(rest, waitMs, self)
    else rest(self)
  }
  socket.on('connect', () => opened(self))
  socket.on('data', chunk => {
    if (got === 0) {
      refused = chunk.toString('latin1', 9, 12) === '503'
      const head = chunk.toString('latin1', 0, 1_024)
      const told = /content-length: (\d+)/i.exec(head)
      // Only who is drained, at the end, is not told.
      waitMs = Number(/retry-after-ms: (\d+)/i.exec(head)?.[1] ?? 1_000)
      length = told === null ? 0 : head.indexOf('\r\n\r\n') + 4 + Number(told[1])
    }
    got += chunk.length
    if (length > 0 ? got >= length : chunk.toString('latin1', chunk.length - 5) === '0\r\n\r\n') over()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    open--
    if (sentAt > 0) counts.broken++
  })
}

/** From now on clients make so many calls a second together, if all are answered at once. */
function offer(perSecond: number): void {
  restMs = (CLIENTS / perSecond) * 1_000
  for (const one of idle.splice(0)) rest(one)
  while (open < CLIENTS) line(rest)
}

/** Answered calls, by the clock and by the gateway's own time on a processor: the others here want some, too. */
interface Rates {
  readonly perSecond: number
  readonly perCpuSecond: number
  /** Processors that the gateway had. */
  readonly cpus: number
}

async function window(ms: number): Promise<Counted & Rates> {
  counts = fresh()
  const cpuBefore = await cpuMicrosOfAll(gateway.child)
  const beganAt = performance.now()
  await pause(ms)
  const seconds = (performance.now() - beganAt) / 1_000
  const cpuSeconds = ((await cpuMicrosOfAll(gateway.child)) - cpuBefore) / 1e6
  const { answered } = counts
  return { ...counts, perSecond: answered / seconds, perCpuSecond: answered / cpuSeconds, cpus: cpuSeconds / seconds }
}

/** After a collection that throws compiled code away as well, and so not before the last window. */
async function tellMemory(): Promise<void> {
  if (workers === 1)
    process.stdout.write(`memory: ${Math.round((await gateway.memory()).residentBytes / 1024 ** 2)} MB resident\n`)
}

function told(name: string, { perSecond, perCpuSecond, cpus, answeredMs, refusedMs, broken }: Counted & Rates): void {
  const quantile = (of: number[], part: number) => of.sort((a, b) => a - b)[Math.floor(part * of.length)]?.toFixed(1) ?? '–'
  const ms = (of: number[]) => `p50 ${quantile(of, 0.5)} ms, p99 ${quantile(of, 0.99)} ms`
  process.stdout.write(
    `${name}: ${perSecond.toFixed(0)} answered a second, ${perCpuSecond.toFixed(0)} for each of its own on ${cpus.toFixed(2)} processors (${ms(answeredMs)}), ${refusedMs.length} refused (${ms(refusedMs)}), ` +
      `${broken} broken\n`,
  )
}

for (const fleet = options.new ? AT_ONCE : CLIENTS; open < fleet; ) {
  idle.push(await new Promise<Line>(line))
}
shuffle(idle)
for (const one of idle.splice(0, AT_ONCE)) one.call()
await pause(LEAD_IN_MS)
const peak = await window(WINDOW_MS)
told('peak', peak)
offer(peak.perSecond * 4)
await pause(LEAD_IN_MS)
const flood = await window(WINDOW_MS)
told('four times the peak', flood)
const share = (of: keyof Rates) => `${((flood[of] / peak[of]) * 100).toFixed(0)} %`
process.stdout.write(
  `goodput: ${share('perSecond')} of the peak by the clock, ${share('perCpuSecond')} by the gateway's own time\n`,
)
offer(peak.perSecond / 2)
for (const second of ['the first second', 'the next']) told(`half the peak, ${second}`, await window(1_000))
await tellMemory()
await gateway.stop()
await redis?.stop()
process.exit(0)
