/** Writes a Reply to a socket: with back-pressure, signs of life while the upstream is silent, and an end to clients that stopped reading. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import type { Reply } from '../gateway/journey.ts'

/** A client that takes nothing for so long is as good as gone. */
const WRITE_STALL_MS = 60_000
/** A large body is written in pieces, so that a slow reader can be told from one that has stopped. */
const PIECE_BYTES = 256 * 1024
/** Up to this size a copy is cheaper than a second piece. */
const SMALL_BYTES = 16 * 1024
const TAKEN = ['drain', 'finish', 'close'] as const

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

async function sendStream(
  raw: ServerResponse,
  reply: Reply,
  stream: AsyncIterator<Uint8Array, void>,
  clock: Clock,
  gone: () => void,
): Promise<void> {
  raw.writeHead(reply.status, reply.headers)
  const heart = heartbeat(raw, reply, clock)
  try {
    for (;;) {
      const { done, value } = await stream.next()
      if (done || raw.destroyed) break
      heart.beatNotBefore(clock.ticks())
      if (!raw.write(value)) await drained(raw, clock, gone)
    }
  } finally {
    heart.stop()
    raw.end()
  }
  if (isWaiting(raw)) await drained(raw, clock, gone)
}

/** What was written last may wait for the client, too; most of the time the kernel has taken it already. */
const isWaiting = (raw: ServerResponse) => raw.writableLength > 0 && !raw.destroyed

/** Resolves when the client has taken what was written, or the connection has ended; ends it when the client takes too long. */
function drained(raw: ServerResponse, clock: Clock, gone: () => void): Promise<void> {
  return new Promise(resolve => {
    const over = () => {
      cancel()
      for (const event of TAKEN) raw.off(event, over)
      resolve()
    }
    const cancel = clock.after(WRITE_STALL_MS, () => {
      gone()
      raw.destroy()
    })
    for (const event of TAKEN) raw.once(event, over)
  })
}

/** One timer for a stream: it is not set again at each write, but looks when it fires at how long ago the last one was. */
function heartbeat(raw: ServerResponse, { heartbeat: beat }: Reply, clock: Clock) {
  if (beat === undefined) return { beatNotBefore: () => {}, stop: () => {} }
  const last = { ticks: clock.ticks() }
  let cancel = clock.after(beat.everyMs, fire)
  function fire(): void {
    const silentMs = clock.ticks() - last.ticks
    const due = silentMs >= beat!.everyMs - 1
    // A client that does not read needs no sign of life from us.
    if (due && !raw.writableNeedDrain) raw.write(beat!.bytes)
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
