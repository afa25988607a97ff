/*
 * What a rule means for an answer. A rule that ends the call before there is an answer is carried out in exchange.ts; what is left of it is
 * a course: how fast the answer is written, where it breaks off and how, and which of its events are spoilt.
 */
import type { ScriptRule } from '../config/simulation.ts'
import type { Failure } from './wire.ts'

/** How an answer breaks off. `failure`: with an error event. */
export type Break = 'stall' | 'reset' | 'clean' | 'half-chunk' | 'failure'

/** What is not in its place in a stream. */
export interface Disorder {
  readonly finishTwice: boolean
  readonly usageEarly: boolean
  readonly errorAfterFinish: boolean
  readonly dataAfterDone: boolean
}

export interface Course {
  readonly status: number
  /** Names in lower case; they win over the API's own. */
  readonly headers: Readonly<Record<string, string>>
  /** Before the first token, and before the head of a whole answer. */
  readonly firstMs: number
  /** Between two tokens of a stream. */
  readonly betweenMs: number
  /** Per token of a whole answer after the first one, waited for before its head. */
  readonly wholeBetweenMs: number
  /** The answer breaks off after so many tokens, and at the latest before its finish. */
  readonly breaks: { readonly after: number; readonly how: Break } | undefined
  /** The body breaks off after so many bytes, if it has more. */
  readonly breaksAtByte: { readonly at: number; readonly how: Exclude<Break, 'failure'> } | undefined
  readonly disorder: Disorder
  /** The event of a stream at this place, from 0, is not JSON; nor is a whole answer. */
  readonly garbledAt: number | undefined
  /** The terminator of a stream is missing. */
  readonly endless: boolean
  /** The answer holds nothing. */
  readonly empty: boolean
  /** An error in place of the answer, or in its middle. */
  readonly failure: Failure | undefined
  /** About how many bytes the answer has. */
  readonly hugeBytes: number | undefined
}

/** `tokenDelayMs`: the pace of a healthy stream. `lateFailureStatus`: the status whose error stands inside a 200 by default. */
export function courseOf(rule: ScriptRule | undefined, tokenDelayMs: number, lateFailureStatus: number): Course {
  const told = rule?.error_in_200
  const failure: Failure | undefined =
    told === undefined
      ? undefined
      : { status: lateFailureStatus, ...(told !== true && { type: told.type, message: told.message }) }
  return {
    status: rule?.status ?? 200,
    headers: lowerCased(rule?.headers ?? {}),
    firstMs: rule?.slow_first_token ?? 0,
    // The bulk of a huge answer is not held up, unless the rule says so.
    betweenMs: rule?.slow_tokens ?? (rule?.huge === undefined ? tokenDelayMs : 0),
    wholeBetweenMs: rule?.slow_tokens ?? 0,
    breaks: rule === undefined ? undefined : firstBreak(rule),
    breaksAtByte: rule === undefined ? undefined : byteBreak(rule),
    disorder: {
      finishTwice: rule?.finish_twice === true,
      usageEarly: rule?.usage_early === true,
      errorAfterFinish: rule?.error_after_finish === true,
      dataAfterDone: rule?.data_after_done === true,
    },
    garbledAt: rule?.garbled_at,
    endless: rule?.no_done === true,
    empty: rule?.empty_choices === true,
    failure,
    hugeBytes: rule?.huge,
  }
}

/** The break that comes first, when a rule has several. */
function firstBreak(rule: ScriptRule): Course['breaks'] {
  const { stall_after: stall, cut_after: cut, cut_how: how = 'reset', error_in_200: error } = rule
  const breaks: NonNullable<Course['breaks']>[] = []
  if (stall !== undefined) breaks.push({ after: stall, how: 'stall' })
  if (cut !== undefined) breaks.push({ after: cut, how })
  if (error !== undefined) breaks.push({ after: error === true ? 0 : (error.after ?? 0), how: 'failure' })
  return breaks.sort((a, b) => a.after - b.after)[0]
}

function byteBreak({ stall_at_byte: stall, cut_at_byte: cut, cut_how: how = 'reset' }: ScriptRule): Course['breaksAtByte'] {
  if (stall !== undefined && (cut === undefined || stall < cut)) return { at: stall, how: 'stall' }
  return cut === undefined ? undefined : { at: cut, how }
}

export function isDisordered({ disorder }: Course): boolean {
  return disorder.finishTwice || disorder.usageEarly || disorder.errorAfterFinish || disorder.dataAfterDone
}

/** A complete answer that the rule has fixed: its body, its status where that is no success, or a page. */
export function fixedAnswer(
  rule: ScriptRule,
): { readonly status: number; readonly contentType: string; readonly body: string } | undefined {
  const { status = 200, body } = rule
  if (rule.html === true) return { status, contentType: 'text/html; charset=utf-8', body: PAGE }
  if (rule.status === undefined || body === undefined) return undefined
  if (typeof body !== 'string') return { status, contentType: 'application/json', body: JSON.stringify(body) }
  const contentType = body.trimStart().startsWith('<') ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8'
  return { status, contentType, body }
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function lowerCased(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

const PAGE = `<!DOCTYPE html>
<html lang="en">
<head><title>Just a moment...</title></head>
<body>
<h1>Checking your connection</h1>
<p>Please enable cookies and reload the page.</p>
</body>
</html>
`
