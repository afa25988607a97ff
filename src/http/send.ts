/** Writes a Reply to a socket: with back-pressure, signs of life while the upstream is silent, and an end to clients that stopped reading. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import type { Outlet } from '../gateway/ending.ts'
import type { Reply } from '../gateway/journey.ts'

type Told = NonNullable<Reply['stream']>

/** A client that takes nothing for so long is as good as gone. */
const WRITE_STALL_MS = 60_000
/** A large body is written in pieces, so that a slow reader can be told from one that has stopped. */
const PIECE_BYTES = 256 * 1024
/** Up to this size a copy is cheaper than a second piece. */
const SMALL_BYTES = 16 * 1024
const TAKEN = ['drain', 'finish', 'close'] as const
const CR = 13
const LF = 10

/**
 * Resolves when all is written or the client has gone; what is written at once, as most whole answers are, is not promised. `gone` is called
 * for a client that stopped reading. Throws or rejects for what cannot be written.
 */
export function send(raw: ServerResponse, reply: Reply, clock: Clock, gone: () => void): Promise<void> | undefined {
  if (reply.stream !== undefined) return sendStream(raw, reply, reply.stream, clock, gone)
  const body = reply.body ?? NOTHING
  raw.writeHead(reply.status, Object.assign(reply.headers, { 'content-length': String(body.length) }))
  if (body.length > SMALL_BYTES) return sendLarge(raw, body, clock, gone)
  // As text of one byte per character Node puts it behind the head, and both go out in one piece.
  raw.end(asBuffer(body).toString('latin1'), 'latin1')
  return isWaiting(raw) ? drained(raw, clock, gone) : undefined
}

async function sendLarge(raw: ServerResponse, body: Uint8Array, clock: Clock, gone: () => void): Promise<void> {
  let at = 0
  for (; body.length - at > PIECE_BYTES && !raw.destroyed; at += PIECE_BYTES) {
    if (!raw.write(body.subarray(at, at + PIECE_BYTES))) await drained(raw, clock, gone)
  }
  raw.end(body.subarray(at))
  if (isWaiting(raw)) await drained(raw, clock, gone)
}

const NOTHING = Buffer.alloc(0)
const asBuffer = (bytes: Uint8Array) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

function sendStream(raw: ServerResponse, reply: Reply, stream: Told, clock: Clock, gone: () => void): Promise<void> {
  return new Promise(resolve => {
    raw.writeHead(reply.status, reply.headers)
    new Streaming(raw, reply, clock, gone, resolve).begin(stream)
  })
}

/**
 * A stream on its way to the client. Its parts are written in one piece each: to Node a chunk is three writes, its length, itself and its
 * end, which the kernel is given as a list, and that costs a tenth more of all that an event costs. The first part goes Node's way, out with
 * the head; so do all where the client's HTTP has no chunks, or it is not this answer's turn on its connection.
 *
 * One timer for all of it: it is not set again at each write, but looks when it fires at how long ago the last one was.
 */
class Streaming implements Outlet {
  private readonly raw: ServerResponse
  private readonly beat: Reply['heartbeat']
  private readonly clock: Clock
  private readonly gone: () => void
  private readonly over: () => void
  private goOn: (() => void) | undefined
  private hasBegun = false
  private takesMore = true
  private lastTicks: number
  private cancelBeat: (() => void) | undefined

  constructor(raw: ServerResponse, { heartbeat }: Reply, clock: Clock, gone: () => void, over: () => void) {
    this.raw = raw
    this.beat = heartbeat
    this.clock = clock
    this.gone = gone
    this.over = over
    this.lastTicks = clock.ticks()
  }

  begin(stream: Told): void {
    if (this.beat !== undefined) this.beatIn(this.beat.everyMs)
    this.goOn = stream.flow(this)
  }

  write(bytes: Uint8Array): boolean {
    this.lastTicks = this.clock.ticks()
    const takesMore = this.writePart(bytes)
    if (!takesMore) void drained(this.raw, this.clock, this.gone).then(() => (this.raw.destroyed ? this.end() : this.goOn!()))
    return takesMore
  }

  end(): void {
    const { raw } = this
    this.cancelBeat?.()
    raw.end()
    if (isWaiting(raw)) void drained(raw, this.clock, this.gone).then(this.over)
    else this.over()
  }

  /** @returns whether the client's side takes more */
  private writePart(bytes: Uint8Array): boolean {
    const { raw } = this
    const { socket } = raw
    if (raw.destroyed) this.takesMore = false
    else if (this.hasBegun && socket !== null && raw.chunkedEncoding) this.takesMore = socket.write(chunk(bytes))
    else {
      this.hasBegun = true
      this.takesMore = raw.write(bytes)
    }
    return this.takesMore
  }

  private beatIn(ms: number): void {
    this.cancelBeat = this.clock.after(ms, () => this.beatIn(this.beatNow()))
  }

  /** @returns when to look again */
  private beatNow(): number {
    const { everyMs, bytes } = this.beat!
    const silentMs = this.clock.ticks() - this.lastTicks
    if (silentMs < everyMs - 1) return everyMs - silentMs
    // A client that does not read needs no sign of life from us.
    const isFull = !this.takesMore && isWaiting(this.raw)
    if (!isFull) this.writePart(bytes)
    this.lastTicks = this.clock.ticks()
    return everyMs
  }
}

/** As HTTP/1.1 writes a part of a body. */
function chunk(bytes: Uint8Array): Buffer {
  const length = bytes.length.toString(16)
  const at = length.length + 2
  const end = at + bytes.length
  const whole = Buffer.allocUnsafe(end + 2)
  for (let place = 0; place < length.length; place++) whole[place] = length.charCodeAt(place)
  whole[at - 2] = whole[end] = CR
  whole[at - 1] = whole[end + 1] = LF
  whole.set(bytes, at)
  return whole
}

/** What was written last may wait for the client, too; most of the time the kernel has taken it already. */
const isWaiting = (raw: ServerResponse) => raw.writableLength > 0 && !raw.destroyed

/** Resolves when the client has taken what was written, or the connection has ended; ends it when the client takes too long. */
function drained(raw: ServerResponse, clock: Clock, gone: () => void): Promise<void> {
  return new Promise(resolve => {
    const { socket } = raw
    const over = () => {
      cancel()
      for (const event of TAKEN) raw.off(event, over)
      // Node does not tell an answer of what was written past it.
      socket?.off('drain', over)
      resolve()
    }
    const cancel = clock.after(WRITE_STALL_MS, () => {
      gone()
      raw.destroy()
    })
    for (const event of TAKEN) raw.once(event, over)
    socket?.once('drain', over)
    if (raw.destroyed) over()
  })
}
