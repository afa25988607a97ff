/*
 * Thinking, asked for and sent back.
 *
 * Three kinds of models: those that do not think, those that are given a budget of tokens, and those that are told how hard to try
 * ("adaptive"), of which some think unless told not to. Thinking cannot be had together with a forced tool, and models with a budget
 * refuse a call whose tool loop began without thinking. Then thinking gives way, for it only tunes the answer.
 *
 * Signed thinking must come back unchanged within a tool loop. OpenAI's clients have no place for it; those that carry it do so in
 * `reasoning_details` (one entry per block, as OpenRouter has it) or as `reasoning_content` with its signature beside it.
 */
import type { ChatBody, ChatMessage } from '../../../core/chat.ts'
import { asObject } from '../../../core/json.ts'
import { turnsOf } from '../messages.ts'
import type { Traits } from './models.ts'

/** Names the maker of opaque reasoning, so that nobody is sent what somebody else has signed. */
export const REASONING_FORMAT = 'anthropic-claude-v1'

/** The least budget that is taken. */
const LEAST_BUDGET = 1_024

/** A block of thinking in Anthropic's own form: signed, or sealed. */
export type ThinkingBlock =
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'redacted_thinking'; readonly data: string }

export interface Thinking {
  /** Anthropic's `thinking`, where the model's default is not what is wanted. */
  readonly asked: Readonly<Record<string, unknown>> | undefined
  /** For output_config. */
  readonly effort: string | undefined
  /** Whether the model may think: then sampling is restricted and thinking is sent back. */
  readonly on: boolean
  readonly leftOut: readonly string[]
}

export interface Circumstances {
  readonly maxTokens: number
  /** Whether tool_choice leaves the model no choice. */
  readonly toolForced: boolean
}

export function thinkingOf(body: ChatBody, traits: Traits, circumstances: Circumstances): Thinking {
  const own = asObject(body.thinking)
  if (own !== undefined) return ownThinking(own, body, traits, circumstances)
  const effort = body.reasoning_effort
  if (effort === undefined || effort === null) {
    return traits.thinksUnasked && circumstances.toolForced ? switchedOff(traits) : unasked(traits)
  }
  if (effort === 'none') return switchedOff(traits)
  if (traits.thinking === 'adaptive') return adaptive(effort, traits, circumstances.toolForced)
  const budget = traits.thinking === 'budget' ? budgetOf(effort, traits, circumstances.maxTokens) : undefined
  if (budget === undefined || circumstances.toolForced || !mayBegin(body.messages)) return unasked(traits, ['reasoning_effort'])
  return { asked: { type: 'enabled', budget_tokens: budget }, effort: undefined, on: true, leftOut: [] }
}

function unasked(traits: Traits, leftOut: readonly string[] = []): Thinking {
  return { asked: undefined, effort: undefined, on: traits.thinksUnasked, leftOut }
}

function switchedOff(traits: Traits): Thinking {
  return { asked: traits.thinksUnasked ? { type: 'disabled' } : undefined, effort: undefined, on: false, leftOut: [] }
}

/** A client that knows Anthropic's own field is taken at its word, save where the call would only be refused for it. */
function ownThinking(
  own: Readonly<Record<string, unknown>>,
  body: ChatBody,
  traits: Traits,
  { toolForced }: Circumstances,
): Thinking {
  const effort = traits.thinking === 'adaptive' ? effortOf(body.reasoning_effort, traits) : undefined
  if (own.type === 'disabled') return { asked: own, effort: calm(effort), on: false, leftOut: [] }
  if (toolForced || (own.type === 'enabled' && !mayBegin(body.messages))) {
    return { ...switchedOff(traits), effort: calm(effort), leftOut: ['thinking'] }
  }
  return { asked: own, effort, on: true, leftOut: [] }
}

