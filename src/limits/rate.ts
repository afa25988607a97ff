/** What a client is told of its limits of requests and tokens: OpenAI's headers, and the refusal. */
import { Fault } from '../core/fault.ts'
import { type LimitName, type Limits, MINUTE_MS } from '../core/limits.ts'

/** Requests and tokens that remain of a minute's. */
export interface Remaining {
  rpm: number
  tpm: number
}

const NAMES = [
  ['rpm', 'requests'],
  ['tpm', 'tokens'],
] as const

/** `x-ratelimit-*`, names in lower case, of the limits that there are. */
export type LimitHeaders = (remaining: Readonly<Remaining>, nowMs: number) => Record<string, string>

export function limitHeaders(limits: Limits): LimitHeaders {
  const told = NAMES.flatMap(([name, noun]) => {
    const [limit, of, left, reset] = [limits[name], ...['limit', 'remaining', 'reset'].map(what => `x-ratelimit-${what}-${noun}`)]
    return limit === undefined ? [] : [{ name, limit, text: String(limit), of: of!, left: left!, reset: reset! }]
  })
  return (remaining, nowMs) => {
    const headers: Record<string, string> = {}
    for (const { name, limit, text, of, left, reset } of told) {
      const remains = Math.min(limit, Math.max(0, Math.floor(remaining[name])))
      headers[of] = text
      headers[left] = String(remains)
      headers[reset] = durationText(remains >= limit ? 0 : fullAgainMs(nowMs))
    }
    return headers
  }
}

/** The window slides: what was used in this minute counts less and less through the next one, and is forgotten at its end. */
function fullAgainMs(nowMs: number): number {
  return 2 * MINUTE_MS - (nowMs % MINUTE_MS)
}

/** As OpenAI writes it: `6ms`, `1.5s`, `2m0s`. */
export function durationText(ms: number): string {
  const whole = Math.ceil(ms)
  if (whole < 1_000) return whole === 0 ? '0s' : `${whole}ms`
  const minutes = Math.floor(whole / MINUTE_MS)
  const seconds = `${(whole % MINUTE_MS) / 1_000}s`
  return minutes === 0 ? seconds : `${minutes}m${seconds}`
}

/** Nobody knows when a call in flight will end; so soon it is worth another try. */
const CALL_ENDS_MS = 1_000

/** @param retryAfterMs when it would fit */
export function limitRefusal(name: LimitName, limits: Limits, retryAfterMs: number): Fault {
  const limit = limits[name]!
  if (name === 'concurrency') {
    return new Fault('rate-limited', {
      message: `Rate limit reached: this API key may have ${limit} requests in flight. Please try again when one has ended.`,
      retryAfterMs: CALL_ENDS_MS,
    })
  }
  const noun = name === 'rpm' ? 'requests' : 'tokens'
  return new Fault('rate-limited', {
    message: `Rate limit reached for ${noun} per minute: the limit is ${limit}. Please try again in ${durationText(retryAfterMs)}.`,
    retryAfterMs,
  })
}
