/*
 * What whole answers and streams of Cohere's have in common: a message says thoughts, a plan, text and calls, and cites; then it
 * finishes and counts. `Message` turns its parts into events and remembers what it takes to do so.
 */
import type { ChatEvent, FinishReason, Usage } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { madeToolId } from '../kit/tool-ids.ts'
import { annotationsOf } from './citations.ts'
import { errorInside } from './rules.ts'
import { ownName } from './tool-names.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface Message {
  /** A block of content, or more of one. */
  content(block: Fields): readonly ChatEvent[]
  /** What is going to be called, and why. */
  plan(text: unknown): readonly ChatEvent[]
  callStart(at: unknown, call: Fields): readonly ChatEvent[]
  /** More arguments; undefined where no call is under way at that place. */
  callMore(at: unknown, call: Fields): readonly ChatEvent[] | undefined
  callEnd(at: unknown): readonly ChatEvent[]
  /** One citation, or a list of them. */
  cited(citations: unknown): readonly ChatEvent[]
  /** The log probabilities of a few tokens, or a list of such. */
  weighed(items: unknown): readonly ChatEvent[]
  /** Throws a Fault where the reason is one, and where nothing was said. */
  finish(raw: string, error: unknown): readonly ChatEvent[]
  /** Whether the client has been given anything of an answer: text, thoughts or a call. */
  saidSomething(): boolean
}

interface Call {
  readonly index: number
  hasArguments: boolean
}

const REASONS: Readonly<Record<string, FinishReason>> = {
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
  ERROR_TOXIC: 'content_filter',
}

const FAILURES: ReadonlySet<string> = new Set(['ERROR', 'TIMEOUT', 'ERROR_LIMIT'])

/** @param answerId for calls that come without an id */
export function messageOf(answerId: () => string): Message {
  const open = new Map<unknown, Call>()
  let calls = 0
  let said = false

  function content(block: Fields): readonly ChatEvent[] {
    const events = [...thought(block.thinking)]
    const text = textIn(block.text)
    if (text !== '') {
      said = true
      events.push({ type: 'text-delta', choice: 0, text })
    }
    return events
  }

  function thought(value: unknown): readonly ChatEvent[] {
    const text = textIn(value)
    if (text === '') return []
    said = true
    return [{ type: 'reasoning-delta', choice: 0, text }]
  }

  function callStart(at: unknown, call: Fields): readonly ChatEvent[] {
    const named = asObject(call.function) ?? {}
    const name = ownName(textIn(named.name))
    const ended = callEnd(at)
    const index = calls++
    open.set(at, { index, hasArguments: false })
    said = true
    const id = textIn(call.id) || madeToolId(answerId(), index, name)
    return [...ended, { type: 'tool-start', choice: 0, index, id, name }, ...(callMore(at, call) ?? [])]
  }

  function callMore(at: unknown, call: Fields): readonly ChatEvent[] | undefined {
    const current = open.get(at)
    if (current === undefined) return undefined
    const given = asObject(call.function)?.arguments
    const json = asObject(given) === undefined ? textIn(given) : JSON.stringify(given)
    if (json === '') return []
    current.hasArguments = true
    return [{ type: 'tool-delta', choice: 0, index: current.index, json }]
  }

  function callEnd(at: unknown): readonly ChatEvent[] {
    const current = open.get(at)
    open.delete(at)
    return current === undefined || current.hasArguments
      ? []
      : [{ type: 'tool-delta', choice: 0, index: current.index, json: '{}' }]
  }

  function finish(raw: string, error: unknown): readonly ChatEvent[] {
    if (FAILURES.has(raw)) throw errorInside({ message: typeof error === 'string' ? error : `finish_reason ${raw}` })
    const events = [...open.keys()].flatMap(callEnd)
    const known = REASONS[raw] ?? 'stop'
    const reason = known === 'stop' && calls > 0 ? 'tool_calls' : known
    if (!said && reason === 'stop') throw new Fault('upstream-garbled', { detail: 'the answer is empty' })
    return [...events, { type: 'finish', choice: 0, reason, raw }]
  }

  return {
    content,
    plan: thought,
    callStart,
    callMore,
    callEnd,
    cited,
    weighed,
    finish,
    saidSomething: () => said,
  }
}

/** Citations as OpenAI's annotations. */
function cited(citations: unknown): readonly ChatEvent[] {
  const annotations = listOf(citations).flatMap(each => annotationsOf(asObject(each)))
  return annotations.length === 0 ? [] : [{ type: 'extra-delta', choice: 0, fields: { annotations } }]
}

/** Cohere weighs a run of tokens at a time and names only their text together: it is one entry, with the product of what they weigh. */
function weighed(items: unknown): readonly ChatEvent[] {
  const content = listOf(items).flatMap(each => {
    const { text, logprobs } = asObject(each) ?? {}
    if (typeof text !== 'string' || !Array.isArray(logprobs) || logprobs.length === 0) return []
    const logprob = logprobs.reduce((sum: number, one: unknown) => sum + (typeof one === 'number' ? one : 0), 0)
    return [{ token: text, logprob, bytes: [...Buffer.from(text)], top_logprobs: [] }]
  })
  return content.length === 0 ? [] : [{ type: 'extra-delta', choice: 0, fields: { logprobs: { content, refusal: null } } }]
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]
}

/**
 * Cohere's counts, made disjoint. `tokens` is what went through the model, `billed_units` what is paid for. Cached tokens are inside the
 * input, images are beside it; reasoning is inside the output. Undefined when there is no count at all.
 */
export function usageOf(value: unknown): Usage | undefined {
  const counts = asObject(value)
  const tokens = asObject(counts?.tokens) ?? asObject(counts?.billed_units)
  if (counts === undefined || tokens === undefined) return undefined
  const text = count(tokens.input_tokens)
  const prompt = text === undefined ? undefined : text + (count(tokens.image_tokens) ?? 0)
  const cached = atMost(count(counts.cached_tokens), prompt)
  const completion = count(tokens.output_tokens)
  const reasoning = atMost(count(tokens.reasoning_tokens), completion)
  const usage: Usage = {
    ...(prompt === undefined ? {} : { input: prompt - (cached ?? 0) }),
    ...(cached === undefined ? {} : { cached }),
    ...(completion === undefined ? {} : { output: completion - (reasoning ?? 0) }),
    ...(reasoning === undefined ? {} : { reasoning }),
  }
  return Object.keys(usage).length === 0 ? undefined : usage
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

function atMost(value: number | undefined, most: number | undefined): number | undefined {
  return value === undefined || most === undefined ? value : Math.min(value, most)
}

/** The text, or nothing where there is none. */
export function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
