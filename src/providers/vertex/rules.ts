/* What Vertex's errors mean: Google's at Vertex, and Anthropic's where Claude itself has answered. */
import type { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { anthropic } from '../anthropic/anthropic.ts'
import { classifyGoogle } from '../gemini/rules.ts'
import type { Rule } from '../kit/failure.ts'

const RULES: readonly Rule[] = [
  // What all customers share is used up. The key has no limit of its own here, so there is nothing that its rest could mend.
  { status: 429, message: /resource (?:has been )?exhausted/i, fault: 'upstream-overloaded' },
  // Allowed or not per model, by somebody who administers the project.
  { message: /not allowed (?:for|by|to use)|organi[sz]ation policy|allow-?list/i, fault: 'upstream-unknown-model' },
]

/** Whether this body is Anthropic's and not Google's: theirs always say what they are. */
export function isAnthropics(body: unknown): boolean {
  return typeof asObject(body)?.type === 'string'
}

export function classify(failure: UpstreamFailure): Fault {
  return isAnthropics(failure.body) ? anthropic.classify(failure) : classifyGoogle(failure, RULES)
}
