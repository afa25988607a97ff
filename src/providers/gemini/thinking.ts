/*
 * OpenAI's reasoning_effort as Gemini's thinkingConfig: a budget of tokens for the 2.5 models (Google's own numbers for OpenAI's words), a
 * level for those after them. Both together are refused. Who asks for an effort gets to read the thoughts, too.
 */
import type { ChatBody } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { extension } from './extension.ts'
import type { Level, Traits } from './models.ts'

export interface Thinking {
  readonly config: Readonly<Record<string, unknown>> | undefined
  readonly leftOut: readonly string[]
}

const BUDGETS: Readonly<Record<string, number>> = { minimal: 1_024, low: 1_024, medium: 8_192, high: 24_576 }
const LEVELS: Readonly<Record<string, Level>> = {
  none: 'minimal',
  minimal: 'minimal',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
}
const IN_ORDER: readonly Level[] = ['minimal', 'low', 'medium', 'high']

export function thinkingOf(body: ChatBody, traits: Traits): Thinking {
  const own = asObject(extension(body, 'thinking_config'))
  if (own !== undefined) return { config: own, leftOut: [] }
  const effort = body.reasoning_effort
  if (effort === undefined || effort === null) return { config: undefined, leftOut: [] }
  const unknown: Thinking = { config: undefined, leftOut: ['reasoning_effort'] }
  switch (traits.thinking) {
    case 'none':
      return effort === 'none' ? { config: undefined, leftOut: [] } : unknown
    case 'budget':
      return withBudget(effort, traits.budget) ?? unknown
    case 'level':
      return withLevel(effort, traits.levels) ?? unknown
  }
}

function withBudget(effort: string, { least, most, canBeOff }: Traits['budget']): Thinking | undefined {
  if (effort === 'none') {
    return canBeOff
      ? { config: { thinkingBudget: 0 }, leftOut: [] }
      : { config: { thinkingBudget: least }, leftOut: ['reasoning_effort'] }
  }
  const wanted = effort === 'xhigh' || effort === 'max' ? most : BUDGETS[effort]
  if (wanted === undefined) return undefined
  return { config: { thinkingBudget: Math.min(Math.max(wanted, least), most), includeThoughts: true }, leftOut: [] }
}

/** The level itself, or the next higher one that there is. */
function withLevel(effort: string, levels: readonly Level[]): Thinking | undefined {
  const wanted = LEVELS[effort]
  if (wanted === undefined) return undefined
  const level = levels.find(each => IN_ORDER.indexOf(each) >= IN_ORDER.indexOf(wanted)) ?? levels.at(-1)
  // Thinking cannot be switched off; the least of it is as near as one gets.
  if (effort === 'none') return { config: { thinkingLevel: level }, leftOut: ['reasoning_effort'] }
  return { config: { thinkingLevel: level, includeThoughts: true }, leftOut: [] }
}
