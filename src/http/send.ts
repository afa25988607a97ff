/** Writes a Reply to a socket: with back-pressure, signs of life while the upstream is silent, and an end to clients that stopped reading. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
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

/** Resolves when all is written or the client has gone. `gone` is called for one that stopped reading. */
export function send(raw: ServerResponse, reply: Reply, clock: Clock, gone: () => void): Promise<void> {
  return reply.stream === undefined ? sendWhole(raw, reply, clock, gone) : sendStream(raw, reply, reply.stream, clock, gone)
}

async function sendWhole(raw: ServerResponse, reply: Reply, clock: Clock, gone: () => void): Promise<void> {
  const body = reply.body ?? Buffer.alloc(0)
  raw.writeHead(reply.status, Object.assign(reply.headers, { 'content-length': String(body.length) }))
  if (body.length <= SMALL_BYTES) {
    // As text of one byte per character Node puts it behind the head, and both go out in one piece.
    raw.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString('latin1'), 'latin1')
  } else {
    let at = 0
    for (; body.length - at > PIECE_BYTES && !raw.destroyed; at += PIECE_BYTES) {
      if (!raw.write(body.subarray(at, at + PIECE_BYTES))) await drained(raw, clock, gone)
    }
    raw.end(body.subarray(at))
  }
  if (isWaiting(raw)) await drained(raw, clock, gone)
}

function sendStream(raw: ServerResponse, reply: Reply, stream: Told, clock: Clock, gone: () => void): Promise<void> {
  return new Promise(resolve => {
    raw.writeHead(reply.status, reply.headers)
    const parts = partWriter(raw)
    const heart = heartbeat(parts, reply, clock)
    function end(): void {
      heart.stop()
      raw.end()
      if (isWaiting(raw)) void drained(raw, clock, gone).then(resolve)
      else resolve()
    }
    const goOn = stream.flow({
      write(bytes) {
        heart.beatNotBefore(clock.ticks())
        const takesMore = parts.write(bytes)
        if (!takesMore) void drained(raw, clock, gone).then(() => (raw.destroyed ? end() : goOn()))
        return takesMore
      },
      end,
    })
  })
}

interface PartWriter {
  /** @returns whether the client's side takes more */
  write(bytes: Uint8Array): boolean
  /** Whether the client has still to take what was written. */
  isFull(): boolean
}

/**
 * Writes the parts of a stream's body. To Node a chunk is three writes, its length, itself and its end, which the kernel is given as a list;
 * as one piece they cost a tenth less of all that an event costs. The first part goes Node's way, out with the head; so do all where the
 * client's HTTP has no chunks, or it is not this answer's turn on its connection.
 */
function partWriter(raw: ServerResponse): PartWriter {
  let hasBegun = false
  let takesMore = true
  function write(bytes: Uint8Array): boolean {
    const { socket } = raw
    if (raw.destroyed) return false
    if (!hasBegun || socket === null || !raw.chunkedEncoding) {
      hasBegun = true
      return raw.write(bytes)
    }
    return socket.write(chunk(bytes))
  }
  return {
    write(bytes) {
      takesMore = write(bytes)
      return takesMore
    },
    isFull: () => !takesMore && isWaiting(raw),
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

/** One timer for a stream: it is not set again at each write, but looks when it fires at how long ago the last one was. */
function heartbeat(parts: PartWriter, { heartbeat: beat }: Reply, clock: Clock) {
  if (beat === undefined) return { beatNotBefore: () => {}, stop: () => {} }
  const last = { ticks: clock.ticks() }
  let cancel = clock.after(beat.everyMs, fire)
  function fire(): void {
    const silentMs = clock.ticks() - last.ticks
    const due = silentMs >= beat!.everyMs - 1
    // A client that does not read needs no sign of life from us.
    if (due && !parts.isFull()) parts.write(beat!.bytes)
    if (due) last.ticks = clock.ticks()
    cancel = clock.after(due ? beat!.everyMs : beat!.everyMs - silentMs, fire)
  }
  return {
    beatNotBefore(now: number) {
      last.ticks = now
    },
    stop: () => cancel(),
  }
}
