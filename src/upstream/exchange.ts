/*
 * One HTTP request to an upstream and its answer, read by pulling: what the caller does not read stays in the socket, so a client that
 * stops reading stops the upstream too. Times are not kept here but around the attempt; whoever keeps them calls `abort`.
 */
import type { Dispatcher } from 'undici'
import { Fault } from '../core/fault.ts'
import type { UpstreamHeaders } from '../core/provider.ts'
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

/** Who waits for a body that is read at once. */
interface Gatherer {
  resolve(body: Buffer): void
  reject(fault: Fault): void
}

/** Above this many unread bytes the upstream is paused. */
const HIGH_WATER_BYTES = 64 * 1024

export function exchange(pools: Pools, sending: Sending): Exchange {
  let controller: Dispatcher.DispatchController | undefined
  let failure: Fault | undefined
  let complete = false
  let headSeen = false
  let replayed = false
  let sends = 0
  let settleHead!: { resolve(answered: Answered): void; reject(fault: Fault): void }
  let waiting: Reader | undefined
  /** The rest of the body is wanted at once. */
  let gathering: { take(chunk: Buffer): void; end(): void; reject(fault: Fault): void } | undefined
  let unread: Buffer[] = []
  let unreadBytes = 0

  const head = new Promise<Answered>((resolve, reject) => {
    settleHead = { resolve, reject }
  })

  function fail(fault: Fault): void {
    if (failure !== undefined || complete) return
    failure = fault
    unread = []
    // The caller may have gone on to something else; its own reading of `head` still rejects.
    head.catch(() => undefined)
    settleHead.reject(fault)
    give()?.fail(fault)
    gathering?.reject(fault)
  }

  const receiver: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started
      if (failure === undefined) sends++
      else started.abort(failure)
    },
    onResponseStart(_, status, headers) {
      if (status < 200) return
      headSeen = true
      const head = { status, headers: headers as UpstreamHeaders }
      const mostBytes = sending.atOnce?.(head)
      if (mostBytes === undefined) return settleHead.resolve(head)
      gather(mostBytes, sending.onChunk, { resolve: body => settleHead.resolve({ ...head, body }), reject: settleHead.reject })
    },
    onResponseData(started, chunk) {
      if (gathering !== undefined) return gathering.take(chunk)
      if (waiting !== undefined) return give()!.take(chunk)
      unread.push(chunk)
      unreadBytes += chunk.length
      if (unreadBytes > HIGH_WATER_BYTES) started.pause()
    },
    onResponseEnd() {
      if (failure !== undefined) return
      complete = true
      give()?.take(undefined)
      gathering?.end()
    },
    onResponseError(_, error) {
      if (failure === undefined && !headSeen && !replayed && isOfReusedConnection(error)) {
        replayed = true
        controller = undefined
        dispatch(pools.fresh(sending.origin, sending.connectMs))
        return
      }
      fail(transportFault(error, headSeen))
    },
  }

  function dispatch(pool: Dispatcher): void {
    const { path, headers, body } = sending
    try {
      pool.dispatch({ path, method: 'POST', headers: headers as string[], body }, receiver)
    } catch (error) {
      fail(transportFault(error as Error, false))
    }
  }

  dispatch(pools.kept(sending.origin, sending.connectMs))

  function read(reader: Reader): void {
    const chunk = unread.shift()
    if (chunk !== undefined) {
      unreadBytes -= chunk.length
      if (controller?.paused && unreadBytes <= HIGH_WATER_BYTES) controller.resume()
      reader.take(chunk)
    } else if (failure !== undefined) reader.fail(failure)
    else if (complete) reader.take(undefined)
    else waiting = reader
  }

  /** Who waits for a read, and then no longer does. */
  function give(): Reader | undefined {
    const reader = waiting
    waiting = undefined
    return reader
  }

  function rest(maxBytes: number): Promise<Buffer> {
    if (failure !== undefined) return Promise.reject(failure)
    return new Promise((resolve, reject) => {
      gather(maxBytes, undefined, { resolve, reject })
      if (complete) gathering!.end()
      else if (controller?.paused) controller.resume()
    })
  }

  /** From now on the body is kept until it is complete; what has been read before is a part of it. */
  function gather(maxBytes: number, onChunk: (() => void) | undefined, { resolve, reject }: Gatherer): void {
    const chunks = unread
    let bytes = unreadBytes
    unread = []
    unreadBytes = 0
    gathering = {
      take(chunk) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > maxBytes) abort(new Fault('upstream-garbled', { detail: `the answer is larger than ${maxBytes} bytes` }))
        else onChunk?.()
      },
      end: () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)),
      reject,
    }
  }

  function abort(fault: Fault): void {
    const over = complete || failure !== undefined
    fail(fault)
    if (!over) controller?.abort(fault)
  }

  return {
    head,
    read,
    rest,
    sends: () => sends,
    abort,
  }
}

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
