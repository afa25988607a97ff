/*
 * node test/bench/overload.ts: what becomes of the gateway at four times what it can carry. First as many calls as 64 connections can
 * make, which is the peak; then calls that come at four times that rate whether others are answered or not, over as many connections as
 * that takes; then half the peak, to see how soon all is well again. A connection over which a call was refused is not used for as long as
 * its answer says, as SDKs wait; the calls keep coming all the same, over others.
 *
 *   --bytes N          the size of a call (30,000)
 *   --connections N    as many as callers may have open at once (4,000)
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { gatewayProcess } from '../support/gateway-process.ts'
import { children } from './children.ts'
import { cpuMicros } from './cpu.ts'

const { values: options } = parseArgs({ options: { bytes: { type: 'string' }, connections: { type: 'string' } } })
const PEAK_CONNECTIONS = 64
const MOST_CONNECTIONS = Number(options.connections ?? 4_000)
const WAIT_MS = 1_000
const [LEAD_IN_MS, WINDOW_MS] = [3_000, 6_000]

const own = children()
const upstream = await own.heard(own.start('upstream', './upstream.ts', []), (message: { port?: number }) => message.port)
const gateway = await gatewayProcess({
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
  /** Calls for which there was no connection left. */
  notSent: number
}

const fresh = (): Counted => ({ answered: 0, answeredMs: [], refusedMs: [], broken: 0, notSent: 0 })
let counts = fresh()
const idle: Line[] = []
let open = 0

interface Line {
  call(): void
}

/** A connection; one call at a time. @param then what it does when its call is over */
function line(then: (line: Line) => void): void {
  open++
  const socket: Socket = connect(gateway.port, '127.0.0.1')
  socket.setNoDelay(true)
  let sentAt = 0
  let refused = false
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
    if (refused) setTimeout(then, WAIT_MS, self)
    else then(self)
  }
  socket.on('connect', () => then(self))
  socket.on('data', chunk => {
    if (got === 0) {
      refused = chunk.toString('latin1', 9, 12) === '503'
      const head = chunk.toString('latin1', 0, 1_024)
      const told = /content-length: (\d+)/i.exec(head)
      length = told === null ? 0 : head.indexOf('\r\n\r\n') + 4 + Number(told[1])
    }
    got += chunk.length
    if (length > 0 ? got >= length : chunk.toString('latin1', chunk.length - 5) === '0\r\n\r\n') over()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    open--
    if (sentAt > 0) counts.broken++
    const at = idle.indexOf(self)
    if (at !== -1) idle.splice(at, 1)
  })
}

/** Calls at this rate, over connections that are idle or new. */
function arrivals(perSecond: number): () => void {
  const beganAt = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    for (const due = ((performance.now() - beganAt) * perSecond) / 1_000; sent < due; sent++) {
      const one = idle.pop()
      if (one !== undefined) one.call()
      else if (open >= MOST_CONNECTIONS) counts.notSent++
      else line(firstCallThenIdle())
    }
  }, 1)
  return () => clearInterval(timer)
}

function firstCallThenIdle(): (line: Line) => void {
  let isFirst = true
  return one => {
    if (isFirst) one.call()
    else idle.push(one)
    isFirst = false
  }
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
  const cpuBefore = await cpuMicros(gateway.child)
  const beganAt = performance.now()
  await pause(ms)
  const seconds = (performance.now() - beganAt) / 1_000
  const cpuSeconds = ((await cpuMicros(gateway.child)) - cpuBefore) / 1e6
  const { answered } = counts
  return { ...counts, perSecond: answered / seconds, perCpuSecond: answered / cpuSeconds, cpus: cpuSeconds / seconds }
}

const megabytes = async () => `${Math.round((await gateway.memory()).residentBytes / 1024 ** 2)} MB resident`

function told(name: string, { perSecond, perCpuSecond, cpus, answeredMs, refusedMs, broken, notSent }: Counted & Rates): void {
  const quantile = (of: number[], part: number) => of.sort((a, b) => a - b)[Math.floor(part * of.length)]?.toFixed(1) ?? '–'
  const ms = (of: number[]) => `p50 ${quantile(of, 0.5)} ms, p99 ${quantile(of, 0.99)} ms`
  process.stdout.write(
    `${name}: ${perSecond.toFixed(0)} answered a second, ${perCpuSecond.toFixed(0)} for each of its own on ${cpus.toFixed(2)} processors (${ms(answeredMs)}), ${refusedMs.length} refused (${ms(refusedMs)}), ` +
      `${broken} broken, ${notSent} not sent\n`,
  )
}

let isPeak = true
for (let at = 0; at < PEAK_CONNECTIONS; at++) line(one => (isPeak ? one.call() : idle.push(one)))
await pause(LEAD_IN_MS)
const peak = await window(WINDOW_MS)
told('peak', peak)
isPeak = false
await pause(500)
process.stdout.write(`before: ${await megabytes()}\n`)
const stopFlood = arrivals(peak.perSecond * 4)
await pause(LEAD_IN_MS)
const flood = await window(WINDOW_MS)
told('four times the peak', flood)
const share = (of: keyof Rates) => `${((flood[of] / peak[of]) * 100).toFixed(0)} %`
process.stdout.write(
  `goodput: ${share('perSecond')} of the peak by the clock, ${share('perCpuSecond')} by the gateway's own time\n`,
)
stopFlood()
arrivals(peak.perSecond / 2)
for (const second of ['the first second', 'the next']) told(`half the peak, ${second}`, await window(1_000))
process.stdout.write(`after: ${await megabytes()}\n`)
await gateway.stop()
process.exit(0)
