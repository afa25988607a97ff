/*
 * Anthropic's Messages, as the API writes them: named events around blocks of content, a ping after the first block has begun, usage at
 * both ends of a stream, errors with a request id.
 */
import type { Answer, Block } from './answer.ts'
import { readAnthropicCall } from './anthropic-call.ts'
import { uniqueId } from './unique.ts'
import type { Failure, Mention, StreamEvent, Turn, Wire } from './wire.ts'

const MODELS = [
  { type: 'model', id: 'claude-sonnet-4-5', display_name: 'Claude Sonnet 4.5', created_at: '2025-09-29T00:00:00Z' },
  { type: 'model', id: 'claude-haiku-4-5', display_name: 'Claude Haiku 4.5', created_at: '2025-10-15T00:00:00Z' },
]
const STOP_REASONS = {
  stop: 'end_turn',
  'stop-sequence': 'stop_sequence',
  length: 'max_tokens',
  tools: 'tool_use',
} as const satisfies Record<Answer['finish'], string>

export const anthropicWire: Wire = {
  callAt: path => (path === '/messages' ? {} : undefined),
  lateFailureStatus: 529,
  read: readAnthropicCall,
  refusedKey: { status: 401 },
  refusedPrefill: {
    status: 400,
    message: 'This model does not support assistant message prefill. The conversation must end with a user message.',
  },
  newRequestId: () => uniqueId('req_011C', 20),
  headers: (requestId, stream) => ({
    'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    ...(stream && { 'cache-control': 'no-cache' }),
    'anthropic-ratelimit-requests-limit': '4000',
    'anthropic-ratelimit-requests-remaining': '3999',
    'anthropic-ratelimit-requests-reset': `${new Date().toISOString().slice(0, 19)}Z`,
    'request-id': requestId,
    'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
  }),
  failureHeaders: (requestId, status) => ({
    'content-type': 'application/json',
    'x-should-retry': String(status === 408 || status === 409 || status === 429 || status >= 500),
    'request-id': requestId,
  }),
  failure: (failure, mention) => JSON.stringify(errorOf(failure, mention)),
  failureEvent: (failure, mention) => ({ part: 'done', event: 'error', json: JSON.stringify(errorOf(failure, mention)) }),
  usageEvent: turn => usageEvent(turn, turn.answers[0]!, 'usage', null, null),
  whole: (turn, empty) => JSON.stringify(messageOf(turn, empty ? NOTHING : turn.answers[0]!)),
  events: (turn, empty) => eventsOf(turn, empty ? NOTHING : turn.answers[0]!),
  models: () => JSON.stringify({ data: MODELS, has_more: false, first_id: MODELS[0]!.id, last_id: MODELS.at(-1)!.id }),
}

const NOTHING: Answer = { blocks: [], finish: 'stop', tokens: 0, thinkingTokens: 0 }

function messageOf(turn: Turn, answer: Answer): unknown {
  return {
    ...opening(turn),
    content: answer.blocks.map(contentOf),
    stop_reason: STOP_REASONS[answer.finish],
    stop_sequence: answer.stoppedBy ?? null,
    usage: { ...firstUsage(turn, answer.tokens), ...thinkingUsage(turn, answer) },
  }
}

function contentOf(block: Block): unknown {
  switch (block.kind) {
    case 'thinking':
      return { type: 'thinking', thinking: block.tokens.join(''), signature: block.signature }
    case 'text':
      return { type: 'text', text: [...block.tokens].join('') }
    case 'tool':
      return { ...toolStart(block.name), input: inputOf(block.fragments.join('')), caller: { type: 'direct' } }
  }
}

/** Arguments that max_tokens cut off cannot be an object any more. */
function inputOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return {}
  }
}

function* eventsOf(turn: Turn, answer: Answer): Generator<StreamEvent> {
  const start = { ...opening(turn), content: [], stop_reason: null, stop_sequence: null, usage: firstUsage(turn, 1) }
  yield event('frame', 'message_start', { message: start })
  if (answer.blocks.length === 0) yield PING
  for (const [index, block] of answer.blocks.entries()) yield* blockEvents(index, block)
  yield usageEvent(turn, answer, 'finish', STOP_REASONS[answer.finish], answer.stoppedBy ?? null)
  yield event('done', 'message_stop', {})
}

