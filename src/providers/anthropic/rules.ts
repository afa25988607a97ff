/*
 * What Anthropic's errors mean. The error's type says nearly everything; a few messages that share invalid_request_error come first.
 * Types are asked before statuses, because an error may also come as an event inside a 200.
 */
import type { Fault } from '../../core/fault.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'

export const RULES: readonly Rule[] = [
  { message: /prompt is too long|exceeds? (the )?context (limit|window)/i, fault: 'context-too-long' },
  // This key may not buy long prompts. Neither the key nor the model is at fault for other calls.
  { status: 429, message: /extra usage is required for long context/i, fault: 'context-too-long' },
  { message: /credit balance is too low|reached your specified .*usage limits/i, fault: 'upstream-quota-exhausted' },
  { code: /enforced_spend_limit_reached/, fault: 'upstream-quota-exhausted' },
  { type: /^billing_error$/, fault: 'upstream-quota-exhausted' },
  { message: /blocked by content filtering policy/i, fault: 'content-filtered' },
  { type: /^overloaded_error$/, fault: 'upstream-overloaded' },
  { type: /^rate_limit_error$/, fault: 'upstream-rate-limited' },
  { type: /^(authentication|permission)_error$/, fault: 'upstream-refused-key' },
  { type: /^not_found_error$/, message: /^model\b/i, fault: 'upstream-unknown-model' },
  { type: /^(invalid_request_error|request_too_large)$/, fault: 'upstream-refused-call' },
  // Two writes at once on their side; sending it again works, which is not so with other APIs' 409.
  { type: /^(conflict|api|timeout)_error$/, fault: 'upstream-error' },
  { status: 529, fault: 'upstream-overloaded' },
]

/** The fault behind an error answer, or behind an error inside a 200. */
export function classify(failure: UpstreamFailure): Fault {
  return classifyBy(RULES, failure)
}
