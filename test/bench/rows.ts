/** What is measured: each row is one kind of call, sent in the same way to the relay and to the gateway. */

/** How the load generator calls: all connections at once, each with its next call as soon as the last one is answered. */
export interface Load {
  readonly port: number
  readonly path: string
  /** JSON, as it is sent. */
  readonly body: string
  readonly connections: number
  readonly stream: boolean
  /** Further ones, as lines. */
  readonly headers?: readonly string[]
  /** All connections together; undefined: as many as can be answered. */
  readonly perSecond?: number | undefined
  /** The load before the measured time: the first of a row for the compilers, the others to reach the same state again. */
  readonly leadInMs: number
  readonly windowMs: number
}

export interface Row {
  readonly name: string
  /** What the CPU time and the rate are counted by. */
  readonly per: 'call' | 'event'
  /** So many relays it may cost at most; undefined: it has another limit. */
  readonly mostRelays?: number
  /** So many milliseconds it may add at most to the median. */
  readonly mostAddedMs?: number
  /** The bare relay sends a call on to the path that it came to. */
  readonly relayPath: string
  readonly body: string
  readonly connections: number
  readonly stream: boolean
  readonly perSecond?: number | undefined
  /** The client has limits and a budget, in a Redis on the same machine; where there is none, the row is skipped. */
  readonly limited?: true
  readonly warmUpMs: number
  readonly leadInMs: number
  readonly windowMs: number
}

/** The key that the load generator shows; the gateway is given its hash. */
export const CLIENT_KEY = 'us-bench-client-key-0123456789abcdefghijklmnop'

/** The upstream's two APIs. */
export const CHAT_PATH = '/v1/chat/completions'
export const MESSAGES_PATH = '/v1/messages'

/** Routes of the gateway under test: the upstream speaks the client's own dialect, or another one. */
export const SAME_DIALECT = 'relayed'
export const OTHER_DIALECT = 'translated'
/** … or the first target refuses every call, so that its circuit is open. */
export const FAILOVER = 'failover'
/** Where the upstream refuses every call. */
export const DOWN_PATH = '/down'

/** A stream of the upstream: so many events before its terminator, one every so often. Slow enough that each is a read of its own. */
export const STREAM_EVENTS = 200
export const EVENT_EVERY_MS = 10
const STREAM_MS = STREAM_EVENTS * EVENT_EVERY_MS

const SENTENCE =
  'The understudy knows every line, and "goes on" when the lead cannot.\nNobody in the stalls need notice — or so it is said. '

function text(bytes: number): string {
  return SENTENCE.repeat(Math.ceil(bytes / SENTENCE.length)).slice(0, bytes)
}

/** As a client writes it who escapes what is no ASCII, or has none: that is parsed in less time, most of all by the relay. */
const ascii = (body: string) => body.replaceAll('—', '-')

/** A conversation of about `bytes` bytes, in messages of one or two thousand. */
function conversation(model: string, bytes: number, stream = false): string {
  const turns = Math.max(1, Math.round(bytes / 2_000))
  const messages = Array.from({ length: turns }, (_, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content: text(bytes / turns - 60),
  }))
  if (turns % 2 === 0) messages.push({ role: 'user', content: 'And then?' })
  const system = { role: 'system', content: 'You are brief.' }
  return JSON.stringify({ model, stream, messages: [system, ...messages], temperature: 0.7, max_tokens: 256 })
}

const CALLS = {
  per: 'call',
  connections: 32,
  stream: false,
  relayPath: CHAT_PATH,
  warmUpMs: 8_000,
  leadInMs: 250,
  windowMs: 2_500,
} as const

export const ROWS: readonly Row[] = [
  { ...CALLS, name: 'whole call, 1 KB', mostRelays: 1.6, body: conversation(SAME_DIALECT, 1_000) },
  {
    ...CALLS,
    name: `stream, ${STREAM_EVENTS} events, 100 at once`,
    per: 'event',
    mostRelays: 1.4,
    body: conversation(SAME_DIALECT, 1_000, true),
    connections: 100,
    stream: true,
    warmUpMs: 5 * STREAM_MS,
    leadInMs: STREAM_MS / 2,
    // Whole streams, so that as many begin as end.
    windowMs: 2 * STREAM_MS,
  },
  { ...CALLS, name: 'whole call, 100 KB', mostRelays: 1, body: conversation(SAME_DIALECT, 100_000) },
  {
    ...CALLS,
    name: "whole call, primary's circuit open, fallback answers",
    mostRelays: 1.7,
    body: conversation(FAILOVER, 1_000),
  },
  {
    ...CALLS,
    name: 'whole call, translated',
    mostRelays: 2.2,
    relayPath: MESSAGES_PATH,
    body: conversation(OTHER_DIALECT, 1_000),
  },
  {
    ...CALLS,
    name: 'whole call, with a client’s limits and budget in Redis on the same machine',
    mostRelays: 2.2,
    body: conversation(SAME_DIALECT, 1_000),
    limited: true,
  },
  // With pauses in which others have the caches.
  { ...CALLS, name: 'whole call, 1 KB, ASCII', mostRelays: 1.6, body: ascii(conversation(SAME_DIALECT, 1_000)) },
  { ...CALLS, name: 'whole call, 100 KB, ASCII', mostRelays: 1.4, body: ascii(conversation(SAME_DIALECT, 100_000)) },
  { ...CALLS, name: 'whole call, 1 KB, paced', mostRelays: 1.9, perSecond: 3_000, body: conversation(SAME_DIALECT, 1_000) },
  {
    ...CALLS,
    name: 'whole call, one connection',
    body: conversation(SAME_DIALECT, 1_000),
    connections: 1,
    mostAddedMs: 0.2,
    warmUpMs: 500,
  },
]
