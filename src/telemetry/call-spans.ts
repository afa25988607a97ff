/*
 * What traces say of a call: attributes by OpenTelemetry's conventions for generative AI (those of version 1.45 of its list of names), and
 * under `understudy.` what these have no name for. Tokens and models stand at the attempts, which are the calls of models; at the span of
 * the call itself they would be counted twice. Of prompts and answers nothing is here, and no detail that may quote one.
 */
import type { AttemptRecord, Ending, Level, Target } from '../core/attempt.ts'
import type { ChatCall, ChatEvent, Usage } from '../core/chat.ts'
import { mayQuote } from '../core/fault.ts'

export type Attributes = Record<string, string | number | boolean | string[]>

/** A call that is over. */
export interface CallTold {
  readonly requestId: string
  /** What the client saw. */
  readonly status: number
  readonly ending: Ending
  readonly route: string | undefined
  readonly client: string | undefined
  readonly tags: Readonly<Record<string, string>> | undefined
  readonly model: string | undefined
  readonly stream: boolean | undefined
  /** Who answered, as `provider/model`. */
  readonly target: string | undefined
  readonly level: Level
  readonly cache: string | undefined
  readonly attempts: number
  readonly costUsd: number | undefined
}

export interface Told {
  readonly name: string
  readonly attributes: Attributes
}

export interface Failed {
  /** A word of few; undefined: nothing failed. */
  readonly type: string | undefined
  readonly message: string | undefined
}

const CHAT = 'chat'

export function callTold(told: CallTold): Told & { readonly failed: Failed } {
  const { requestId, status, ending, route, client, tags = {}, model, stream, target, level, cache, attempts, costUsd } = told
  const attributes: Attributes = {
    'gen_ai.operation.name': CHAT,
    'http.response.status_code': status,
    'understudy.request_id': requestId,
    'understudy.ending': ending.kind,
    'understudy.level': level,
    'understudy.attempts': attempts,
  }
  if (model !== undefined) attributes['gen_ai.request.model'] = model
  if (stream !== undefined) attributes['understudy.stream'] = stream
  if (route !== undefined) attributes['understudy.route'] = route
  if (client !== undefined) attributes['understudy.client'] = client
  if (target !== undefined) attributes['understudy.target'] = target
  if (cache !== undefined) attributes['understudy.cache'] = cache
  if (costUsd !== undefined) attributes['understudy.cost_usd'] = costUsd
  for (const [tag, value] of Object.entries(tags)) attributes[`understudy.tag.${tag}`] = value
  const fault = 'fault' in ending ? ending.fault : undefined
  if (fault !== undefined) attributes['error.type'] = fault.kind
  // A server's span tells of an error where it is the server's: what a client did wrong is not.
  const isOurs = fault !== undefined && (ending.kind === 'broken' || status >= 500)
  const failed = {
    type: isOurs ? fault.kind : undefined,
    message: isOurs ? messageOf(fault.kind, fault.details.detail) : undefined,
  }
  return { name: route === undefined ? CHAT : `${CHAT} ${route}`, attributes, failed }
}

/** What of a request is told; the request itself is let go. */
export interface Asked {
  readonly stream: boolean
  /** As they came, of any type. */
  readonly most: unknown
  readonly temperature: unknown
  readonly topP: unknown
}

export function askedOf({ shape, stream }: ChatCall): Asked {
  return { stream, most: shape.max_completion_tokens ?? shape.max_tokens, temperature: shape.temperature, topP: shape.top_p }
}

/** What is known of an attempt when it begins. */
export function attemptBegun(target: Target, { stream, most, temperature, topP }: Asked): Told {
  const { model } = target
  const attributes: Attributes = { ...ofTarget(target) }
  if (stream) attributes['gen_ai.request.stream'] = true
  if (typeof most === 'number') attributes['gen_ai.request.max_tokens'] = most
  if (typeof temperature === 'number') attributes['gen_ai.request.temperature'] = temperature
  if (typeof topP === 'number') attributes['gen_ai.request.top_p'] = topP
  return { name: `${CHAT} ${model}`, attributes }
}

/** What does not change from call to call is put together once. */
const fixed = new WeakMap<Target, Readonly<Attributes>>()

function ofTarget(target: Target): Readonly<Attributes> {
  const known = fixed.get(target)
  if (known !== undefined) return known
  const { provider, model, origin, id } = target
  const { hostname, port, protocol } = new URL(origin)
  const attributes = {
    'gen_ai.operation.name': CHAT,
    'gen_ai.provider.name': provider.tracedAs ?? provider.name,
    'gen_ai.request.model': model,
    'server.address': hostname,
    'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    'understudy.target': id,
  }
  fixed.set(target, attributes)
  return attributes
}

/** What an answer says of itself as it passes. */
export interface AnswerSeen {
  id?: string
  model?: string
  readonly reasons: Map<number, string>
}

export function seeEvents(seen: AnswerSeen, events: readonly ChatEvent[]): void {
  for (const event of events) {
    if (event.type === 'finish') seen.reasons.set(event.choice, event.reason)
    if (event.type !== 'start') continue
    if (event.id !== '') seen.id = event.id
    seen.model = event.model
  }
}

const NO_ERRORS: ReadonlySet<string> = new Set(['answered', 'cancelled', 'client-gone'])

/** @param firstContentMs from the attempt's beginning, of a stream */
export function attemptOver(
  { outcome, broke, usage, role, slow, key, status, detail }: AttemptRecord,
  seen: AnswerSeen,
  firstContentMs: number | undefined,
): { readonly attributes: Attributes; readonly failed: Failed } {
  const ended = broke ?? outcome
  const type = NO_ERRORS.has(ended) ? undefined : ended
  const attributes: Attributes = { 'understudy.outcome': ended, ...(usage && tokensOf(usage)) }
  if (key !== undefined) attributes['understudy.key'] = key
  if (role !== undefined) attributes['understudy.role'] = role
  if (slow) attributes['understudy.slow'] = true
  if (status !== undefined) attributes['http.response.status_code'] = status
  if (type !== undefined) attributes['error.type'] = type
  if (seen.id !== undefined) attributes['gen_ai.response.id'] = seen.id
  if (seen.model !== undefined) attributes['gen_ai.response.model'] = seen.model
  if (seen.reasons.size > 0) attributes['gen_ai.response.finish_reasons'] = [...seen.reasons.values()]
  if (firstContentMs !== undefined) attributes['gen_ai.response.time_to_first_chunk'] = firstContentMs / 1000
  return { attributes, failed: { type, message: type === undefined ? undefined : messageOf(type, detail) } }
}

/** There, input includes what was cached, and output the reasoning. */
function tokensOf({ input, cached, cacheWrite, output, reasoning }: Usage): Attributes {
  const attributes: Attributes = {}
  const add = (name: string, count: number | undefined) => {
    if (count !== undefined) attributes[`gen_ai.usage.${name}`] = count
  }
  if (input !== undefined) add('input_tokens', input + (cached ?? 0) + (cacheWrite ?? 0))
  if (output !== undefined) add('output_tokens', output + (reasoning ?? 0))
  add('cache_read.input_tokens', cached)
  add('cache_creation.input_tokens', cacheWrite)
  add('reasoning.output_tokens', reasoning)
  return attributes
}

const messageOf = (kind: string, detail: string | undefined) => (mayQuote(kind) ? undefined : detail)
