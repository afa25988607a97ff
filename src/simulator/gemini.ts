/*
 * Gemini's generateContent, as the API writes it: chunks that are answers themselves, each with the usage so far, lines that end in CR
 * and LF, functions called whole, no terminator at all, and errors whose details say how long to wait.
 */
import { tryParse } from '../core/json.ts'
import type { Answer, Block } from './answer.ts'
import { geminiCallAt, readGeminiCall } from './gemini-call.ts'
import { uniqueId } from './unique.ts'
import type { Failure, Mention, StreamEvent, Turn, Wire } from './wire.ts'

const MODELS = ['gemini-2.5-pro', 'gemini-2.5-flash']
const FINISH_REASONS = { stop: 'STOP', 'stop-sequence': 'STOP', length: 'MAX_TOKENS', tools: 'STOP' } as const satisfies Record<
  Answer['finish'],
  string
>

export const geminiWire: Wire = {
  callAt: geminiCallAt,
  lateFailureStatus: 503,
  read: readGeminiCall,
  refusedKey: { status: 400, message: 'API key not valid. Please pass a valid API key.', code: 'API_KEY_INVALID' },
  refusedPrefill: { status: 400, message: 'Requests ending with a model turn are not supported.' },
  newRequestId: () => uniqueId('', 22),
  headers: (_, stream) => ({
    'content-type': stream ? 'text/event-stream' : 'application/json; charset=UTF-8',
    'server-timing': 'gfet4t7; dur=12',
  }),
  failureHeaders: () => ({ 'content-type': 'application/json; charset=UTF-8', 'server-timing': 'gfet4t7; dur=12' }),
  failure: (failure, mention) => `${JSON.stringify({ error: errorOf(failure, mention) }, null, 2)}\n`,
  failureEvent: (failure, mention) => chunk('done', { error: errorOf(failure, mention) }),
  usageEvent: turn => chunk('usage', { usageMetadata: usageOf(turn, tokensOf(turn)), ...ending(turn, uniqueId('', 22)) }),
  whole: (turn, empty) =>
    turn.ask.isList === true
      ? `[${[...eventsOf(turn, empty)].map(({ json }) => json).join('\n,\n')}]`
      : `${JSON.stringify(answerOf(turn, empty), null, 2)}\n`,
  events: eventsOf,
  models: () => JSON.stringify({ models: MODELS.map(modelOf) }, null, 2),
}

function modelOf(name: string): unknown {
  return {
    name: `models/${name}`,
    displayName: name,
    inputTokenLimit: 1_048_576,
    outputTokenLimit: 65_536,
    supportedGenerationMethods: ['generateContent', 'countTokens'],
  }
}

function answerOf(turn: Turn, empty: boolean): unknown {
  const candidates = turn.answers.map((answer, index) => ({
    content: { parts: answer.blocks.map(partOf), role: 'model' },
    finishReason: FINISH_REASONS[answer.finish],
    index,
    ...explained(answer),
  }))
  return {
    ...(empty ? {} : { candidates }),
    usageMetadata: usageOf(turn, empty ? { candidates: 0, thoughts: 0 } : tokensOf(turn)),
    ...ending(turn, uniqueId('', 22)),
  }
}

function partOf(block: Block): unknown {
  switch (block.kind) {
    case 'thinking':
      return { text: block.tokens.join(''), thought: true }
    case 'text':
      return { text: [...block.tokens].join('') }
    case 'tool':
      // Arguments that maxOutputTokens cut off cannot be an object any more.
      return { functionCall: { name: block.name, args: tryParse(block.fragments.join('')) ?? {} } }
  }
}

/** Where the model has called a function, the reason to finish comes with a sentence. */
function explained(answer: Answer): object {
  return answer.finish === 'tools' ? { finishMessage: 'Model generated function call(s).' } : {}
}