function adaptive(asked: string, traits: Traits, toolForced: boolean): Thinking {
  const effort = effortOf(asked, traits)
  if (effort === undefined) return unasked(traits, ['reasoning_effort'])
  if (toolForced) return { ...switchedOff(traits), effort: calm(effort) }
  const thinking = traits.hidesThinking ? { type: 'adaptive', display: 'summarized' } : { type: 'adaptive' }
  return { asked: thinking, effort, on: true, leftOut: [] }
}

function effortOf(effort: unknown, traits: Traits): string | undefined {
  switch (effort) {
    case 'minimal':
      return 'low'
    case 'xhigh':
      return traits.xhigh ? 'xhigh' : 'max'
    case 'low':
    case 'medium':
    case 'high':
    case 'max':
      return effort
    default:
      return undefined
  }
}

/** The greatest efforts are refused together with disabled thinking. */
function calm(effort: string | undefined): string | undefined {
  return effort === 'xhigh' || effort === 'max' ? 'high' : effort
}

const BUDGETS: Readonly<Record<string, (maxOutput: number) => number>> = {
  minimal: () => LEAST_BUDGET,
  low: () => 2 * LEAST_BUDGET,
  medium: maxOutput => 0.3 * maxOutput,
  high: maxOutput => 0.6 * maxOutput,
  xhigh: maxOutput => 0.8 * maxOutput,
  max: maxOutput => 0.8 * maxOutput,
}

/**
 * The budget for an effort. It is part of max_tokens, and the caller's bound is kept rather than raised, as OpenAI's
 * max_completion_tokens counts reasoning, too (and limits and spending are reckoned by it): thinking gets at most half of a bound
 * that was given, and none when that is less than the least budget.
 */
function budgetOf(effort: string, traits: Traits, maxTokens: number): number | undefined {
  const wanted = BUDGETS[effort]?.(traits.maxOutput)
  if (wanted === undefined) return undefined
  const room = maxTokens < traits.maxOutput ? maxTokens / 2 : 0.8 * maxTokens
  const budget = Math.floor(Math.min(Math.max(wanted, LEAST_BUDGET), room))
  return budget < LEAST_BUDGET ? undefined : budget
}

/**
 * Whether a model with a budget may think in this call: not when it goes on from the assistant's own words, and not within a tool
 * loop that has no thinking in it ("expected thinking, found tool_use").
 */
function mayBegin(messages: readonly ChatMessage[]): boolean {
  const { turns } = turnsOf(messages)
  if (turns.at(-1)?.role === 'assistant') return false
  let inLoop = false
  for (let at = turns.length - 1; at > 0 && turns[at]!.messages.some(message => message.role === 'tool'); at -= 2) {
    if (turns[at - 1]!.messages.some(message => thinkingBlocks(message).length > 0)) return true
    inLoop = true
  }
  return !inLoop
}

/** Blocks of thinking that the client sends back with an assistant's message, in order; only those that are signed or sealed. */
export function thinkingBlocks(message: ChatMessage): readonly ThinkingBlock[] {
  const details = message.reasoning_details
  if (Array.isArray(details)) {
    const blocks = details.flatMap(detail => blockOfDetail(asObject(detail)) ?? [])
    if (blocks.length > 0) return blocks
  }
  const thinking = message.reasoning_content ?? message.reasoning
  const signature = message.reasoning_signature ?? message.signature
  return typeof thinking === 'string' && typeof signature === 'string' && signature !== ''
    ? [{ type: 'thinking', thinking, signature }]
    : []
}

function blockOfDetail(detail: Readonly<Record<string, unknown>> | undefined): ThinkingBlock | undefined {
  if (detail === undefined || (typeof detail.format === 'string' && detail.format !== REASONING_FORMAT)) return undefined
  const { type, data, signature } = detail
  if (type === 'redacted_thinking' || type === 'reasoning.encrypted') {
    return typeof data === 'string' ? { type: 'redacted_thinking', data } : undefined
  }
  if (type !== 'thinking' && type !== 'reasoning.text') return undefined
  const thinking = detail.thinking ?? detail.text ?? ''
  if (typeof thinking !== 'string' || typeof signature !== 'string' || signature === '') return undefined
  return { type: 'thinking', thinking, signature }
}
