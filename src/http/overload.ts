/*
 * Refuses calls beyond the ceiling: before anything of them is looked at, with an answer that is ready. Even so a refusal costs a good part
 * of a small call, and callers that ask again at once would have the whole core spent on refusing them. They are told to wait, and who
 * does not is made to: a connection over which a call was refused is not read until the time is over that its client was told.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
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
  watch(inFlight: () => number): () => void
}

export interface OverloadOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** What decides; one that a test moves by hand, or the real one when left out. */
  readonly decides?: Ceiling
}

const LOOK_EVERY_MS = 100
const RESOLUTION_MS = 10
/** While calls are refused one line tells how many, so often: a line for each would cost what is missing. */
const TELL_EVERY_MS = 1_000
/** A body up to this is read over, so that the connection can be kept; before a longer one it is closed. */
const SMALL_BODY_BYTES = 64 * 1024

/** What a refused client is told to wait. */
const WAIT_MS = 1_000

const FAULT = new Fault('exhausted', {
  message: 'The gateway has more calls than it can answer at present. Try again.',
  code: 'overloaded',
  shouldRetry: true,
  retryAfterMs: WAIT_MS,
})
const BODY = Buffer.from(chat.refusal(FAULT)).toString('latin1')

export function overload({ clock, log, metrics, decides = ceiling() }: OverloadOptions): Overload {
  /** In the order in which they are read again. */
  let unread: { readonly socket: Socket; readonly untilTicks: number }[] = []
  let refused = 0
  let tellAtTicks = 0

  function tell(): void {
    if (refused === 0 || clock.ticks() < tellAtTicks) return
    tellAtTicks = clock.ticks() + TELL_EVERY_MS
    metrics.count('llm_requests_total', ['none', 'none', 'none', String(FAULT.status), 'false'], refused)
    log.warn('overloaded', { refused, ceiling: decides.most() })
    refused = 0
  }

  function leaveUnread(socket: Socket): void {
    socket.pause()
    unread.push({ socket, untilTicks: clock.ticks() + WAIT_MS })
  }

  function readAgain(now = clock.ticks()): void {
    const first = unread.findIndex(({ untilTicks }) => untilTicks > now)
    const due = first === -1 ? unread : unread.slice(0, first)
    if (due.length > 0) unread = first === -1 ? [] : unread.slice(first)
    for (const { socket } of due) socket.resume()
  }

  return {
    refuses(inFlight, request, raw) {
      if (inFlight < decides.most()) return false
      refused++
      const closes = !(Number(request.headers['content-length'] ?? SMALL_BODY_BYTES + 1) <= SMALL_BODY_BYTES)
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
        String(WAIT_MS / 1_000),
      ]
      if (closes) headers.push('connection', 'close')
      raw.writeHead(FAULT.status, headers)
      raw.end(BODY, 'latin1')
      const { socket } = request
      if (closes) raw.once('finish', () => request.destroy())
      else request.resume().once('end', () => leaveUnread(socket))
      return true
    },
    watch(inFlight) {
      const rounds = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      rounds.enable()
      let before: EventLoopUtilization = performance.eventLoopUtilization()
      const timer = setInterval(() => {
        const now = performance.eventLoopUtilization()
        const { utilization } = performance.eventLoopUtilization(now, before)
        before = now
        const isKnown = rounds.count > 0
        decides.look({
          utilization,
          leastRoundMs: isKnown ? rounds.min / 1e6 : undefined,
          meanRoundMs: isKnown ? rounds.mean / 1e6 : undefined,
          inFlight: inFlight(),
        })
        rounds.reset()
        readAgain()
        tell()
      }, LOOK_EVERY_MS)
      timer.unref()
      return () => {
        clearInterval(timer)
        rounds.disable()
        readAgain(Number.POSITIVE_INFINITY)
        tellAtTicks = 0
        tell()
      }
    },
  }
}
