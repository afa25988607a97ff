/** Writes a Reply to a socket: with back-pressure, signs of life while the upstream is silent, and an end to clients that stopped reading. */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import type { Reply } from '../gateway/journey.ts'

/** A client that takes nothing for so long is as good as gone. */
const WRITE_STALL_MS = 60_000

/** Resolves when all is written or the client has gone. `gone` is called for one that stopped reading. */
export async function send(raw: ServerResponse, reply: Reply, clock: Clock, gone: () => void): Promise<void> {
  if (reply.stream === undefined) {
    const body = reply.body ?? Buffer.alloc(0)
    raw.writeHead(reply.status, { ...reply.headers, 'content-length': body.length })
    raw.end(body)
    return
  }
  raw.writeHead(reply.status, reply.headers)
  const heart = heartbeat(raw, reply, clock)
  try {
    for (;;) {
      const { done, value } = await reply.stream.next()
      if (done || raw.destroyed) break
      heart.beatNotBefore(clock.ticks())
      if (!raw.write(value)) await drained(raw, clock, gone)
    }
  } finally {
    heart.stop()
    raw.end()
  }
}

function drained(raw: ServerResponse, clock: Clock, gone: () => void): Promise<void> {
  return new Promise(resolve => {
    const over = () => {
      cancel()
      raw.off('drain', over)
      raw.off('close', over)
      resolve()
    }
    const cancel = clock.after(WRITE_STALL_MS, () => {
      gone()
      raw.destroy()
    })
    raw.once('drain', over)
    raw.once('close', over)
  })
}

/** One timer for a stream: it is not set again at each write, but looks when it fires at how long ago the last one was. */
function heartbeat(raw: ServerResponse, { heartbeat: beat }: Reply, clock: Clock) {
  if (beat === undefined) return { beatNotBefore: () => {}, stop: () => {} }
  let last = clock.ticks()
  let cancel = clock.after(beat.everyMs, fire)
  function fire(): void {
    const silentMs = clock.ticks() - last
    const due = silentMs >= beat!.everyMs - 1
    // A client that does not read needs no sign of life from us.
    if (due && !raw.writableNeedDrain) raw.write(beat!.bytes)
    if (due) last = clock.ticks()
    cancel = clock.after(due ? beat!.everyMs : beat!.everyMs - silentMs, fire)
  }
  return {
    beatNotBefore(now: number) {
      last = now
    },
    stop: () => cancel(),
  }
}
