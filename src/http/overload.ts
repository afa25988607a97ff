/*
 * Refuses calls beyond the ceiling: before anything of them is looked at, with an answer that is ready. Even so a refusal costs half of a
 * small call, and callers that ask again at once would have the whole core spent on refusing them. So they are told to wait, the longer the
 * more of them there are, and each for another time, or they would all be back in one moment. Who does not wait is made to: a connection
 * over which a call was refused is not read until the time is over that its client was told, or until its turn comes: one is read for every
 * few calls that are taken, and more of them while there is time for all who call.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Ceiling, ceiling } from './ceiling.ts'
import { overloaded } from './refusals.ts'
import type { Turns } from './turns.ts'

export interface Overload {
  /**
   * Refuses a call if it is one too many, and says whether it did.
   * @param inFlight calls under way without it
   * @param bytes of their bodies
   */
  refuses(inFlight: number, bytes: number, request: IncomingMessage, raw: ServerResponse): boolean
  /** Whether so many bytes of bodies are as many as can be held. */
  isFull(bytes: number): boolean
  /** Looks from time to time at what calls found. Returns what stops it. */
  watch(): () => void
}

export interface OverloadOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Those that the calls take that are not refused. */
  readonly turns: Turns
  readonly random?: () => number
  /** Of the bodies of all calls under way, how many are held. */
  readonly mostBytes: number
  /** What decides; one that a test moves by hand, or the real one when left out. */
  readonly decides?: Ceiling
}

const LOOK_EVERY_MS = 100
/** While calls are refused one line tells how many, so often: a line for each would cost what is missing. */
const TELL_EVERY_MS = 1_000
/** A body up to this is read over, which costs little beside answering it, so that the connection can be kept; before a longer one it is closed. */
const READ_OVER_BYTES = 1024 * 1024

/** What refused clients are told to wait is spread over this, or all that were refused in one moment would come back in another. */
const WAIT_MS = { least: 200, most: 500 }
/** With thousands of them it is spread over more, up to this: SDKs believe what is told up to a minute, people do not wait for it. */
const LONGEST_WAIT_MS = 30_000
/** So many calls are begun for each that comes back: for that the spread is long enough. */
const BEGUN_PER_RETURN = 10
/**
 * Those that do not wait cannot be told from the others. One of all is read again for so many calls that are taken, and for each that finds
 * nobody waiting; and so many at each look before which nobody waited.
 */
const TAKEN_PER_TURN = 3
const TURNS_PER_LOOK = 32

const FAULT = overloaded()
const BODY = Buffer.from(chat.refusal(FAULT)).toString('latin1')

export function overload(options: OverloadOptions): Overload {
  const { clock, log, metrics, turns, mostBytes, random = Math.random, decides = ceiling() } = options
  /** Who was told to wait, and until when. */
  const told = new Map<Socket, number>()
  /** Those of them whose connections are not read. */
  let unread: Socket[] = []
  let taken = 0
  /** Calls; as it was when any was begun. */
  let begunPerMs = Number.POSITIVE_INFINITY
  let shortestWaitMs = Number.POSITIVE_INFINITY
  const isFull = (bytes: number) => bytes >= mostBytes
  let refused = 0
  let refusedForBytes = 0
  let tellAtTicks = 0

  function tell(): void {
    if (refused === 0 || clock.ticks() < tellAtTicks) return
    tellAtTicks = clock.ticks() + TELL_EVERY_MS
    metrics.count('llm_requests_total', ['none', 'none', 'none', String(FAULT.status), 'false'], refused)
    log.warn('overloaded', { refused, ...(refusedForBytes > 0 && { forMemory: refusedForBytes }) })
    refused = 0
    refusedForBytes = 0
  }

  function leaveUnread(socket: Socket, ms: number): void {
    if (socket.destroyed) return
    socket.pause()
    // Due ones are looked for from time to time; who waits as told finds his connection read.
    told.set(socket, clock.ticks() + ms - LOOK_EVERY_MS)
    unread.push(socket)
  }

  function readAgain(now = clock.ticks()): void {
    if (told.size === 0) return
    unread = unread.filter(socket => {
      // One that has closed is no longer among those who were told.
      if (told.get(socket)! > now) return true
      socket.resume()
      return false
    })
    for (const [socket, untilTicks] of told) if (untilTicks <= now || socket.destroyed) told.delete(socket)
  }

  function takeTurns(most: number): void {
    if (unread.length === 0) return
    for (const socket of unread.splice(0, most)) socket.resume()
  }

  /** How long it would take to begin the calls of all who were told to wait. */
  const owedMs = () => told.size / begunPerMs

  /** How long who is refused now has to wait. */
  function waitMs(): number {
    const most = Math.max(WAIT_MS.most, Math.min(LONGEST_WAIT_MS, 2 * BEGUN_PER_RETURN * owedMs()))
    return Math.round(WAIT_MS.least + random() * (most - WAIT_MS.least))
  }

  return {
    isFull,
    refuses(inFlight, bytes, request, raw) {
      const waitedMs = turns.waitedMs()
      if (waitedMs < shortestWaitMs) shortestWaitMs = waitedMs
      const hasRoom = !isFull(bytes)
      if (hasRoom && decides.allows(inFlight, waitedMs)) {
        taken++
        if (waitedMs === 0 || taken % TAKEN_PER_TURN === 0) takeTurns(1)
        return false
      }
      refused++
      if (!hasRoom) refusedForBytes++
      const ms = waitMs()
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
        String(Math.ceil(ms / 1_000)),
        'retry-after-ms',
        String(ms),
      ]
      if (closes) headers.push('connection', 'close')
      raw.writeHead(FAULT.status, headers)
      raw.end(BODY, 'latin1')
      const { socket } = request
      if (closes) raw.once('finish', () => request.destroy())
      else request.resume().once('end', () => leaveUnread(socket, ms))
      return true
    },
    watch() {
      let beforeTicks = clock.ticks()
      let usedBefore = performance.eventLoopUtilization()
      let begunBefore = turns.begun()
      let cancel = clock.after(LOOK_EVERY_MS, look)
      function look(): void {
        const ticks = clock.ticks()
        const ms = ticks - beforeTicks
        const used = performance.eventLoopUtilization()
        const { utilization } = performance.eventLoopUtilization(used, usedBefore)
        const begun = turns.begun()
        if (begun > begunBefore) begunPerMs = (begun - begunBefore) / ms
        const waitedMs = Number.isFinite(shortestWaitMs) ? shortestWaitMs : 0
        decides.look({ ms, waitedMs, utilization, owedMs: owedMs() })
        beforeTicks = ticks
        usedBefore = used
        begunBefore = begun
        shortestWaitMs = Number.POSITIVE_INFINITY
        readAgain()
        // If nobody else calls, nobody's call would let them in.
        if (waitedMs === 0) takeTurns(TURNS_PER_LOOK)
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
