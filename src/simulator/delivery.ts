/*
 * How an answer goes over the wire, well or badly. Everything here stops at once when the signal aborts: waits reject with the signal's
 * reason, and nothing more is written. What is written respects back-pressure, so that a huge answer needs no memory.
 */
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Break, Course } from './faults.ts'
import { resetNow } from './listener.ts'
import { endOf, frameOf, halfJson, halfOf, type StreamEvent } from './wire.ts'

/** Where an answer goes. */
export interface Line {
  readonly response: ServerResponse
  /** Aborts when the client has left or the simulator ends the connection. */
  readonly signal: AbortSignal
  /** Told of tokens as they go out. */
  sent(tokens: number): void
}

export type Headers = Readonly<Record<string, string>>

/** A whole answer, perhaps too large to be held at once. */
export interface Body {
  readonly bytes: number
  readonly tokens: number
  readonly pieces: Iterable<Buffer>
}

/** setTimeout's own limit; longer delays would end at once. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(Math.min(ms, LONGEST_PAUSE_MS), undefined, { signal })
}

/** Silence until the signal aborts. */
export function silence(signal: AbortSignal): Promise<never> {
  return until(signal, () => {}) as Promise<never>
}

/** Sends a body in one go. */
export function send(line: Line, status: number, headers: Headers, body: string): Promise<void> {
  line.response.writeHead(status, { 'content-length': String(Buffer.byteLength(body)), ...headers })
  return finish(line, body)
}

/** `failure`: the error event of a course that has one. */
export async function deliverStream(
  line: Line,
  headers: Headers,
  events: Iterable<StreamEvent>,
  course: Course,
  failure: StreamEvent | undefined,
): Promise<'answered' | 'faulted'> {
  const { response, signal } = line
  response.writeHead(course.status, headers)
  response.flushHeaders()
  const limit = course.breaksAtByte
  let isWhole = true
  let tokens = 0
  let place = 0
  let bytes = 0
  for (const event of events) {
    if (course.breaks !== undefined && isDue(course.breaks, event, tokens)) {
      return breakOff(line, course.breaks.how, lastWords(course.breaks.how, event, failure))
    }
    if (event.part === 'token') await pause(tokens === 0 ? course.firstMs : course.betweenMs, signal)
    if (event.part === 'done' && course.endless) {
      isWhole = false
      continue
    }
    const isGarbled = event.part !== 'done' && place++ === course.garbledAt
    if (isGarbled) isWhole = false
    const text = isGarbled ? halfOf(event) + endOf(event) : frameOf(event)
    if (limit !== undefined) {
      const whole = Buffer.from(text)
      const left = limit.at - bytes
      bytes += whole.length
      if (bytes > limit.at) return breakOff(line, limit.how, whole.subarray(0, left))
    }
    const isTaken = response.write(text)
    if (event.part === 'token') {
      tokens++
      line.sent(1)
    }
    if (!isTaken) await drained(line)
  }
  await finish(line, '')
  return isWhole ? 'answered' : 'faulted'
}

/**
 * Before any token, an error comes first of all, and other breaks after the head. Once content has gone out, the break follows its token
 * without a frame in between.
 */
function isDue({ after, how }: { readonly after: number; readonly how: Break }, event: StreamEvent, tokens: number): boolean {
  if (event.part === 'finish' || event.part === 'done') return true
  if (tokens < after) return false
  return tokens > 0 || event.part === 'token' || how === 'failure'
}

/** What still goes out when a stream breaks off before this event. */
function lastWords(how: Break, next: StreamEvent, failure: StreamEvent | undefined): string {
  if (how === 'half-chunk') return halfOf(next)
  return how === 'failure' && failure !== undefined ? frameOf(failure) : ''
}

async function breakOff(line: Line, how: Break, last: string | Uint8Array = ''): Promise<'faulted'> {
  const { response, signal } = line
  if (last.length > 0) response.write(last)
  switch (how) {
    case 'stall':
      await silence(signal)
      break
    case 'reset':
      await reset(line)
      break
    case 'half-chunk':
      response.socket?.destroySoon()
      break
    default:
      await finish(line, '')
  }
  return 'faulted'
}

