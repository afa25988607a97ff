/*
 * What whole answers and streams of Converse's have in common. A whole answer is read as a stream whose blocks come at once, so both
 * forms give the same events: `Blocks` turns blocks and their deltas into events and remembers what it takes to do so.
 */
import type { ChatEvent, FinishReason, Usage } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { ANSWER_TOOL } from '../kit/answer-tool.ts'
import { REASONING_FORMAT } from '../kit/claude/thinking.ts'
import { madeToolId } from '../kit/tool-ids.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface Blocks {
  /** A block begins. Only calls begin so; text and reasoning come as deltas alone. */
  start(at: unknown, start: Fields): readonly ChatEvent[]
  /** More of a block. What is of an unknown kind is nothing. */
  delta(at: unknown, delta: Fields): readonly ChatEvent[]
  stop(at: unknown): readonly ChatEvent[]
  /** A block that is all there. */
  whole(at: unknown, block: Fields): readonly ChatEvent[]
  /** The end of the answer. Throws a Fault when the reason is the word for a failure, or nothing was said. */
  finish(raw: string): readonly ChatEvent[]
  saidSomething(): boolean
}

interface Open {
  /** A call, the answer that comes as one (its input is the text), or a call that the provider answers itself. */
  readonly kind: 'tool' | 'answer' | 'theirs'
  readonly index: number
  hasJson: boolean
}

const REASONS: Readonly<Record<string, FinishReason | undefined>> = {
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  content_filtered: 'content_filter',
  guardrail_intervened: 'content_filter',
}

/** These are no ends but failures: what the model wrote could not be read. */
const FAILURES = new Set(['malformed_model_output', 'malformed_tool_use'])

export function blocks(): Blocks {
  const open = new Map<unknown, Open>()
  let tools = 0
  let said = false

  function start(at: unknown, start: Fields): readonly ChatEvent[] {
    const call = asObject(start.toolUse)
    if (call === undefined) return []
    const kind = call.type === 'server_tool_use' ? 'theirs' : call.name === ANSWER_TOOL ? 'answer' : 'tool'
    const current: Open = { kind, index: kind === 'tool' ? tools++ : -1, hasJson: false }
    open.set(at, current)
    if (kind === 'theirs') return []
    said = true
    if (kind === 'answer') return []
    const name = text(call.name)
    const id = text(call.toolUseId) || madeToolId('converse', current.index, name)
    return [{ type: 'tool-start', choice: 0, index: current.index, id, name }]
  }

  function delta(at: unknown, delta: Fields): readonly ChatEvent[] {
    const called = asObject(delta.toolUse)
    const reasoning = asObject(delta.reasoningContent)
    return [
      ...spoken(delta.text),
      ...(called === undefined ? [] : json(open.get(at), called.input)),
      ...(reasoning === undefined ? [] : thought(reasoning)),
      ...cited([delta.citation]),
    ]
  }

  function stop(at: unknown): readonly ChatEvent[] {
    const current = open.get(at)
    open.delete(at)
    return current === undefined || current.hasJson ? [] : json(current, '{}')
  }

  function whole(at: unknown, block: Fields): readonly ChatEvent[] {
    const reasoning = asObject(block.reasoningContent)
    const call = asObject(block.toolUse)
    const grounded = asObject(block.citationsContent)
    const events: ChatEvent[] = [...spoken(block.text)]
    if (reasoning !== undefined) events.push(...thought({ ...asObject(reasoning.reasoningText), ...reasoning }))
    if (call !== undefined) {
      events.push(...start(at, block))
      events.push(...json(open.get(at), asObject(call.input) === undefined ? '' : JSON.stringify(call.input)), ...stop(at))
    }
    for (const part of listOf(grounded?.content)) events.push(...spoken(asObject(part)?.text))
    events.push(...cited(listOf(grounded?.citations)))
    return events
  }

  function spoken(words: unknown): readonly ChatEvent[] {
    if (typeof words !== 'string' || words === '') return []
    said = true
    return [{ type: 'text-delta', choice: 0, text: words }]
  }

  function thought(reasoning: Fields): readonly ChatEvent[] {
    const words = text(reasoning.text)
    const signature = text(reasoning.signature)
    const sealed = text(reasoning.redactedContent) || text(reasoning.data)
    const events: ChatEvent[] = []
    if (words !== '') said = true
    if (words !== '' || signature !== '') {
      events.push({ type: 'reasoning-delta', choice: 0, text: words, ...(signature === '' ? {} : { signature }) })
    }
    if (sealed !== '') {
      // Thinking that only its maker can read, for a client to send back.
      const detail = { type: 'reasoning.encrypted', data: sealed, format: REASONING_FORMAT }
      events.push({ type: 'extra-delta', choice: 0, fields: { reasoning_details: [detail] } })
    }
    return events
  }

  function json(current: Open | undefined, json: unknown): readonly ChatEvent[] {
    if (current === undefined || current.kind === 'theirs' || typeof json !== 'string' || json === '') return []
    current.hasJson = true
    return current.kind === 'answer' ? spoken(json) : [{ type: 'tool-delta', choice: 0, index: current.index, json }]
  }

  function finish(raw: string): readonly ChatEvent[] {
    if (FAILURES.has(raw)) throw new Fault('upstream-error', { detail: `the model's output could not be read: ${raw}` })
    // A call that is only the answer's way of coming is none to the client.
    const reason = REASONS[raw] ?? (tools > 0 ? 'tool_calls' : 'stop')
    // Filters and reached limits may leave an answer empty; a model that has simply nothing to say has failed.
    if (reason === 'stop' && !said) throw new Fault('upstream-garbled', { detail: 'the answer is empty' })
    return [{ type: 'finish', choice: 0, reason, raw }]
  }

  return { start, delta, stop, whole, finish, saidSomething: () => said }
}

/**
 * Citations as OpenAI's annotations: of a page as url_citation, of a document as an annotation of its own type. Converse says what is
 * quoted and not where in the answer the quotation is used, so there are no offsets into the answer.
 */
function cited(citations: readonly unknown[]): readonly ChatEvent[] {
  const annotations = citations.flatMap(each => {
    const citation = asObject(each)
    return citation === undefined ? [] : [annotationOf(citation)]
  })
  return annotations.length === 0 ? [] : [{ type: 'extra-delta', choice: 0, fields: { annotations } }]
}

function annotationOf(citation: Fields): Fields {
  const page = asObject(asObject(citation.location)?.web)
  const url = text(page?.url) || (/^https?:/i.test(text(citation.source)) ? text(citation.source) : '')
  if (url === '') return { type: 'document_citation', document_citation: citation }
  const quoted = listOf(citation.sourceContent).flatMap(part => text(asObject(part)?.text) || [])
  const title = text(citation.title) || text(page?.domain) || url
  return { type: 'url_citation', url_citation: { url, title, ...(quoted.length === 0 ? {} : { cited_text: quoted.join('') }) } }
}

/** Converse's counts, which already leave cached tokens out of the input. Undefined when there is no count at all. */
export function usageOf(counts: unknown): Usage | undefined {
  const { inputTokens, cacheReadInputTokens, cacheWriteInputTokens, outputTokens } = asObject(counts) ?? {}
  const usage: { -readonly [Key in keyof Usage]: Usage[Key] } = {}
  const add = (key: keyof Usage, value: unknown) => {
    if (typeof value === 'number' && value >= 0) usage[key] = value
  }
  add('input', inputTokens)
  add('cached', cacheReadInputTokens)
  add('cacheWrite', cacheWriteInputTokens)
  add('output', outputTokens)
  return Object.keys(usage).length === 0 ? undefined : usage
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
