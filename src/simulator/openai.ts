/*
 * OpenAI's chat completions, as the API writes them: the order and the presence of fields, the padding of events, a role before the
 * content and an empty delta at the end, errors with four fields.
 */
import type { Answer } from './answer.ts'
import { readOpenAICall } from './openai-call.ts'
import { uniqueId } from './unique.ts'
import type { Failure, Mention, StreamEvent, Turn, Wire } from './wire.ts'

const MODELS = ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1', 'gpt-4.1-mini']
const MODELS_CREATED = 1_715_367_049
const FINGERPRINT = 'fp_5190a7ed00'
const PADDING = 'QpX7vT2mK9dLsR4w'
const FINISH_REASONS = { stop: 'stop', 'stop-sequence': 'stop', length: 'length', tools: 'tool_calls' } as const satisfies Record<
  Answer['finish'],
  string
>

export const openAIWire: Wire = {
  callAt: path => (path === '/chat/completions' ? {} : undefined),
  lateFailureStatus: 500,
  read: readOpenAICall,
  refusedKey: { status: 401 },
  refusedPrefill: { status: 400, message: 'Expected last role User or Tool for serving but got assistant.' },
  newRequestId: () => uniqueId('req_', 32),
  headers: (requestId, stream) => ({
    'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json',
    ...ownHeaders(requestId),
    'x-ratelimit-limit-requests': '10000',
    'x-ratelimit-limit-tokens': '2000000',
    'x-ratelimit-remaining-requests': '9999',
    'x-ratelimit-remaining-tokens': '1999985',
    'x-ratelimit-reset-requests': '6ms',
    'x-ratelimit-reset-tokens': '0s',
  }),
  failureHeaders: requestId => ({ 'content-type': 'application/json; charset=utf-8', ...ownHeaders(requestId) }),
  failure: (failure, mention) => `${JSON.stringify({ error: errorOf(failure, mention) }, null, 4)}\n`,
  failureEvent: (failure, mention) => ({ part: 'done', json: JSON.stringify({ error: errorOf(failure, mention) }) }),
  usageEvent: turn => chunkWriter(turn)('usage', [], 0, usageOf(turn, false)),
  whole: (turn, empty) => `${JSON.stringify(completionOf(turn, empty), null, 2)}\n`,
  events: (turn, empty) => (empty ? emptyChunksOf(turn) : chunksOf(turn)),
  models: () =>
    `${JSON.stringify(
      { object: 'list', data: MODELS.map(id => ({ id, object: 'model', created: MODELS_CREATED, owned_by: 'system' })) },
      null,
      2,
    )}\n`,
}

function ownHeaders(requestId: string): Readonly<Record<string, string>> {
  return { 'openai-version': '2020-10-01', 'openai-processing-ms': '12', 'x-request-id': requestId }
}

function completionOf(turn: Turn, empty: boolean): unknown {
  const { ask, answers, createdMs } = turn
  return {
    id: uniqueId('chatcmpl-', 29),
    object: 'chat.completion',
    created: Math.floor(createdMs / 1000),
    model: ask.model,
    choices: empty
      ? []
      : answers.map((answer, index) => ({
          index,
          message: messageOf(answer),
          logprobs: null,
          finish_reason: FINISH_REASONS[answer.finish],
        })),
    usage: usageOf(turn, empty),
    service_tier: 'default',
    system_fingerprint: FINGERPRINT,
  }
}

function messageOf(answer: Answer): unknown {
  let content: string | null = null
  const calls: unknown[] = []
  for (const block of answer.blocks) {
    if (block.kind === 'text') content = `${content ?? ''}${[...block.tokens].join('')}`
    if (block.kind === 'tool') {
      const call = { name: block.name, arguments: block.fragments.join('') }
      calls.push({ id: uniqueId('call_', 24), type: 'function', function: call })
    }
  }
  if (calls.length > 0) return { role: 'assistant', content, tool_calls: calls, refusal: null, annotations: [] }
  return { role: 'assistant', content: content ?? '', refusal: null, annotations: [] }
}