/** Waits for what a rule makes slow, then sends the body, or what the course leaves of it. */
export async function deliverWhole(line: Line, headers: Headers, body: Body, course: Course): Promise<'answered' | 'faulted'> {
  const { response, signal } = line
  await pause(course.firstMs + course.wholeBetweenMs * Math.max(0, body.tokens - 1), signal)
  const cut = cutOf(body, course)
  if (cut === undefined) {
    response.writeHead(course.status, { 'content-length': String(body.bytes), ...headers })
    await write(line, body.pieces, body.bytes)
    line.sent(body.tokens)
    await finish(line, '')
    return 'answered'
  }

  const { bytes, tokens, how } = cut
  const length = how === 'clean' ? bytes : body.bytes
  response.writeHead(course.status, how === 'half-chunk' ? headers : { 'content-length': String(length), ...headers })
  response.flushHeaders()
  await write(line, body.pieces, bytes)
  line.sent(tokens)
  return breakOff(line, how)
}

/** Where a whole body breaks off, if it does: at a byte, or in proportion to its tokens, whichever comes first. */
function cutOf(body: Body, { breaks, breaksAtByte }: Course): { bytes: number; tokens: number; how: Break } | undefined {
  const tokens = Math.min(breaks?.after ?? 0, body.tokens)
  // Never to the end, where nothing but white space might be missing.
  const bytes = Math.min(Math.floor((body.bytes * tokens) / Math.max(1, body.tokens)), Math.max(0, body.bytes - 2))
  if (breaksAtByte !== undefined && breaksAtByte.at < (breaks === undefined ? body.bytes : bytes)) {
    const share = Math.floor((body.tokens * breaksAtByte.at) / body.bytes)
    return { bytes: breaksAtByte.at, tokens: share, how: breaksAtByte.how }
  }
  return breaks === undefined ? undefined : { bytes, tokens, how: breaks.how }
}

export function bodyOf(text: string, tokens: number): Body {
  const buffer = Buffer.from(text)
  return { bytes: buffer.length, tokens, pieces: [buffer] }
}

/** The first half of it, which ends cleanly. */
export function garbled(text: string): Body {
  return bodyOf(halfJson(text), 0)
}

/** `text` with every `mark` in it replaced by `count` times `token`, put together as it is read. */
export function hugeBody(text: string, mark: string, token: string, count: number): Body {
  const parts = text.split(mark).map(part => Buffer.from(part))
  const filler = Buffer.from(token)
  const gaps = parts.length - 1
  function* pieces(): Generator<Buffer> {
    for (const [index, part] of parts.entries()) {
      yield part
      if (index < gaps) for (let at = 0; at < count; at++) yield filler
    }
  }
  const bytes = parts.reduce((sum, part) => sum + part.length, 0) + gaps * count * filler.length
  return { bytes, tokens: gaps * count, pieces: pieces() }
}

/** The first `bytes` of the pieces. */
async function write(line: Line, pieces: Iterable<Buffer>, bytes: number): Promise<void> {
  let left = bytes
  for (const piece of pieces) {
    if (left <= 0) return
    const part = piece.subarray(0, left)
    left -= part.length
    if (part.length > 0 && !line.response.write(part)) await drained(line)
  }
}

/** Resets the connection once all that was written has reached the kernel. */
async function reset(line: Line): Promise<void> {
  const { socket } = line.response
  if (socket === null) return
  await until(line.signal, done => socket.write('', done))
  resetNow(socket)
}

function drained(line: Line): Promise<void> {
  return until(line.signal, done => line.response.once('drain', done))
}

function finish(line: Line, text: string): Promise<void> {
  return until(line.signal, done => line.response.end(text, done))
}

function until(signal: AbortSignal, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    begin(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
  })
}
