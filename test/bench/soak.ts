/*
 * npm run soak: what stays behind. A million calls through the gateway as it is shipped, a process of its own: half of them streams, one in
 * ten meets a fault of its provider, and one client in twenty leaves at some moment. Every so often all is let come to rest, and what the
 * gateway holds then is looked at: its heap after a full collection, its descriptors, and what its event loop waits for.
 *
 *   --calls N     1,000,000
 *   --at-once N   64
 */
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { gatewayProcess } from '../support/gateway-process.ts'
import { children, FAILED } from './children.ts'
import { CHAT_PATH } from './rows.ts'

const { values: options } = parseArgs({ options: { calls: { type: 'string' }, 'at-once': { type: 'string' } } })
const CALLS = Number(options.calls ?? 1_000_000)
const AT_ONCE = Number(options['at-once'] ?? 64)
/** The compilers, pools and tables have come to their size after so many calls. */
const SETTLED_CALLS = Math.min(100_000, CALLS / 2)
const LOOKS = 10
const LEAVE_EVERY = 20
const LEAVE_WITHIN_MS = 8
/** Longer than the upstream keeps a connection that nobody uses. */
const REST_MS = 3_000
/** Full collections let go of what was compiled for the start and never ran again, a part each time: these looks do not count. */
const FIRST_LOOKS = 3
const MOST_HEAP_MB = 5
/** Of the calls whose client stays: refusing is easier than answering. */
const LEAST_ANSWERED = 0.9

if (!(CALLS >= 1_000 && AT_ONCE >= 1)) {
  process.stderr.write('--calls: at least 1,000; --at-once: at least 1\n')
  process.exit(64)
}

const own = children()
const upstream = own.start('upstream', './soak-upstream.ts', [])
const port = await own.heard(upstream, (message: { port?: number }) => message.port)
const origin = `http://127.0.0.1:${port}/v1`
const price = { 'small-1': { price: { input: 1, output: 2 } } }
/** Of a thousand calls a second of which one in ten fails, three in a row fail every second: circuits go by the share alone here. */
const circuit = { failures: 100 }
const provider = (name: string) => ({ type: 'openai', base_url: origin, keys: [`key-of-${name}`], models: price, circuit })
const gateway = await gatewayProcess({
  providers: { one: provider('one'), two: provider('two'), three: provider('three') },
  routes: { soak: { targets: ['one/small-1', 'two/small-1'], choose: 'weighted', fallbacks: ['three/small-1'] } },
})

const bodyOf = (stream: boolean) =>
  JSON.stringify({ model: 'soak', stream, messages: [{ role: 'user', content: 'Does it go on?' }], max_tokens: 20 })
const requestOf = (body: string) =>
  `POST ${CHAT_PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
const WHOLE = requestOf(bodyOf(false))
const STREAM = requestOf(bodyOf(true))

const seen = { answered: 0, refused: 0, broken: 0, left: 0 }

/** One call on a connection of its own; resolves when the connection is closed. */
function call(number: number): Promise<void> {
  const streams = number % 2 === 0
  const leavesAfterMs = number % LEAVE_EVERY === 1 ? (number * 7) % LEAVE_WITHIN_MS : undefined
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1')
    let got = ''
    let left = false
    socket.on('data', chunk => {
      got += chunk.toString('latin1')
    })
    socket.on('error', error => left || reject(error))
    socket.on('close', () => {
      if (left) seen.left++
      else if (!got.startsWith('HTTP/1.1 200 ')) seen.refused++
      else if (streams && !got.includes('[DONE]')) seen.broken++
      else seen.answered++
      resolve()
    })
    socket.write(streams ? STREAM : WHOLE)
    if (leavesAfterMs === undefined) return
    setTimeout(() => {
      left = true
      socket.destroy()
    }, leavesAfterMs)
  })
}

let made = 0
async function callsUntil(number: number): Promise<void> {
  const caller = async () => {
    while (made < number) await call(++made)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, caller))
}

interface Look {
  readonly calls: number
  readonly heapMb: number
  readonly residentMb: number
  readonly descriptors: number
  readonly waitsFor: string
}

async function look(): Promise<Look> {
  await pause(REST_MS)
  const { usedBytes, residentBytes, descriptors, waitsFor } = await gateway.memory()
  const mb = (bytes: number) => bytes / 1024 / 1024
  // A write of the log may be under way at any moment.
  const lasting = waitsFor.filter(kind => kind !== 'FSReqCallback').join(' ')
  return { calls: made, heapMb: mb(usedBytes), residentMb: mb(residentBytes), descriptors, waitsFor: lasting }
}

const lineOf = ({ calls, heapMb, residentMb, descriptors, waitsFor }: Look) =>
  `${String(calls).padStart(9)} calls  heap ${heapMb.toFixed(1)} MB  resident ${residentMb.toFixed(0)} MB  descriptors ${descriptors}  waits for: ${waitsFor}\n`

async function main(): Promise<number> {
  for (let at = 1; at <= FIRST_LOOKS; at++) {
    await callsUntil(Math.round((SETTLED_CALLS * at) / (FIRST_LOOKS + 1)))
    await look()
  }
  const looks: Look[] = []
  for (let at = 0; at < LOOKS; at++) {
    await callsUntil(Math.round(SETTLED_CALLS + ((CALLS - SETTLED_CALLS) * at) / (LOOKS - 1)))
    looks.push(await look())
    process.stdout.write(lineOf(looks.at(-1)!))
  }
  const [first, last] = [looks[0]!, looks.at(-1)!]
  const perHundredThousand = (slope(looks.map(({ calls, residentMb }) => [calls, residentMb])) * 100_000).toFixed(2)
  const answered = seen.answered / (made - seen.left)
  const problems = [
    answered < LEAST_ANSWERED && `only ${(100 * answered).toFixed(1)} % were answered`,
    Math.abs(last.heapMb - first.heapMb) > MOST_HEAP_MB &&
      `the heap went from ${first.heapMb.toFixed(1)} to ${last.heapMb.toFixed(1)} MB`,
    last.descriptors !== first.descriptors && `descriptors went from ${first.descriptors} to ${last.descriptors}`,
    last.waitsFor !== first.waitsFor && `what the event loop waits for changed`,
  ].filter(problem => problem !== false)
  process.stdout.write(
    `${JSON.stringify(seen)}\nresident memory grows by ${perHundredThousand} MB per 100,000 calls\n${problems.length === 0 ? 'ok' : problems.join('\n')}\n`,
  )
  return problems.length === 0 ? 0 : 1
}

/** Of the straight line that comes closest to the points. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const across = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return across / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}

main().then(
  async code => {
    await gateway.stop()
    process.exit(code)
  },
  (error: Error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`)
    process.exit(FAILED)
  },
)
