/** What reached a simulator, and what became of it. */

/** One request. Fields change until it has ended. */
export interface SimulatedCall {
  /** When it had been read, in milliseconds since 1970. */
  readonly at: number
  /** `inquiry`: for the list of models. `unknown`: nothing that the API has. `refused`: a connection that ended as it opened. */
  readonly kind: 'call' | 'inquiry' | 'unknown' | 'refused'
  /** Empty for a connection that was refused as it opened. */
  readonly method: string
  /** As it came, query included. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** The JSON; undefined where it was none, and where it has been let go of to save memory. */
  readonly body: unknown
  readonly model: string | undefined
  readonly stream: boolean
  /** The rule of the script that was carried out, from 0. */
  readonly rule?: number | undefined
  /**
   * `answered`: a complete answer, however slowly it came. `faulted`: anything else that the simulator did, by a rule or because the call
   * was bad. `aborted`: the client left, or the simulator was closed. Undefined while the call is open.
   */
  readonly ended: SimulatedEnding | undefined
  readonly tokensSent: number
}

export type SimulatedEnding = 'answered' | 'faulted' | 'aborted'

export interface SimulatedCounts {
  readonly total: number
  readonly answered: number
  readonly faulted: number
  readonly aborted: number
  readonly open: number
  /** Of all these, those that asked for an answer and got as far as being read. */
  readonly calls: number
}

/** A call that is being written down. */
export interface Entry {
  /** Counts tokens as they go out. */
  sent(tokens: number): void
  /** The first one counts. */
  end(ending: SimulatedEnding): void
}

export interface Ledger {
  readonly calls: readonly SimulatedCall[]
  readonly counts: SimulatedCounts
  /** `size`: the bytes of the body. */
  begin(call: Omit<SimulatedCall, 'ended' | 'tokensSent'>, size: number): Entry
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

const MAX_CALLS = 10_000
/** Of the bodies that are kept; a benchmark with large prompts would fill the memory otherwise. */
const MAX_BODY_BYTES = 64 * 1024 ** 2

/** @param ended told of every request, once, as it ends */
export function createLedger(ended?: (call: SimulatedCall) => void): Ledger {
  const calls: Writable<SimulatedCall>[] = []
  const counts: Writable<SimulatedCounts> = { total: 0, answered: 0, faulted: 0, aborted: 0, open: 0, calls: 0 }
  const bodies: { readonly call: Writable<SimulatedCall>; readonly size: number }[] = []
  let bodyBytes = 0

  function keepBody(call: Writable<SimulatedCall>, size: number): void {
    if (size === 0) return
    bodies.push({ call, size })
    bodyBytes += size
    while ((bodyBytes > MAX_BODY_BYTES && bodies.length > 1) || bodies.length > MAX_CALLS) {
      const oldest = bodies.shift()!
      oldest.call.body = undefined
      bodyBytes -= oldest.size
    }
  }

  return {
    calls,
    counts,
    begin(about, size) {
      const call: Writable<SimulatedCall> = { ...about, ended: undefined, tokensSent: 0 }
      calls.push(call)
      if (calls.length > MAX_CALLS) calls.shift()
      keepBody(call, size)
      counts.total++
      counts.open++
      if (about.kind === 'call') counts.calls++
      return {
        sent(tokens) {
          call.tokensSent += tokens
        },
        end(ending) {
          if (call.ended !== undefined) return
          call.ended = ending
          counts.open--
          counts[ending]++
          ended?.(call)
        },
      }
    },
  }
}
