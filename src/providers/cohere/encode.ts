/*
 * A call in OpenAI's chat shape as the body of `POST /v2/chat`. What merely tunes an answer and has no equivalent is left out and named
 * in `leftOut`; what would change the answer's meaning is refused before (refuses.ts).
 */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamRequest } from '../../core/provider.ts'
import { SOME_JSON } from '../kit/answer-tool.ts'
import { leftOutOf } from '../kit/left-out.ts'
import { partsOf, textOf } from '../kit/messages.ts'
import { conversationOf } from './conversation.ts'
import { type Traits, traitsOf } from './models.ts'
import { thinkingOf } from './thinking.ts'
import { toolingOf } from './tools.ts'

/** Fields that mean something here; what of them cannot be sent is told where they are read. */
const READ: ReadonlySet<string> = new Set([
  ...['model', 'messages', 'stream', 'stream_options', 'max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'top_k'],
  ...['stop', 'seed', 'presence_penalty', 'frequency_penalty', 'logprobs', 'tools', 'tool_choice', 'response_format'],
  ...['reasoning_effort', 'thinking', 'p', 'k'],
])

/** Cohere's own fields, for clients that know them. */
const OWN = ['safety_mode', 'citation_options', 'documents', 'strict_tools', 'priority'] as const
const READ_OR_OWN: ReadonlySet<string> = new Set([...READ, ...OWN])

export function encode(call: ChatCall, target: Target): UpstreamRequest {
  const { body } = call
  const traits = traitsOf(target.model)
  const maxTokens = maxTokensOf(body, target)
  const tooling = toolingOf(body, traits)
  const thinking = thinkingOf(body, traits, maxTokens)
  const sampling = samplingOf(body, traits)
  const format = formatOf(body)
  // JSON.stringify leaves out what is undefined.
  const sent = {
    model: target.model,
    messages: conversationOf(body.messages, traits, format !== undefined && !asksForJson(body) ? SOME_JSON : undefined),
    stream: call.stream,
    tools: tooling.tools,
    tool_choice: tooling.choice,
    strict_tools: tooling.strict,
    response_format: format,
    max_tokens: maxTokens,
    ...sampling.fields,
    stop_sequences: stopSequencesOf(body.stop),
    logprobs: body.logprobs === true ? true : undefined,
    thinking: thinking.asked,
    ...Object.fromEntries(OWN.filter(field => body[field] !== undefined).map(field => [field, body[field]])),
  }
  return {
    path: `${target.basePath}${target.basePath.endsWith('/v2') ? '' : '/v2'}/chat`,
    body: JSON.stringify(sent),
    leftOut: [...leftOutOf(body, READ_OR_OWN), ...tooling.leftOut, ...thinking.leftOut, ...sampling.leftOut],
  }
}

function maxTokensOf(body: ChatBody, target: Target): number | undefined {
  const asked = body.max_completion_tokens ?? body.max_tokens
  return typeof asked === 'number' ? Math.min(asked, target.abilities.maxOutput ?? asked) : undefined
}

function samplingOf(body: ChatBody, traits: Traits) {
  const fields: Record<string, number> = {}
  const leftOut: string[] = []
  const { temperature, top_p: topP, seed } = body
  // OpenAI's scale ends at 2, Cohere's at 1, and what a model does unasked is 1 there and 0.3 here.
  if (typeof temperature === 'number') fields.temperature = within(temperature, 0, 1)
  const p = body.p ?? topP
  if (typeof p === 'number') fields.p = within(p, 0.01, 0.99)
  const k = body.k ?? body.top_k
  if (typeof k === 'number') fields.k = within(k, 0, 500)
  if (typeof seed === 'number') {
    if (seed >= 0) fields.seed = seed
    else leftOut.push('seed')
  }
  // Penalties are from 0 to 1 here: encouragement to repeat cannot be had.
  for (const name of ['frequency_penalty', 'presence_penalty'] as const) {
    const penalty = body[name]
    if (typeof penalty !== 'number' || penalty === 0) continue
    // The older models take either of them, and refuse both.
    if (penalty < 0 || (!traits.toolChoice && 'frequency_penalty' in fields)) leftOut.push(name)
    else fields[name] = Math.min(penalty, 1)
  }
  return { fields, leftOut }
}

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}

function stopSequencesOf(stop: ChatBody['stop']): readonly string[] | undefined {
  const sequences = (typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : []).filter(sequence => sequence !== '')
  return sequences.length === 0 ? undefined : sequences
}

function formatOf(body: ChatBody): Readonly<Record<string, unknown>> | undefined {
  const type = body.response_format?.type
  if (type !== 'json_object' && type !== 'json_schema') return undefined
  const given = asObject(body.response_format?.json_schema)
  const schema = asObject(given?.schema)
  if (schema === undefined) return { type: 'json_object' }
  const described = typeof given?.description === 'string' ? { description: given.description, ...schema } : schema
  return { type: 'json_object', json_schema: described }
}

/** A model that is held to JSON without having been asked for it may write white space until its tokens are spent. */
function asksForJson(body: ChatBody): boolean {
  return body.messages.some(message => partsOf(message.content).some(part => /json/i.test(textOf(part) ?? '')))
}
