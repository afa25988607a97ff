/*
 * One HTTP request to an upstream and its answer, read by pulling: what the caller does not read stays in the socket, so a client that
 * stops reading stops the upstream too. Times are not kept here but around the attempt; whoever keeps them calls `abort`.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { Fault } from '../core/fault.ts'
import type { UpstreamHeaders } from '../core/provider.ts'
import { together } from '../core/round.ts'
import { isOfReusedConnection, type Pools } from './pools.ts'

export interface Sending {
  readonly origin: string
  readonly path: string
  /** Names and values by turns. */
  readonly headers: readonly string[]
  readonly body: Uint8Array | string
  readonly connectMs: number
  /**
   * Asked when the head is there: how many bytes of the body are read at once, and come with it; past that it is upstream-garbled. Undefined,
   * or left out: none, the body is read piece by piece.
   */
  readonly atOnce?: (head: Head) => number | undefined
  /** Told of each part of a body that is read at once. */
  readonly onChunk?: () => void
}

export interface Head {
  readonly status: number
  readonly headers: UpstreamHeaders
}

export interface Answered extends Head {
  /** All of it, where it was read at once. */
  readonly body?: Buffer
}

export interface Exchange {
  /** Settles with the head of the answer, or rejects with a Fault. */
  readonly head: Promise<Answered>
  /** Asks for the next read of the body. The reader is told once, perhaps before this returns. One at a time. */
  read(reader: Reader): void
  /** All of the body that has not been read yet, at once. Rejects with upstream-garbled past `maxBytes`. */
  rest(maxBytes: number): Promise<Buffer>
  /** How often the request has been put on a connection: 0 while there is none, 2 when a used one died under it. */
  sends(): number
  /** Ends the exchange from our side: all that waits rejects with `fault`, and the connection is closed unless the answer was complete. */
  abort(fault: Fault): void
}

/** Who reads a body piece by piece. A stream has thousands of reads: so it is told of them, and not promised each. */
export interface Reader {
  /** The next read; undefined at the proper end of the body. Must not throw. */
  take(chunk: Buffer | undefined): void
  fail(fault: Fault): void
}

/** Above this many unread bytes the upstream is paused. */
const HIGH_WATER_BYTES = 64 * 1024

export function exchange(pools: Pools, sending: Sending): Exchange {
  return new Sent(pools, sending)
}

/** Who waits for all of a body. */
interface Gathering {
  readonly mostBytes: number
  readonly onChunk: (() => void) | undefined
  resolve(body: Buffer): void
  reject(fault: Fault): void
}

/** One object for each exchange, and not a dozen functions that share its variables: there is one for every call. */
class Sent implements Exchange, Dispatcher.DispatchHandler {
  readonly head: Promise<Answered>
  private readonly pools: Pools
  private readonly sending: Sending
  private settleHead!: (answered: Answered) => void
  private rejectHead!: (fault: Fault) => void
  private controller: Dispatcher.DispatchController | undefined
  private failure: Fault | undefined
  private complete = false
  private headSeen = false
  private replayed = false
  private sent = 0
  private waiting: Reader | undefined
  private gathering: Gathering | undefined
  /** What has come and nobody has asked for yet; while it is gathered, all that has come. */
  private unread: Buffer[] = []
  private unreadBytes = 0

  constructor(pools: Pools, sending: Sending) {
    this.pools = pools
    this.sending = sending
    this.head = new Promise((resolve, reject) => {
      this.settleHead = resolve
      this.rejectHead = reject
    })
    this.dispatch(pools.kept(sending.origin, sending.connectMs))
  }

  private dispatch(pool: Dispatcher): void {
    const { path, headers, body } = this.sending
    try {
      pool.dispatch({ path, method: 'POST', headers: headers as string[], body }, this)
    } catch (error) {
      this.fail(transportFault(error as Error, false))
    }
  }

  private fail(fault: Fault): void {
    if (this.failure !== undefined || this.complete) return
    this.failure = fault
    this.unread = []
    // The caller may have gone on to something else; its own reading of `head` still rejects.
    this.head.catch(() => undefined)
    this.rejectHead(fault)
    this.give()?.fail(fault)
    this.gathering?.reject(fault)
  }