function* eventsOf(turn: Turn, empty: boolean): Generator<StreamEvent> {
  const id = uniqueId('', 22)
  const [answer] = turn.answers
  const usage = { candidates: 0, thoughts: 0 }
  const write = (part: StreamEvent['part'], fields: object | undefined) =>
    chunk(part, {
      ...(fields === undefined ? {} : { candidates: [{ ...fields, index: 0 }] }),
      usageMetadata: usageOf(turn, usage),
      ...ending(turn, id),
    })
  if (empty || answer === undefined) {
    yield write('frame', undefined)
    return
  }
  for (const block of answer.blocks) {
    const parts = block.kind === 'tool' ? [partOf(block)] : partsOf(block)
    for (const part of parts) {
      if (block.kind === 'thinking') usage.thoughts++
      else usage.candidates += block.kind === 'tool' ? 1 + block.fragments.length : 1
      yield write('token', { content: { parts: [part], role: 'model' } })
    }
  }
  const content = { parts: [{ text: '' }], role: 'model' }
  yield write('finish', { content, finishReason: FINISH_REASONS[answer.finish], ...explained(answer) })
}

function* partsOf(block: Exclude<Block, { readonly kind: 'tool' }>): Generator<unknown> {
  for (const text of block.tokens) yield block.kind === 'thinking' ? { text, thought: true } : { text }
}

function chunk(part: StreamEvent['part'], fields: unknown): StreamEvent {
  return { part, json: JSON.stringify(fields), lineEnd: '\r\n' }
}

function ending({ ask }: Turn, responseId: string): object {
  return { modelVersion: ask.model, responseId }
}

interface Spent {
  readonly candidates: number
  readonly thoughts: number
}

function tokensOf({ answers }: Turn): Spent {
  const thoughts = answers.reduce((sum, answer) => sum + answer.thinkingTokens, 0)
  return { thoughts, candidates: answers.reduce((sum, answer) => sum + answer.tokens, -thoughts) }
}

function usageOf({ ask }: Turn, { candidates, thoughts }: Spent): object {
  return {
    promptTokenCount: ask.promptTokens,
    ...(candidates > 0 && { candidatesTokenCount: candidates }),
    totalTokenCount: ask.promptTokens + candidates + thoughts,
    ...(thoughts > 0 && { thoughtsTokenCount: thoughts }),
  }
}

function errorOf(failure: Failure, mention: Mention): unknown {
  const [status, message] = defaultsFor(failure.status, mention)
  const details = [
    ...(failure.code ? [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: failure.code }] : []),
    ...(failure.status === 429
      ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${failure.retryAfterS ?? 1}s` }]
      : []),
  ]
  return {
    code: failure.status,
    message: failure.message ?? message,
    status: failure.type ?? status,
    ...(details.length > 0 && { details }),
  }
}

function defaultsFor(status: number, { model }: Mention): readonly [status: string, message: string] {
  switch (status) {
    case 401:
      return ['UNAUTHENTICATED', 'Request had invalid authentication credentials.']
    case 402:
      return ['RESOURCE_EXHAUSTED', 'Your prepayment credits are depleted.']
    case 403:
      return ['PERMISSION_DENIED', 'Permission denied on resource.']
    case 404:
      return ['NOT_FOUND', model === undefined ? 'Not found.' : `models/${model} is not found for API version v1beta.`]
    case 408:
    case 504:
      return ['DEADLINE_EXCEEDED', 'The service was unable to finish processing within the deadline.']
    case 409:
      return ['ABORTED', 'The operation was aborted.']
    case 413:
      return ['INVALID_ARGUMENT', 'Request payload size exceeds the limit.']
    case 429:
      return ['RESOURCE_EXHAUSTED', 'You exceeded your current quota, please check your plan and billing details.']
    case 503:
    case 529:
      return ['UNAVAILABLE', 'The model is overloaded. Please try again later.']
    default:
      return status < 500
        ? ['INVALID_ARGUMENT', 'Request contains an invalid argument.']
        : ['INTERNAL', 'An internal error has occurred.']
  }
}
