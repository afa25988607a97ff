/*
 * A call in OpenAI's chat shape as the body of `POST /api/chat`. `stream` is always said, because Ollama streams unless told not to. So
 * is `truncate`: left to itself, Ollama cuts the beginning off a conversation that does not fit and answers as if nothing were missing,
 * where a refusal lets a target with more room answer.
 */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamRequest } from '../../core/provider.ts'
import { leftOutOf } from '../kit/left-out.ts'
import { beginningOf, begun } from '../kit/prefill.ts'
import { conversationOf } from './conversation.ts'
import { thinkingOf } from './thinking.ts'
import { toolingOf } from './tools.ts'

/** Names of options that a call may have at its top: OpenAI's, and Ollama's own for clients that know them. */
const OPTIONS = [
  ...['temperature', 'top_p', 'top_k', 'min_p', 'typical_p', 'seed', 'presence_penalty', 'frequency_penalty', 'repeat_penalty'],
  ...['repeat_last_n', 'num_ctx', 'num_predict', 'num_keep', 'num_gpu', 'num_thread', 'num_batch'],
] as const

/** Fields that mean something here; what of them cannot be sent is told where they are read. */
const READ: ReadonlySet<string> = new Set([
  ...['model', 'messages', 'stream', 'stream_options', 'max_tokens', 'max_completion_tokens', 'stop', 'logprobs', 'top_logprobs'],
  ...['tools', 'tool_choice', 'response_format', 'reasoning_effort', 'think', 'keep_alive', 'truncate', 'shift', 'options'],
  ...OPTIONS,
])

export function encode(call: ChatCall, target: Target): UpstreamRequest {
  const body = begun(call)
  const tooling = toolingOf(body)
  const thinking = thinkingOf(body, target.model, beginningOf(call) !== undefined)
  const options = optionsOf(body, target)
  // JSON.stringify leaves out what is undefined.
  const sent = {
    model: target.model,
    messages: conversationOf(body.messages, tooling.instruction),
    stream: call.stream,
    truncate: body.truncate ?? false,
    shift: body.shift,
    tools: tooling.tools,
    format: formatOf(body),
    think: thinking.think,
    logprobs: body.logprobs === true ? true : undefined,
    top_logprobs: typeof body.top_logprobs === 'number' && body.top_logprobs > 0 ? body.top_logprobs : undefined,
    keep_alive: body.keep_alive ?? undefined,
    options: Object.keys(options).length === 0 ? undefined : options,
  }
  return {
    path: `${target.basePath}${target.basePath.endsWith('/api') ? '' : '/api'}/chat`,
    body: JSON.stringify(sent),
    leftOut: [...leftOutOf(body, READ), ...tooling.leftOut, ...thinking.leftOut],
  }
}

/** What the client says in Ollama's own `options` counts before what it says in OpenAI's fields. */
function optionsOf(body: ChatBody, target: Target): Readonly<Record<string, unknown>> {
  const options: Record<string, unknown> = {}
  for (const name of OPTIONS) if (body[name] !== undefined && body[name] !== null) options[name] = body[name]
  const asked = body.max_completion_tokens ?? body.max_tokens
  if (typeof asked === 'number') options.num_predict = Math.min(asked, target.abilities.maxOutput ?? asked)
  const stop = (typeof body.stop === 'string' ? [body.stop] : Array.isArray(body.stop) ? body.stop : []).filter(
    sequence => sequence !== '',
  )
  if (stop.length > 0) options.stop = stop
  return { ...options, ...asObject(body.options) }
}

/** Any JSON, or JSON of a schema. */
function formatOf(body: ChatBody): unknown {
  const type = body.response_format?.type
  if (type !== 'json_object' && type !== 'json_schema') return undefined
  return asObject(asObject(body.response_format?.json_schema)?.schema) ?? 'json'
}
