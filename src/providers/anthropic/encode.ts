/*
 * A call in OpenAI's chat shape as the body of `POST /v1/messages`. Only fields that mean something there are sent; Anthropic refuses
 * unknown ones with 400. What merely tunes an answer and has no equivalent is left out and named in `leftOut`; what would change
 * the answer's meaning is refused before (refuses.ts).
 */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamRequest } from '../../core/provider.ts'
import { traitsOf } from '../kit/claude/models.ts'
import { samplingOf } from '../kit/claude/sampling.ts'
import { thinkingOf } from '../kit/claude/thinking.ts'
import { begun } from '../kit/prefill.ts'
import { answerFormatOf } from './answer-format.ts'
import { refersToFile } from './content.ts'
import { type Conversation, conversationOf } from './conversation.ts'
import { toolingOf } from './tools.ts'

const FILES_BETA = 'files-api-2025-04-14'

export function encode(call: ChatCall, target: Target): UpstreamRequest {
  const { message, headers, leftOut } = messageOf(call, target)
  const path = `${target.basePath}${target.basePath.endsWith('/v1') ? '' : '/v1'}/messages`
  return { path, body: JSON.stringify(message), headers, leftOut }
}

/** The body, the headers and what was left out, for whoever takes the same messages at another address. */
export function messageOf(call: ChatCall, target: Target) {
  const body = begun(call)
  const traits = traitsOf(target.model)
  const maxTokens = maxTokensOf(body, target.abilities.maxOutput ?? traits.maxOutput)
  const format = answerFormatOf(body, traits)
  const tooling = toolingOf(body, traits, format.tool)
  const thinking = thinkingOf(body, traits, { maxTokens, toolForced: tooling.forced })
  const sampling = samplingOf(body, traits, thinking.on)
  const conversation = conversationOf(body.messages, traits, thinking.on, format.instruction)
  const outputConfig = { format: format.native, effort: thinking.effort }
  // JSON.stringify leaves out what is undefined.
  const message = {
    model: target.model,
    max_tokens: maxTokens,
    system: conversation.system,
    messages: conversation.turns,
    tools: tooling.tools,
    tool_choice: tooling.choice,
    thinking: thinking.asked,
    output_config: (outputConfig.format ?? outputConfig.effort) ? outputConfig : undefined,
    ...sampling.fields,
    stop_sequences: stopSequencesOf(body.stop),
    metadata: metadataOf(body),
    service_tier: serviceTierOf(body.service_tier),
    cache_control: asObject(body.cache_control),
    stream: call.stream ? true : undefined,
  }
  return {
    message,
    headers: betaHeaders(conversation, target),
    leftOut: [...tuningWithoutEquivalent(body), ...thinking.leftOut, ...sampling.leftOut],
  }
}

function maxTokensOf(body: ChatBody, most: number): number {
  const asked = body.max_completion_tokens ?? body.max_tokens
  return typeof asked === 'number' ? Math.min(asked, most) : most
}

/** Sequences of white space only are refused with 400. */
function stopSequencesOf(stop: ChatBody['stop']): readonly string[] | undefined {
  const sequences = (typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : []).filter(
    sequence => typeof sequence === 'string' && sequence.trim() !== '',
  )
  return sequences.length === 0 ? undefined : sequences
}

/** Anthropic refuses ids that look like somebody's address, and long ones. */
function metadataOf(body: ChatBody): { readonly user_id: string } | undefined {
  const user = userOf(body)
  return user !== undefined && isOpaque(user) ? { user_id: user } : undefined
}

function userOf(body: ChatBody): string | undefined {
  const user = body.safety_identifier ?? body.user
  return typeof user === 'string' && user !== '' ? user : undefined
}

function isOpaque(user: string): boolean {
  return user.length <= 256 && !user.includes('@')
}

/** Capacity that was bought is used by `auto`; there is no way to ask for less than the standard. */
function serviceTierOf(tier: unknown): string | undefined {
  if (tier === 'auto' || tier === 'priority') return 'auto'
  return tier === 'default' || tier === 'standard_only' ? 'standard_only' : undefined
}

function betaHeaders(conversation: Conversation, target: Target): Readonly<Record<string, string>> {
  const withFiles = conversation.turns.some(turn => turn.content.some(refersToFile))
  if (!withFiles) return {}
  const others = target.headers['anthropic-beta']
  return { 'anthropic-beta': others === undefined ? FILES_BETA : `${others},${FILES_BETA}` }
}

/** OpenAI's fields that Anthropic has nothing like, with a test for the values that ask for nothing. */
const WITHOUT_EQUIVALENT = [
  'seed',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'prediction',
  'store',
  'metadata',
  'verbosity',
  'prompt_cache_key',
  'prompt_cache_retention',
] as const

function tuningWithoutEquivalent(body: ChatBody): readonly string[] {
  const leftOut: string[] = WITHOUT_EQUIVALENT.filter(field => asksForSomething(field, body[field]))
  if (body.service_tier === 'flex' || body.service_tier === 'scale') leftOut.push('service_tier')
  const user = userOf(body)
  if (user !== undefined && !isOpaque(user)) leftOut.push(body.safety_identifier === user ? 'safety_identifier' : 'user')
  return leftOut
}

function asksForSomething(field: string, value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false
  if (value === 0) return field === 'seed'
  const object = asObject(value)
  return object === undefined || Object.keys(object).length > 0
}
