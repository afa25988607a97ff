/* What Cohere's errors mean. They say little beside a status and a sentence. */
import { Fault } from '../../core/fault.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'

const RULES: readonly Rule[] = [
  // Trial keys have so many calls a minute and so many a month, and say it in one sentence.
  { status: [402, 429], message: /\/ ?month|per month|monthly|billing/i, fault: 'upstream-quota-exhausted' },
  { type: /^TOO_MANY_TOKENS$/, fault: 'context-too-long' },
  { message: /^too many tokens\b/i, fault: 'context-too-long' },
  { status: [400, 404], message: /\bmodel\b.{0,100}(?:not found|was removed|does not exist)/i, fault: 'upstream-unknown-model' },
  // Others use this number for being overloaded; here it is a key that was blocked.
  { status: 498, fault: 'upstream-refused-key' },
  { status: 501, fault: 'upstream-refused-call' },
]

/** The fault behind an error answer. */
export function classify(failure: UpstreamFailure): Fault {
  return classifyBy(RULES, failure)
}

/** The fault behind an error inside a 200. Whatever it says, the answer is one that failed and not one that cannot be read. */
export function errorInside(body: unknown): Fault {
  const fault = classify({ status: 200, headers: {}, body, text: JSON.stringify(body).slice(0, 2_000), receivedMs: 0 })
  return fault.kind === 'upstream-garbled' ? new Fault('upstream-error', fault.details) : fault
}
