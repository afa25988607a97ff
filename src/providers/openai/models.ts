/*
 * What OpenAI's own models want differently. Models that are not known here (fine-tuned ones, next year's) get the call untouched: a
 * refusal that says what is wrong is better than a change that nobody asked for.
 */
import type { ChatCall } from '../../core/chat.ts'
import { instructionsIntoUser, type Rewrite, roleAs } from './messages.ts'

/** Reasoning models: o1, o3, … and gpt-5 and later, their chat variants excepted. */
const REASONING = /^(?:o\d|gpt-(?:[5-9]|\d{2,})(?![\w.-]*-chat))/
/** From gpt-5.1 on, reasoning can be switched off, and sampling is then as ever. */
const CAN_STOP_REASONING = /^gpt-(?:5\.[1-9]|[6-9]|\d{2,})/
const WITHOUT_INSTRUCTIONS = /^o1-(?:mini|preview)/
const BEFORE_DEVELOPER = /^gpt-(?:4|3\.5)/
const SEARCH = /-search-preview/

const SAMPLING = ['temperature', 'top_p', 'logprobs', 'top_logprobs', 'logit_bias', 'presence_penalty', 'frequency_penalty']

/** Fields that this model refuses and that only tune. */
export function refusedFields(call: ChatCall, model: string): readonly string[] {
  if (SEARCH.test(model)) return ['temperature', 'n', 'presence_penalty', 'frequency_penalty']
  if (!REASONING.test(model)) return []
  return CAN_STOP_REASONING.test(model) && call.shape.reasoning_effort === 'none' ? [] : SAMPLING
}

/** Fields that this model knows under another name. */
export function renamedFields(model: string): Readonly<Record<string, string>> {
  return REASONING.test(model) ? { max_tokens: 'max_completion_tokens' } : {}
}

/** Who may speak to this model. */
export function roles(model: string): readonly Rewrite[] {
  if (WITHOUT_INSTRUCTIONS.test(model)) return [instructionsIntoUser]
  if (REASONING.test(model)) return [roleAs('system', 'developer')]
  return BEFORE_DEVELOPER.test(model) ? [roleAs('developer', 'system')] : []
}
