/*
 * A call in OpenAI's chat shape as the body of generateContent. Google refuses unknown fields with 400, so only what it knows is sent.
 * What merely tunes an answer and has no equivalent is left out and named in `leftOut`; what would change the answer's meaning is refused
 * before (refuses.ts).
 */
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { begun } from '../kit/prefill.ts'
import { isDefault } from '../openai/defaults.ts'
import { conversationOf } from './conversation.ts'
import { extension } from './extension.ts'
import type { Traits } from './models.ts'
import type { Site } from './site.ts'
import { thinkingOf } from './thinking.ts'
import { toolingOf } from './tools.ts'

type Fields = Readonly<Record<string, unknown>>

export interface Composed {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly leftOut: readonly string[]
}

/** @param maxOutput tokens that one answer of this model may have */
export function composed(call: ChatCall, traits: Traits, site: Site, maxOutput: number): Composed {
  const body = begun(call)
  const leftOut = [...withoutEquivalent(body)]
  const thinking = thinkingOf(body, traits)
  const conversation = conversationOf(body.messages, traits, site)
  const tier = tierOf(body.service_tier, site, leftOut)
  // JSON.stringify leaves out what is undefined.
  const request = {
    contents: conversation.contents,
    systemInstruction: conversation.systemInstruction,
    ...toolingOf(body, site),
    generationConfig: {
      maxOutputTokens: maxTokensOf(body, maxOutput),
      ...samplingOf(body, traits, leftOut),
      ...formatOf(body.response_format),
      ...(asksForImages(body) ? { responseModalities: ['TEXT', 'IMAGE'] } : {}),
      thinkingConfig: thinking.config,
    },
    safetySettings: extension(body, 'safety_settings') ?? undefined,
    cachedContent: extension(body, 'cached_content') ?? undefined,
    labels: labelsOf(body.metadata, site, leftOut),
    ...tier.fields,
  }
  return { body: JSON.stringify(request), headers: tier.headers, leftOut: [...leftOut, ...thinking.leftOut] }
}

function maxTokensOf(body: ChatBody, most: number): number | undefined {
  const asked = body.max_completion_tokens ?? body.max_tokens
  return typeof asked === 'number' ? Math.min(asked, most) : undefined
}

export function asksForImages(body: ChatBody): boolean {
  return Array.isArray(body.modalities) && body.modalities.includes('image')
}

/** Empty sequences are refused with 400. */
export function stopsOf(stop: ChatBody['stop']): readonly string[] {
  const sequences: readonly unknown[] = typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : []
  return sequences.filter(sequence => typeof sequence === 'string' && sequence !== '') as string[]
}

const INT32 = 2 ** 31

function samplingOf(body: ChatBody, traits: Traits, leftOut: string[]): Fields {
  const fields: Record<string, unknown> = {}
  const { temperature, top_p: topP, top_k: topK, n, seed } = body
  if (typeof temperature === 'number') fields.temperature = within(temperature, 0, 2)
  if (typeof topP === 'number') fields.topP = within(topP, 0, 1)
  if (typeof topK === 'number' && topK >= 1) fields.topK = topK
  if (typeof n === 'number' && n > 1) fields.candidateCount = n
  const stops = stopsOf(body.stop)
  if (stops.length > 0) fields.stopSequences = stops
  if (typeof seed === 'number') {
    if (seed >= -INT32 && seed < INT32) fields.seed = seed
    else leftOut.push('seed')
  }
  for (const [field, name] of PENALTIES) {
    const penalty = body[field]
    // Its range is open at the end.
    if (traits.penalties && typeof penalty === 'number') fields[name] = within(penalty, -2, 1.99)
    else if (!isDefault(field, penalty)) leftOut.push(field)
  }
  if (body.logprobs === true) {
    fields.responseLogprobs = true
    if (typeof body.top_logprobs === 'number' && body.top_logprobs > 0) fields.logprobs = within(body.top_logprobs, 1, 20)
  }
  return fields
}

const PENALTIES = [
  ['presence_penalty', 'presencePenalty'],
  ['frequency_penalty', 'frequencyPenalty'],
] as const

function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}

function formatOf(format: ChatBody['response_format']): Fields {
  if (format?.type !== 'json_object' && format?.type !== 'json_schema') return {}
  const schema = format.type === 'json_schema' ? asObject(asObject(format.json_schema)?.schema) : undefined
  return { responseMimeType: 'application/json', ...(schema === undefined ? {} : { responseJsonSchema: schema }) }
}

interface Tier {
  readonly fields: Fields
  readonly headers: Readonly<Record<string, string>>
}

function tierOf(tier: unknown, site: Site, leftOut: string[]): Tier {
  const none: Tier = { fields: {}, headers: {} }
  if (tier === undefined || tier === null || tier === 'auto') return none
  if (tier !== 'flex' && tier !== 'priority' && tier !== 'default') {
    leftOut.push('service_tier')
    return none
  }
  if (site.tier === 'body') return { fields: { serviceTier: tier === 'default' ? 'standard' : tier }, headers: {} }
  // What was bought in advance is used first unless told otherwise; that is `auto` and `default` alike.
  return tier === 'default' ? none : { fields: {}, headers: { 'x-vertex-ai-llm-shared-request-type': tier } }
}

const LABEL_NAME = /^[a-z][a-z0-9_-]{0,62}$/
const LABEL_VALUE = /^[a-z0-9_-]{0,63}$/

function labelsOf(metadata: unknown, site: Site, leftOut: string[]): Fields | undefined {
  if (isDefault('metadata', metadata)) return undefined
  const labels = Object.entries(asObject(metadata) ?? {})
  const fits = labels.every(([name, value]) => LABEL_NAME.test(name) && typeof value === 'string' && LABEL_VALUE.test(value))
  if (site.labels && labels.length > 0 && fits) return Object.fromEntries(labels)
  leftOut.push('metadata')
  return undefined
}

/** OpenAI's fields that Gemini has nothing like. */
const WITHOUT_EQUIVALENT = [
  'logit_bias',
  'prediction',
  'store',
  'user',
  'safety_identifier',
  'verbosity',
  'prompt_cache_key',
  'prompt_cache_retention',
] as const

function withoutEquivalent(body: ChatBody): readonly string[] {
  const leftOut: string[] = WITHOUT_EQUIVALENT.filter(field => body[field] !== '' && !isDefault(field, body[field]))
  if (body.parallel_tool_calls === false && (body.tools?.length ?? 0) > 0) leftOut.push('parallel_tool_calls')
  if (body.messages.some(hasCacheControl)) leftOut.push('cache_control')
  return leftOut
}

/** Breakpoints of a cache. Google finds by itself what calls have in common. */
function hasCacheControl(message: ChatBody['messages'][number]): boolean {
  const parts: readonly unknown[] = Array.isArray(message.content) ? message.content : []
  return (
    asObject(message.cache_control) !== undefined || parts.some(part => asObject(asObject(part)?.cache_control) !== undefined)
  )
}