function usageOf({ ask, answers }: Turn, empty: boolean): unknown {
  const completion = empty ? 0 : answers.reduce((sum, answer) => sum + answer.tokens, 0)
  return {
    prompt_tokens: ask.promptTokens,
    completion_tokens: completion,
    total_tokens: ask.promptTokens + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}

type WriteChunk = (part: StreamEvent['part'], choices: readonly unknown[], length: number, usage?: unknown) => StreamEvent

/** Every event of a stream begins and ends alike; what lies between is its choices. */
function chunkWriter({ ask, createdMs }: Turn): WriteChunk {
  const id = uniqueId('chatcmpl-', 29)
  const created = Math.floor(createdMs / 1000)
  return (part, choices, length, usage) => ({
    part,
    json: JSON.stringify({
      id,
      object: 'chat.completion.chunk',
      created,
      model: ask.model,
      service_tier: 'default',
      system_fingerprint: FINGERPRINT,
      choices,
      ...(ask.reportsUsage && { usage: usage ?? null }),
      ...(ask.padded && { obfuscation: PADDING.slice(length % PADDING.length) }),
    }),
  })
}

function* chunksOf(turn: Turn): Generator<StreamEvent> {
  const write = chunkWriter(turn)
  // Choices are written side by side, as they are made.
  let open = turn.answers.map((answer, index) => choiceChunks(write, index, answer))
  while (open.length > 0) {
    const going: typeof open = []
    for (const choice of open) {
      const { value, done } = choice.next()
      if (done === true) continue
      yield value
      going.push(choice)
    }
    open = going
  }
  if (turn.ask.reportsUsage) yield write('usage', [], 0, usageOf(turn, false))
  yield DONE
}

function* choiceChunks(write: WriteChunk, index: number, answer: Answer): Generator<StreamEvent> {
  const chunk = (part: StreamEvent['part'], delta: unknown, length: number, reason: string | null = null) =>
    write(part, [{ index, delta, logprobs: null, finish_reason: reason }], length)

  const speaks = answer.blocks[0]?.kind !== 'tool'
  yield chunk('frame', { role: 'assistant', content: speaks ? '' : null, refusal: null }, 0)
  let calls = 0
  for (const block of answer.blocks) {
    if (block.kind === 'text') for (const token of block.tokens) yield chunk('token', { content: token }, token.length)
    if (block.kind !== 'tool') continue
    const call = { index: calls, id: uniqueId('call_', 24), type: 'function', function: { name: block.name, arguments: '' } }
    yield chunk('token', { tool_calls: [call] }, block.name.length)
    for (const fragment of block.fragments) {
      yield chunk('token', { tool_calls: [{ index: calls, function: { arguments: fragment } }] }, fragment.length)
    }
    calls++
  }
  yield chunk('finish', {}, 0, FINISH_REASONS[answer.finish])
}

function* emptyChunksOf(turn: Turn): Generator<StreamEvent> {
  const write = chunkWriter(turn)
  yield write('frame', [], 0)
  yield write('frame', [], 0)
  if (turn.ask.reportsUsage) yield write('usage', [], 0, usageOf(turn, true))
  yield DONE
}

const DONE: StreamEvent = { part: 'done', json: '[DONE]' }

interface ErrorDefaults {
  readonly message: string
  readonly type?: string
  readonly code?: string
}

function defaultsFor(status: number, { model, method, path }: Mention): ErrorDefaults {
  switch (status) {
    case 400:
      return { message: 'Invalid request.' }
    case 401:
      return {
        message:
          'Incorrect API key provided: sk-simul*********ator. You can find your API key at https://platform.openai.com/account/api-keys.',
        code: 'invalid_api_key',
      }
    case 402:
      return { message: 'You have no credit left.', type: 'insufficient_quota', code: 'insufficient_quota' }
    case 403:
      return { message: 'You have insufficient permissions for this operation.', code: 'missing_scope' }
    case 404:
      return model === undefined
        ? { message: `Invalid URL (${method} ${path})` }
        : { message: `The model \`${model}\` does not exist or you do not have access to it.`, code: 'model_not_found' }
    case 408:
      return { message: 'Request timed out.', type: 'server_error' }
    case 409:
      return { message: 'The resource is locked by another request. Please try again.', type: 'server_error' }
    case 413:
      return { message: 'Request body is too large.', code: 'request_too_large' }
    case 422:
      return { message: 'The request was well-formed but could not be followed.' }
    case 429:
      return {
        message: `Rate limit reached for ${model ?? 'requests'} in organization org-simulated on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 1s. Visit https://platform.openai.com/account/rate-limits to learn more.`,
        type: 'requests',
        code: 'rate_limit_exceeded',
      }
    case 502:
      return { message: 'Bad gateway.', type: 'cf_bad_gateway' }
    case 503:
    case 529:
      return {
        message: 'The engine is currently overloaded, please try again later.',
        type: 'service_unavailable_error',
        code: 'server_is_overloaded',
      }
    case 504:
      return { message: 'The server did not answer in time.', type: 'server_error' }
    default:
      return status < 500
        ? { message: 'The request was refused.' }
        : { message: 'The server had an error while processing your request. Sorry about that!', type: 'server_error' }
  }
}

function errorOf(failure: Failure, mention: Mention): unknown {
  const { message, type = 'invalid_request_error', code = null } = defaultsFor(failure.status, mention)
  return {
    message: failure.message ?? message,
    type: failure.type ?? type,
    param: failure.param ?? null,
    // A code belongs to its type: a script that names another type does not mean this code.
    code: failure.code ?? (failure.type === undefined && failure.message === undefined ? code : null),
  }
}
