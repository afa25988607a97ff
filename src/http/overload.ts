/*
 * Refuses calls beyond the ceiling: before anything of them is looked at, with an answer that is ready. Even so a refusal costs half of a
 * small call, and callers that ask again at once would have the whole core spent on refusing them. They are told to wait, each for another
 * time, or they would all be back in one moment; and who does not is made to: a connection over which a call was refused is not read until the
 * time is over that its client was told, or until its turn comes, which is once for every few calls that are answered.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import { Fault } from '../core/fault.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Ceiling, ceiling } from './ceiling.ts'

export interface Overload {
  /** Refuses a call if it is one too many, and says whether it did. @param inFlight calls under way without it */
  refuses(inFlight: number, request: IncomingMessage, raw: ServerResponse): boolean
  /** Looks at the event loop from time to time. Returns what stops it. */
  watch(): () => void
}

export interface OverloadOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly random?: () => number
  /** What decides; one that a test moves by hand, or the real one when left out. */
  readonly decides?: Ceiling
}

const LOOK_EVERY_MS = 100
/** While calls are refused one line tells how many, so often: a line for each would cost what is missing. */
const TELL_EVERY_MS = 1_000
/** A body up to this is read over, which costs little beside answering it, so that the connection can be kept; before a longer one it is closed. */
const READ_OVER_BYTES = 1024 * 1024

const round = () => performance.nodeTiming.uvMetricsInfo.loopCount

/** What refused clients are told to wait is spread over this, or all that were refused in one moment would come back in another. */
const WAIT_MS = { least: 200, most: 3_000 }
/** Those that do not wait cannot be told from the others; so many calls are taken before one of all is read again. */
const TAKEN_PER_TURN = 3

const FAULT = new Fault('exhausted', {
  message: 'The gateway has more calls than it can answer at present. Try again.',
  code: 'overloaded',
  shouldRetry: true,
})
const BODY = Buffer.from(chat.refusal(FAULT)).toString('latin1')

/** A connection that is not read. */
interface Unread {
  readonly socket: Socket
  readonly untilTicks: number
}

export function overload(options: OverloadOptions): Overload {
  const { clock, log, metrics, random = Math.random, decides = ceiling({ round, nowMs: clock.ticks }) } = options
  let unread: Unread[] = []
  let taken = 0
  let refused = 0
  let tellAtTicks = 0

  function tell(): void {
    if (refused === 0 || clock.ticks() < tellAtTicks) return
    tellAtTicks = clock.ticks() + TELL_EVERY_MS
    metrics.count('llm_requests_total', ['none', 'none', 'none', String(FAULT.status), 'false'], refused)
    log.warn('overloaded', { refused })
    refused = 0
  }

  function leaveUnread(socket: Socket, ms: number): void {
    if (socket.destroyed) return
    socket.pause()
    // Due ones are looked for from time to time; who waits as told finds his connection read.
    unread.push({ socket, untilTicks: clock.ticks() + ms - LOOK_EVERY_MS })
  }

  function readAgain(now = clock.ticks()): void {
    if (unread.length === 0) return
    for (const { socket, untilTicks } of unread) if (untilTicks <= now) socket.resume()
    unread = unread.filter(({ untilTicks }) => untilTicks > now)
  }

  return {
    refuses(inFlight, request, raw) {
      if (decides.allows(inFlight)) {
        if (++taken % TAKEN_PER_TURN === 0) unread.shift()?.socket.resume()
        return false
      }
      refused++
      const waitMs = Math.round(WAIT_MS.least + random() * (WAIT_MS.most - WAIT_MS.least))
      // Who waits to be asked for a body need not send it after this, and the next call would be read as one.
      const { expect, 'content-length': length = READ_OVER_BYTES + 1 } = request.headers
      const closes = expect !== undefined || !(Number(length) <= READ_OVER_BYTES)
      const headers = [
        'content-type',
        'application/json; charset=utf-8',
        'content-length',
        String(BODY.length),
        'x-request-id',
        randomUUID(),
        'x-should-retry',
        'true',
        'retry-after',
        String(Math.ceil(waitMs / 1_000)),
        'retry-after-ms',
        String(waitMs),
      ]
      if (closes) headers.push('connection', 'close')
      raw.writeHead(FAULT.status, headers)
      raw.end(BODY, 'latin1')
      const { socket } = request
      if (closes) raw.once('finish', () => request.destroy())
      else request.resume().once('end', () => leaveUnread(socket, waitMs))
      return true
    },
    watch() {
      let before = performance.eventLoopUtilization()
      let beforeTicks = clock.ticks()
      let roundBefore = round()
      let cancel = clock.after(LOOK_EVERY_MS, look)
      function look(): void {
        const now = performance.eventLoopUtilization()
        const ticks = clock.ticks()
        const at = round()
        const { utilization, active } = performance.eventLoopUtilization(now, before)
        decides.look({ ms: ticks - beforeTicks, utilization, roundMs: active / (at - roundBefore) })
        ;[before, beforeTicks, roundBefore] = [now, ticks, at]
        readAgain()
        tell()
        cancel = clock.after(LOOK_EVERY_MS, look)
      }
      return () => {
        cancel()
        readAgain(Number.POSITIVE_INFINITY)
        tellAtTicks = 0
        tell()
      }
    },
  }
}
