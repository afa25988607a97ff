/*
 * The load generator: raw sockets, since it shares the machine with what it measures. Each connection sends its next call when the last
 * one is answered. A load has a lead-in and a measured window; the bench is told when the window begins and what happened in it. An
 * answer that is not what was asked for ends the process: a gateway that refuses quickly must not look fast.
 */
import { connect, type Socket } from 'node:net'
import { CLIENT_KEY, type Load, STREAM_EVENTS } from './rows.ts'

/** What happened in the window. */
export interface Loaded {
  readonly ms: number
  /** Answered to the end. */
  readonly calls: number
  readonly events: number
  /** From the call to its answer, for a stream to its first event. */
  readonly p50Ms: number
  readonly p99Ms: number
}

export type LoadMessage = { readonly ready: true } | { readonly began: true } | { readonly loaded: Loaded }

const HEAD_END = '\r\n\r\n'
const EVENT_END = '\n\n'
const LAST_CHUNK = '0\r\n\r\n'

const tell = (message: LoadMessage) => process.send!(message)

function failed(what: string, got: Buffer): never {
  process.stderr.write(`${what}\n${got.toString('utf8').slice(0, 2_000)}\n`)
  process.exit(1)
}

/** How many events end in `chunk`. */
function eventsIn(chunk: Buffer): number {
  let count = 0
  for (let at = chunk.indexOf(EVENT_END); at !== -1; at = chunk.indexOf(EVENT_END, at + 2)) count++
  return count
}

function run(load: Load): void {
  const { port, path, body, connections, stream, leadInMs, windowMs, perSecond, headers = [] } = load
  const everyMs = perSecond === undefined ? undefined : (1_000 * connections) / perSecond
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    `authorization: Bearer ${CLIENT_KEY}`,
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
  ]
  const request = Buffer.from(head.join('\r\n') + HEAD_END + body)
  let phase: 'lead-in' | 'window' | 'over' = 'lead-in'
  let calls = 0
  let events = 0
  const latencies: number[] = []

  /** One connection; calls until the load is over. */
  function open(): Socket {
    const socket = connect(port, '127.0.0.1', next)
    socket.setNoDelay(true)
    let sentAt = 0
    let dueAt = performance.now()
    let received: Buffer | undefined
    /** The length of a whole answer with its head, once known. */
    let length = 0
    let inBody = false
    let ownEvents = 0

    function next(): void {
      if (phase === 'over') return void socket.end()
      received = undefined
      length = 0
      inBody = false
      ownEvents = 0
      sentAt = performance.now()
      socket.write(request)
    }

    function answered(): void {
      if (phase === 'window') calls++
      if (everyMs === undefined) return next()
      // A slot that was missed is not made up for: both sides get the same calls, not the same crowd.
      const now = performance.now()
      dueAt = Math.max(dueAt + everyMs, now)
      setTimeout(next, dueAt - now)
    }

    function heard(): void {
      if (phase === 'window') latencies.push(performance.now() - sentAt)
    }

    /** Reads the head when it is there; what comes before its end is kept. */
    function readHead(so: Buffer): boolean {
      const end = so.indexOf(HEAD_END)
      if (end === -1) return false
      const text = so.toString('latin1', 0, end)
      if (!text.startsWith('HTTP/1.1 200 ')) failed(`an answer to ${path} that is no answer:`, so)
      const told = /\r\ncontent-length: *(\d+)/i.exec(text)
      if (stream === (told !== null)) failed(`${stream ? 'a stream' : 'a whole answer'} was asked of ${path}:`, so)
      length = end + HEAD_END.length + Number(told?.[1] ?? 0)
      return true
    }

    function takeWhole(chunk: Buffer): void {
      received = received === undefined ? chunk : Buffer.concat([received, chunk])
      if (length === 0 && !readHead(received)) return
      if (received.length < length) return
      heard()
      answered()
    }

    function takeStream(chunk: Buffer): void {
      let fresh = chunk
      if (length === 0) {
        received = received === undefined ? chunk : Buffer.concat([received, chunk])
        if (!readHead(received)) return
        fresh = received.subarray(length)
        received = undefined
      }
      const ended = eventsIn(fresh)
      if (ended > 0 && !inBody) {
        inBody = true
        heard()
      }
      ownEvents += ended
      if (phase === 'window') events += ended
      // The end of the chunks may itself be cut; the last bytes are remembered until it is whole.
      const tail = (received === undefined ? fresh : Buffer.concat([received, fresh])).subarray(-LAST_CHUNK.length)
      received = tail
      if (tail.toString('latin1') !== LAST_CHUNK) return
      // A cut between the two ends of line hides an event; more than a few do not hide.
      if (ownEvents < STREAM_EVENTS * 0.9) failed(`a stream of ${ownEvents} events; it should have been ${STREAM_EVENTS}:`, fresh)
      answered()
    }

    socket.on('data', stream ? takeStream : takeWhole)
    socket.on('error', error => phase !== 'over' && failed(`${path}: ${error.message}`, Buffer.alloc(0)))
    socket.on('close', () => phase !== 'over' && failed(`${path}: the connection was closed`, received ?? Buffer.alloc(0)))
    return socket
  }

  const sockets: Socket[] = []
  // Not all in one moment: streams that begin together stay together.
  const spreadMs = stream || everyMs !== undefined ? leadInMs / 2 : 0
  for (let at = 0; at < connections; at++) setTimeout(() => sockets.push(open()), (at / connections) * spreadMs)

  setTimeout(() => {
    phase = 'window'
    const beganAt = performance.now()
    tell({ began: true })
    setTimeout(() => {
      phase = 'over'
      const ms = performance.now() - beganAt
      latencies.sort((a, b) => a - b)
      const quantile = (part: number) => latencies[Math.floor(part * latencies.length)] ?? Number.NaN
      tell({ loaded: { ms, calls, events, p50Ms: quantile(0.5), p99Ms: quantile(0.99) } })
      // What is under way and whole is read to its end; a stream would take too long.
      if (stream) for (const socket of sockets) socket.destroy()
    }, windowMs)
  }, leadInMs)
}

process.on('message', run)
process.on('disconnect', () => process.exit())
tell({ ready: true })
