/*
 * How long a provider asks to be left alone. Some say it in a header (seconds, a date, milliseconds), some by when a limit is full again
 * (a duration, seconds, a moment), some in the body, some only in the sentence meant for people. All of them are guesses of theirs, so
 * this one is generous in reading and strict in range: nonsense is nothing, zero is nothing, and nothing is longer than an hour.
 */
import { asObject } from '../../core/json.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { told } from './told.ts'

const LONGEST_MS = 3_600_000
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const DURATION = '(?:\\d+(?:\\.\\d+)?(?:ns|us|µs|ms|s|m|h|d))+'
const WHOLE_DURATION = new RegExp(`^${DURATION}$`)
const SPOKEN = new RegExp(
  `\\b(?:(?:try|retry)(?: your request)?(?: again)? (?:in|after)|retry after|wait(?: for)?)\\s+(?:about |at least )?` +
    `(?:(${DURATION})(?![\\w])|(\\d+(?:\\.\\d+)?)\\s*(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|hours?|days?)\\b)`,
  'i',
)
/** What a limit's header is called: `x-ratelimit-reset-tokens`, `x-rate-limit-reset`, `anthropic-ratelimit-input-tokens-reset`. */
const RESET = /^(?:x-)?(?:[a-z]+-)?rate-?limit-(?:(.+)-)?reset(?:-(.+))?$/

/**
 * The wait that a failed answer asks for, in milliseconds from 1 to 3,600,000; undefined where it asks for none. Of what the headers say
 * and what the body says, the longer.
 */
export function retryAfterMs(failure: UpstreamFailure): number | undefined {
  const now = momentOf(failure)
  const header = explicitMs(failure, now) ?? resetMs(headersOf(failure), now)
  const body = bodyMs(failure, now)
  const longest = Math.max(header ?? 0, body ?? 0)
  return longest > 0 ? Math.max(1, Math.round(Math.min(longest, LONGEST_MS))) : undefined
}

/** The provider's own clock, by which its dates are meant; ours where it does not show it; undefined where neither is known. */
function momentOf(failure: UpstreamFailure): number | undefined {
  const date = Date.parse(headerOf(failure, 'date') ?? '')
  if (Number.isFinite(date)) return date
  return failure.receivedMs > 0 ? failure.receivedMs : undefined
}

function explicitMs(failure: UpstreamFailure, now: number | undefined): number | undefined {
  const precise = positive(numberIn(headerOf(failure, 'retry-after-ms')))
  if (precise !== undefined) return precise
  const text = headerOf(failure, 'retry-after')?.trim()
  if (text === undefined || text === '') return undefined
  const seconds = numberIn(text)
  if (seconds !== undefined) return positive(seconds * 1_000)
  return durationMs(text) ?? untilMs(Date.parse(text), now)
}

/**
 * Of several limits only the spent ones made the provider refuse: they decide, by the longest. Where no limit says what remains of it,
 * all count as spent; where none is spent, this call alone was too much for one of them, and the shortest wait is worth a try.
 */
function resetMs(headers: ReadonlyMap<string, string>, now: number | undefined): number | undefined {
  const spent: number[] = []
  const others: number[] = []
  for (const [name, value] of headers) {
    const match = RESET.exec(name)
    if (match === null) continue
    const wait = resetValueMs(value.trim(), now)
    if (wait === undefined) continue
    const remaining = numberIn(headers.get(name.replace(/reset(?!.*reset)/, 'remaining')))
    if (remaining === undefined || remaining <= 0) spent.push(wait)
    else others.push(wait)
  }
  if (spent.length > 0) return Math.max(...spent)
  return others.length > 0 ? Math.min(...others) : undefined
}

function resetValueMs(text: string, now: number | undefined): number | undefined {
  const number = numberIn(text)
  if (number === undefined) return durationMs(text) ?? untilMs(Date.parse(text), now)
  if (number > 1e11) return untilMs(number, now)
  if (number > 1e9) return untilMs(number * 1_000, now)
  return positive(number * 1_000)
}

function bodyMs(failure: UpstreamFailure, now: number | undefined): number | undefined {
  const waits: (number | undefined)[] = [spokenMs(told(failure).message)]
  const body = asObject(Array.isArray(failure.body) ? failure.body[0] : failure.body)
  const error = asObject(body?.error)
  for (const place of [body, error, asObject(error?.availability), asObject(error?.metadata)]) {
    for (const key of ['retry_after', 'retry_after_seconds', 'retryDelay']) waits.push(valueMs(place?.[key]))
    waits.push(positive(finite(place?.retry_after_ms)))
  }
  const details = error?.details
  if (Array.isArray(details)) for (const detail of details) waits.push(valueMs(asObject(detail)?.retryDelay))
  const headers = asObject(asObject(error?.metadata)?.headers)
  if (headers !== undefined) waits.push(resetMs(namesInLowerCase(headers), now))
  const known = waits.filter(wait => wait !== undefined)
  return known.length > 0 ? Math.max(...known) : undefined
}

/** A number of seconds, or a duration such as "48.93s". */
function valueMs(value: unknown): number | undefined {
  if (typeof value === 'number') return positive(value * 1_000)
  if (typeof value !== 'string') return undefined
  const seconds = numberIn(value)
  return seconds === undefined ? durationMs(value.trim()) : positive(seconds * 1_000)
}

function spokenMs(message: string): number | undefined {
  const match = SPOKEN.exec(message)
  if (match === null) return undefined
  if (match[1] !== undefined) return durationMs(match[1].toLowerCase())
  const unit = match[3]!.toLowerCase()
  const letter = unit.startsWith('milli') || unit === 'ms' ? 'ms' : unit[0]!
  return positive(Number(match[2]) * (UNIT_MS[letter] ?? 0))
}

/** "1m30.5s", "12ms", "6h0m0s". */
function durationMs(text: string): number | undefined {
  if (!WHOLE_DURATION.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g))
    sum += Number(amount) * (UNIT_MS[unit!] ?? 0)
  return positive(sum)
}

function untilMs(moment: number, now: number | undefined): number | undefined {
  return now === undefined ? undefined : positive(moment - now)
}

function positive(ms: number | undefined): number | undefined {
  return ms !== undefined && Number.isFinite(ms) && ms > 0 ? ms : undefined
}

function finite(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*-?\d+(?:\.\d+)?\s*$/.test(text) ? Number(text) : undefined
}

function headerOf(failure: UpstreamFailure, name: string): string | undefined {
  const value = failure.headers[name]
  return typeof value === 'string' || value === undefined ? value : value[0]
}

function headersOf(failure: UpstreamFailure): ReadonlyMap<string, string> {
  return namesInLowerCase(failure.headers)
}

function namesInLowerCase(headers: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const all = new Map<string, string>()
  for (const name in headers) {
    const value = headers[name]
    const first = Array.isArray(value) ? value[0] : value
    if (typeof first === 'string' || typeof first === 'number') all.set(name.toLowerCase(), String(first))
  }
  return all
}
