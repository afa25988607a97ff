/* What Ollama's errors mean: a status and one sentence, `{"error": "…"}`, in a stream the sentence alone. */
import { Fault } from '../../core/fault.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'

const RULES: readonly Rule[] = [
  { message: /exceed(?:s|ed) (?:the |max(?:imum)? )*context|prompt (?:is )?too long/i, fault: 'context-too-long' },
  { status: [200, 400, 404], message: /^model\b.{0,200}\bnot found|try pulling it first/i, fault: 'upstream-unknown-model' },
  // The account may not use this model; for others its key is as good as before.
  { status: 403, message: /subscription|upgrade/i, fault: 'upstream-unknown-model' },
  { status: 429, message: /usage limit|(?:weekly|daily|session|hourly) limit/i, fault: 'upstream-quota-exhausted' },
  { message: /maximum pending requests exceeded|server busy/i, fault: 'upstream-overloaded' },
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
