/*
 * What Google's errors mean. The status word (INVALID_ARGUMENT, RESOURCE_EXHAUSTED …) says less than it seems: a wrong key is an invalid
 * argument, and a limit per minute speaks of plan and billing as one per day does. What tells them apart stands in the details.
 */
import type { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'
import { objectsIn } from '../kit/lists.ts'

const RULES: readonly Rule[] = [
  { code: /^API_KEY_/, fault: 'upstream-refused-key' },
  { message: /API key (?:not valid|not found|expired)|reported as leaked/i, fault: 'upstream-refused-key' },
  { message: /location is not supported|billing (?:is|has) (?:not|been) \w+|enable billing/i, fault: 'upstream-refused-key' },
  { message: /prepay|prepaid|credits? (?:are|is|have been) depleted|spend(?:ing)? cap/i, fault: 'upstream-quota-exhausted' },
  { type: /^INVALID_ARGUMENT$/, message: /token count.{0,80}exceeds the maximum number of tokens/i, fault: 'context-too-long' },
  { type: /^RESOURCE_EXHAUSTED$/, fault: 'upstream-rate-limited' },
  { type: /^CANCELLED$/, fault: 'upstream-error' },
]

const PER_DAY: Rule = { type: /^RESOURCE_EXHAUSTED$/, fault: 'upstream-quota-exhausted' }
/** A limit of nothing: this model is not to be had with this account, while others are. */
const NONE_AT_ALL: Rule = { type: /^RESOURCE_EXHAUSTED$/, message: /\blimit: 0\b/, fault: 'upstream-unknown-model' }

/** The fault behind an error answer, or behind an error inside a 200. `first`: rules of a site, asked before all others. */
export function classifyGoogle(failure: UpstreamFailure, first: readonly Rule[] = []): Fault {
  const ofDay = violationsIn(failure.body).some(({ quotaId }) => typeof quotaId === 'string' && quotaId.includes('PerDay'))
  return classifyBy([NONE_AT_ALL, ...(ofDay ? [PER_DAY] : []), ...first, ...RULES], failure)
}

/** The limits that were passed. */
function violationsIn(body: unknown): readonly Readonly<Record<string, unknown>>[] {
  const error = asObject(asObject(Array.isArray(body) ? body[0] : body)?.error)
  return objectsIn(error?.details).flatMap(detail => objectsIn(detail.violations))
}