function usageEvent(
  turn: Turn,
  answer: Answer,
  part: StreamEvent['part'],
  reason: string | null,
  stoppedBy: string | null,
): StreamEvent {
  return event(part, 'message_delta', {
    delta: { stop_reason: reason, stop_sequence: stoppedBy },
    usage: {
      input_tokens: turn.ask.promptTokens,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: answer.tokens,
      ...thinkingUsage(turn, answer),
    },
  })
}

function* blockEvents(index: number, block: Block): Generator<StreamEvent> {
  const delta = (part: StreamEvent['part'], fields: unknown) => event(part, 'content_block_delta', { index, delta: fields })
  const start = (part: StreamEvent['part'], content: unknown) =>
    event(part, 'content_block_start', { index, content_block: content })

  if (block.kind === 'tool') {
    yield start('token', { ...toolStart(block.name), input: {}, caller: { type: 'direct' } })
    if (index === 0) yield PING
    yield delta('frame', { type: 'input_json_delta', partial_json: '' })
    for (const fragment of block.fragments) yield delta('token', { type: 'input_json_delta', partial_json: fragment })
  } else if (block.kind === 'thinking') {
    yield start('frame', { type: 'thinking', thinking: '', signature: '' })
    if (index === 0) yield PING
    for (const token of block.tokens) yield delta('token', { type: 'thinking_delta', thinking: token })
    yield delta('frame', { type: 'signature_delta', signature: block.signature })
  } else {
    yield start('frame', { type: 'text', text: '' })
    if (index === 0) yield PING
    for (const token of block.tokens) yield delta('token', { type: 'text_delta', text: token })
  }
  yield event('frame', 'content_block_stop', { index })
}

const PING: StreamEvent = { part: 'frame', event: 'ping', json: '{"type": "ping"}' }

function event(part: StreamEvent['part'], type: string, fields: object): StreamEvent {
  return { part, event: type, json: JSON.stringify({ type, ...fields }) }
}

function opening({ ask }: Turn): object {
  return { model: ask.model, id: uniqueId('msg_01', 22), type: 'message', role: 'assistant' }
}

function toolStart(name: string): object {
  return { type: 'tool_use', id: uniqueId('toolu_01', 22), name }
}

function firstUsage({ ask }: Turn, outputTokens: number): object {
  return {
    input_tokens: ask.promptTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
    output_tokens: outputTokens,
    service_tier: 'standard',
    inference_geo: 'not_available',
  }
}

function thinkingUsage({ ask }: Turn, answer: Answer): object {
  return ask.thinks ? { output_tokens_details: { thinking_tokens: answer.thinkingTokens } } : {}
}

function errorOf(failure: Failure, mention: Mention): unknown {
  const [type, message] = defaultsFor(failure.status, mention)
  return {
    type: 'error',
    error: { type: failure.type ?? type, message: failure.message ?? message },
    request_id: mention.requestId,
  }
}

function defaultsFor(status: number, { model }: Mention): readonly [type: string, message: string] {
  switch (status) {
    case 401:
      return ['authentication_error', 'invalid x-api-key']
    case 402:
      return ['billing_error', 'Your credit balance is too low to access the Anthropic API.']
    case 403:
      return ['permission_error', 'Your API key does not have permission to use the specified resource.']
    case 404:
      return ['not_found_error', model === undefined ? 'Not Found' : `model: ${model}`]
    case 409:
      return ['conflict_error', 'The request conflicts with another one. Please try again.']
    case 413:
      return ['request_too_large', 'Request exceeds the maximum size']
    case 429:
      return ['rate_limit_error', 'This request would exceed your organization’s rate limit of 4,000 requests per minute.']
    case 408:
    case 504:
      return ['timeout_error', 'Request timed out']
    case 503:
    case 529:
      return ['overloaded_error', 'Overloaded']
    default:
      return status < 500 ? ['invalid_request_error', 'Invalid request'] : ['api_error', 'Internal server error']
  }
}
