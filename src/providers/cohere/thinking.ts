/* Reasoning efforts as budgets of tokens. A budget is part of max_tokens, and thinking gets at most half of a bound that was given. */
import type { ChatBody } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { Traits } from './models.ts'

export interface Thinking {
  readonly asked: Readonly<Record<string, unknown>> | undefined
  readonly leftOut: readonly string[]
}

/** Undefined: as long as it takes. */
const BUDGETS: Readonly<Record<string, number | undefined>> = {
  minimal: 512,
  low: 2_048,
  medium: 8_192,
  high: undefined,
  xhigh: undefined,
  max: undefined,
}

export function thinkingOf(body: ChatBody, traits: Traits, maxTokens: number | undefined): Thinking {
  const own = asObject(body.thinking)
  if (own !== undefined) return { asked: own, leftOut: [] }
  const effort = body.reasoning_effort
  if (effort === undefined || effort === null) return { asked: undefined, leftOut: [] }
  if (effort === 'none') return { asked: traits.thinks ? { type: 'disabled' } : undefined, leftOut: [] }
  if (!traits.thinks || !Object.hasOwn(BUDGETS, effort)) return { asked: undefined, leftOut: ['reasoning_effort'] }
  const budget = Math.min(BUDGETS[effort] ?? Number.POSITIVE_INFINITY, Math.ceil((maxTokens ?? Number.POSITIVE_INFINITY) / 2))
  return { asked: { type: 'enabled', ...(Number.isFinite(budget) ? { token_budget: budget } : {}) }, leftOut: [] }
}
