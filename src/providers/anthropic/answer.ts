/*
 * What whole answers and streams of Anthropic's have in common. A whole answer is read as a stream whose blocks come at once, so both
 * forms give the same events: `Blocks` turns blocks and their deltas into events and remembers what it takes to do so.
 */
import type { ChatEvent, FinishReason, Usage } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { ANSWER_TOOL } from '../kit/answer-tool.ts'
import { REASONING_FORMAT } from '../kit/claude/thinking.ts'
import { madeToolId } from '../kit/tool-ids.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface Blocks {
  /** A block begins, with whatever of it is there already. */
  start(at: unknown, block: Fields): readonly ChatEvent[]
  /** More of a block. What belongs to no block, or is of an unknown kind, is nothing. */
  delta(at: unknown, delta: Fields): readonly ChatEvent[]
  stop(at: unknown): readonly ChatEvent[]
  /** Whether the client has been given anything of an answer: text, thinking or a call. */
  saidSomething(): boolean
  /** OpenAI's reason to finish for Anthropic's. */
  reason(raw: string): FinishReason
}

interface Open {
  /** A call, or the answer that comes as one (its input is the text). */
  readonly kind: 'tool' | 'answer' | 'text' | 'thinking' | 'other'
  readonly index: number
  hasJson: boolean
}

/** @param messageId of the answer, for calls that come without an id */
export function blocksOf(messageId: () => string): Blocks {
  const open = new Map<unknown, Open>()
  let tools = 0
  let said = false

  function start(at: unknown, block: Fields): readonly ChatEvent[] {
    const kind = kindOf(block)
    const current: Open = { kind, index: kind === 'tool' ? tools++ : -1, hasJson: false }
    open.set(at, current)
    switch (block.type) {
      case 'text':
        return [...text(block.text), ...annotations(block.citations)]
      case 'thinking':
        return thinking(block.thinking, block.signature)
      case 'redacted_thinking':
        return sealed(block.data)
      case 'tool_use':
        return [...called(current, block), ...inputOf(current, block.input)]
      default:
        return []
    }
  }

  function delta(at: unknown, delta: Fields): readonly ChatEvent[] {
    switch (delta.type) {
      case 'text_delta':
        return text(delta.text)
      case 'thinking_delta':
        return thinking(delta.thinking, undefined)
      case 'signature_delta':
        return thinking(undefined, delta.signature)
      case 'citations_delta':
        return annotations([delta.citation])
      case 'input_json_delta':
        return json(open.get(at), delta.partial_json)
      default:
        return []
    }
  }

  function stop(at: unknown): readonly ChatEvent[] {
    const current = open.get(at)
    open.delete(at)
    return current === undefined || current.hasJson ? [] : json(current, '{}')
  }

  function text(text: unknown): readonly ChatEvent[] {
    if (typeof text !== 'string' || text === '') return []
    said = true
    return [{ type: 'text-delta', choice: 0, text }]
  }

  function thinking(text: unknown, signature: unknown): readonly ChatEvent[] {
    const thought = typeof text === 'string' ? text : ''
    const signed = typeof signature === 'string' && signature !== '' ? { signature } : {}
    if (thought === '' && !('signature' in signed)) return []
    if (thought !== '') said = true
    return [{ type: 'reasoning-delta', choice: 0, text: thought, ...signed }]
  }

  function called(current: Open, block: Fields): readonly ChatEvent[] {
    said = true
    if (current.kind !== 'tool') return []
    const name = typeof block.name === 'string' ? block.name : ''
    const id = typeof block.id === 'string' && block.id !== '' ? block.id : madeToolId(messageId(), current.index, name)
    return [{ type: 'tool-start', choice: 0, index: current.index, id, name }]
  }

  /** The input that a block brings along: all of it in a whole answer, an empty object at the start of a streamed one. */
  function inputOf(current: Open, input: unknown): readonly ChatEvent[] {
    const object = asObject(input)
    return object === undefined || Object.keys(object).length === 0 ? [] : json(current, JSON.stringify(object))
  }

  function json(current: Open | undefined, json: unknown): readonly ChatEvent[] {
    if (typeof json !== 'string' || json === '') return []
    if (current?.kind !== 'tool' && current?.kind !== 'answer') return []
    current.hasJson = true
    return current.kind === 'answer' ? text(json) : [{ type: 'tool-delta', choice: 0, index: current.index, json }]
  }

  function reason(raw: string): FinishReason {
    switch (raw) {
      case 'max_tokens':
      case 'model_context_window_exceeded':
        return 'length'
      case 'refusal':
        return 'content_filter'
      default:
        // A call that is only the answer's way of coming is none to the client.
        return tools > 0 ? 'tool_calls' : 'stop'
    }
  }

  return { start, delta, stop, saidSomething: () => said, reason }
}

function kindOf(block: Fields): Open['kind'] {
  switch (block.type) {
    case 'tool_use':
      return block.name === ANSWER_TOOL ? 'answer' : 'tool'
    case 'text':
    case 'thinking':
      return block.type
    default:
      return 'other'
  }
}

/** Thinking that only Anthropic can read, for a client to send back. */
function sealed(data: unknown): readonly ChatEvent[] {
  if (typeof data !== 'string') return []
  const detail = { type: 'reasoning.encrypted', data, format: REASONING_FORMAT }
  return [{ type: 'extra-delta', choice: 0, fields: { reasoning_details: [detail] } }]
}

/**
 * Citations as OpenAI's annotations: of a page as url_citation, of a document as an annotation of Anthropic's own type. Anthropic
 * says what is quoted and not where in the answer the quotation is used, so there are no offsets into the answer.
 */
function annotations(citations: unknown): readonly ChatEvent[] {
  if (!Array.isArray(citations)) return []
  const annotations = citations.flatMap(each => annotationOf(asObject(each)) ?? [])
  return annotations.length === 0 ? [] : [{ type: 'extra-delta', choice: 0, fields: { annotations } }]
}

function annotationOf(citation: Fields | undefined): Fields | undefined {
  if (citation === undefined || typeof citation.type !== 'string') return undefined
  if (citation.type !== 'web_search_result_location') return { type: 'document_citation', document_citation: citation }
  const { url, title, cited_text } = citation
  if (typeof url !== 'string') return undefined
  const quoted = typeof cited_text === 'string' ? { cited_text } : {}
  return { type: 'url_citation', url_citation: { url, title: typeof title === 'string' ? title : url, ...quoted } }
}

/**
 * Anthropic's counts, which already leave cached tokens out of the input; thinking is inside the output and is taken out of it.
 * Undefined when there is no count at all.
 */
export function usageOf(counts: Fields): Usage | undefined {
  const usage: { -readonly [Key in keyof Usage]: Usage[Key] } = {}
  const input = count(counts.input_tokens)
  const cached = count(counts.cache_read_input_tokens)
  const cacheWrite = count(counts.cache_creation_input_tokens)
  const output = count(counts.output_tokens)
  const reasoning = count(asObject(counts.output_tokens_details)?.thinking_tokens)
  if (input !== undefined) usage.input = input
  if (cached !== undefined) usage.cached = cached
  if (cacheWrite !== undefined) usage.cacheWrite = cacheWrite
  if (output !== undefined) usage.output = Math.max(output - (reasoning ?? 0), 0)
  if (reasoning !== undefined) usage.reasoning = reasoning
  return Object.keys(usage).length === 0 ? undefined : usage
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}
