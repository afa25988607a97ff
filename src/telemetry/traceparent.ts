/* How a trace is handed from one process to the next, by W3C's Trace Context: taken from a call's headers, and given to an upstream's. */
import type { SpanContext } from '@opentelemetry/api'

export type Api = typeof import('@opentelemetry/api')

/** The headers of a request, names in lower case: `traceparent` and `tracestate` say which trace it belongs to. */
export type TraceHeaders = Readonly<Record<string, string | string[] | undefined>>

const LONGEST_STATE = 512

/** Names and values by turns. */
export function headersOf({ traceId, spanId, traceFlags, traceState }: SpanContext): readonly string[] {
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0')
  const state = traceState?.serialize() ?? ''
  return ['traceparent', `00-${traceId}-${spanId}-${flags}`, ...(state === '' ? [] : ['tracestate', state])]
}

/** As W3C's Trace Context has it; later versions begin with the same fields. What is not of that form is as good as not there. */
const TRACEPARENT = /^(?!ff)([\da-f]{2})-((?!0{32})[\da-f]{32})-((?!0{16})[\da-f]{16})-([\da-f]{2})(-.*)?$/

/** The span that a call came from; undefined: none that can be read. */
export function parentOf({ createTraceState }: Api, { traceparent, tracestate }: TraceHeaders): SpanContext | undefined {
  if (typeof traceparent !== 'string') return undefined
  const match = TRACEPARENT.exec(traceparent)
  if (match === null || (match[1] === '00' && match[5] !== undefined)) return undefined
  const state = Array.isArray(tracestate) ? tracestate.join(',') : tracestate
  return {
    traceId: match[2]!,
    spanId: match[3]!,
    traceFlags: Number.parseInt(match[4]!, 16) & 1,
    isRemote: true,
    ...(state !== undefined && state.length <= LONGEST_STATE && { traceState: createTraceState(state) }),
  }
}