  onRequestStart(started: Dispatcher.DispatchController): void {
    this.controller = started
    if (this.failure === undefined) this.sent++
    else started.abort(this.failure)
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return
    this.headSeen = true
    const head = { status, headers: headers as UpstreamHeaders }
    const { atOnce, onChunk } = this.sending
    const mostBytes = atOnce?.(head)
    if (mostBytes === undefined) return this.settleHead(head)
    const resolve = (body: Buffer) => this.settleHead({ status, headers: head.headers, body })
    this.gathering = { mostBytes, onChunk, resolve, reject: this.rejectHead }
  }

  onResponseData(started: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.waiting !== undefined) return this.give()!.take(chunk)
    this.unread.push(chunk)
    this.unreadBytes += chunk.length
    if (this.gathering !== undefined) this.hasGathered(this.gathering)
    else if (this.unreadBytes > HIGH_WATER_BYTES) started.pause()
  }

  onResponseEnd(): void {
    if (this.failure !== undefined) return
    if (this.gathering !== undefined) return gathered(this)
    this.complete = true
    this.give()?.take(undefined)
  }

  /** All of a body is there, unless something has ended the exchange meanwhile. */
  gathered(): void {
    if (this.failure !== undefined) return
    this.complete = true
    this.settleGathering(this.gathering!)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.failure === undefined && !this.headSeen && !this.replayed && isOfReusedConnection(error)) {
      this.replayed = true
      this.controller = undefined
      return this.dispatch(this.pools.fresh(this.sending.origin, this.sending.connectMs))
    }
    this.fail(transportFault(error, this.headSeen))
  }

  read(reader: Reader): void {
    const chunk = this.unread.shift()
    if (chunk !== undefined) {
      this.unreadBytes -= chunk.length
      if (this.controller?.paused && this.unreadBytes <= HIGH_WATER_BYTES) this.controller.resume()
      reader.take(chunk)
    } else if (this.failure !== undefined) reader.fail(this.failure)
    else if (this.complete) reader.take(undefined)
    else this.waiting = reader
  }

  /** Who waits for a read, and then no longer does. */
  private give(): Reader | undefined {
    const reader = this.waiting
    this.waiting = undefined
    return reader
  }

  rest(mostBytes: number): Promise<Buffer> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      this.gathering = { mostBytes, onChunk: undefined, resolve, reject }
      if (this.complete) this.settleGathering(this.gathering)
      else if (this.controller?.paused) this.controller.resume()
    })
  }

  private hasGathered({ mostBytes, onChunk }: Gathering): void {
    if (this.unreadBytes > mostBytes)
      this.abort(new Fault('upstream-garbled', { detail: `the answer is larger than ${mostBytes} bytes` }))
    else onChunk?.()
  }

  private settleGathering({ resolve }: Gathering): void {
    const chunks = this.unread
    resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  }

  sends(): number {
    return this.sent
  }

  abort(fault: Fault): void {
    const over = this.complete || this.failure !== undefined
    this.fail(fault)
    if (!over) this.controller?.abort(fault)
  }
}

const gathered = together(setImmediate, (sent: Sent) => sent.gathered())

/** This machine's own trouble: no descriptors, no ports, no network, no name server. */
const HOST_CODES: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'EADDRNOTAVAIL',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
])

/** Error classes and codes of undici are not uniform, so the phase decides; codes only refine it. */
function transportFault(error: Error & { code?: string; cause?: unknown }, inBody: boolean): Fault {
  if (error instanceof Fault) return error
  const code = error.code ?? (error.cause as { code?: string } | undefined)?.code
  const detail = `${code ?? error.name}: ${error.message}`.slice(0, 300)
  if (inBody) return new Fault('upstream-truncated', { detail })
  if (code === 'CONNECT_TIMEOUT') return new Fault('upstream-timeout', { detail })
  if (error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'UND_ERR_NOT_SUPPORTED')
    return new Fault('upstream-garbled', { detail })
  return new Fault('upstream-unreachable', { detail, blameless: code !== undefined && HOST_CODES.has(code) })
}
