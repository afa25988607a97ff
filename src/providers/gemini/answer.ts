/*
 * What whole answers and streams have in common. Google answers in chunks of one and the same shape: a stream has many, a whole answer is
 * one (or, where it was not asked to frame them, a list of them). Why a choice ends is told at the end of all, because later chunks may
 * still bring its sources and its counts.
 */
import type { ChatEvent, FinishReason, Usage } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamFailure } from '../../core/provider.ts'
import { madeToolId } from '../kit/tool-ids.ts'
import { annotationsOf } from './grounding.ts'
import { logprobsOf } from './logprobs.ts'
import { carried } from './signatures.ts'

export type Fields = Readonly<Record<string, unknown>>
export type Classify = (failure: UpstreamFailure) => Fault

export interface Answer {
  /** Throws a Fault for an error, and for a prompt that was blocked. */
  take(chunk: Fields): readonly ChatEvent[]
  /** What remained. Throws a Fault when there is no answer, or not all of one. */
  end(): readonly ChatEvent[]
}

interface Choice {
  tools: number
  said: boolean
  /** What was said, for places in it; undefined when it has grown too long to be kept. */
  text: string | undefined
  raw: string | undefined
  explanation: string
  grounding: Fields | undefined
  citations: Fields | undefined
}

/** An answer without places for its citations is better than one that fills the memory. */
const LONGEST_TEXT_KEPT = 1_000_000

/** Google's own words for what its policies stopped. */
const FILTERED = new Set([
  'SAFETY',
  'RECITATION',
  'LANGUAGE',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'IMAGE_SAFETY',
  'IMAGE_PROHIBITED_CONTENT',
  'IMAGE_RECITATION',
  'MODEL_ARMOR',
])

/** @param isWhole an answer in one piece need not say why it ends */
export function answerOf(classify: Classify, isWhole: boolean): Answer {
  const choices = new Map<number, Choice>()
  let id: string | undefined
  let started = false

  function take(chunk: Fields): readonly ChatEvent[] {
    if (chunk.error !== undefined && chunk.error !== null) throw errorInside(classify, chunk)
    const events: ChatEvent[] = []
    id ??= typeof chunk.responseId === 'string' ? chunk.responseId : undefined
    if (!started) {
      started = true
      events.push({ type: 'start', id: id ?? '', model: typeof chunk.modelVersion === 'string' ? chunk.modelVersion : '' })
    }
    const candidates: readonly unknown[] = Array.isArray(chunk.candidates) ? chunk.candidates : []
    const blocked = asObject(chunk.promptFeedback)?.blockReason
    if (typeof blocked === 'string' && candidates.length === 0 && choices.size === 0) {
      throw new Fault('content-filtered', {
        message: `The prompt was blocked: ${blocked.slice(0, 64)}`,
        detail: `blockReason ${blocked}`,
      })
    }
    for (const [place, each] of candidates.entries()) {
      const candidate = asObject(each)
      if (candidate !== undefined) events.push(...candidateEvents(indexOf(candidate, place), candidate))
    }
    const usage = usageOf(asObject(chunk.usageMetadata) ?? {})
    if (usage !== undefined) events.push({ type: 'usage', usage })
    return events
  }

  function candidateEvents(index: number, candidate: Fields): readonly ChatEvent[] {
    const choice = choiceAt(index)
    const parts = asObject(candidate.content)?.parts
    const events = (Array.isArray(parts) ? (parts as readonly unknown[]) : []).flatMap(part =>
      partEvents(index, choice, asObject(part)),
    )
    const logprobs = logprobsOf(asObject(candidate.logprobsResult))
    if (logprobs !== undefined) events.push({ type: 'extra-delta', choice: index, fields: { logprobs } })
    choice.grounding = asObject(candidate.groundingMetadata) ?? choice.grounding
    choice.citations = asObject(candidate.citationMetadata) ?? choice.citations
    if (typeof candidate.finishReason === 'string') choice.raw = candidate.finishReason
    if (typeof candidate.finishMessage === 'string') choice.explanation = candidate.finishMessage
    return events
  }

  function choiceAt(index: number): Choice {
    let choice = choices.get(index)
    if (choice === undefined) {
      choice = { tools: 0, said: false, text: '', raw: undefined, explanation: '', grounding: undefined, citations: undefined }
      choices.set(index, choice)
    }
    return choice
  }

  function partEvents(index: number, choice: Choice, part: Fields | undefined): ChatEvent[] {
    if (part === undefined) return []
    const call = asObject(part.functionCall)
    if (call !== undefined) return callEvents(index, choice, call, part.thoughtSignature)
    const events: ChatEvent[] = []
    const { text } = part
    if (typeof text === 'string' && text !== '') {
      choice.said = true
      if (part.thought === true) return [{ type: 'reasoning-delta', choice: index, text }]
      if (choice.text !== undefined) choice.text = choice.text.length > LONGEST_TEXT_KEPT ? undefined : choice.text + text
      events.push({ type: 'text-delta', choice: index, text })
    }
    const image = asObject(part.inlineData)
    if (typeof image?.data === 'string' && String(image.mimeType).startsWith('image/')) {
      choice.said = true
      const url = `data:${String(image.mimeType)};base64,${image.data}`
      events.push({ type: 'extra-delta', choice: index, fields: { images: [{ type: 'image_url', image_url: { url } }] } })
    }
    const { thoughtSignature } = part
    if (typeof text === 'string' && part.thought !== true && typeof thoughtSignature === 'string' && thoughtSignature !== '') {
      events.push({ type: 'extra-delta', choice: index, fields: carried(thoughtSignature) })
    }
    return events
  }

  function callEvents(choice: number, state: Choice, call: Fields, signature: unknown): ChatEvent[] {
    // One without arguments comes whole all the same, and what says that it is over has no name.
    if (Array.isArray(call.partialArgs) && call.partialArgs.length > 0) {
      throw new Fault('upstream-garbled', { detail: 'a call whose arguments come in pieces, which nobody has asked for' })
    }
    const { name } = call
    if (typeof name !== 'string' || name === '') return []
    const index = state.tools++
    state.said = true
    const toolId = typeof call.id === 'string' && call.id !== '' ? call.id : madeToolId(id ?? '', choice, index, name)
    const extra = typeof signature === 'string' && signature !== '' ? { extra: carried(signature) } : {}
    return [
      { type: 'tool-start', choice, index, id: toolId, name, ...extra },
      { type: 'tool-delta', choice, index, json: JSON.stringify(asObject(call.args) ?? {}) },
    ]
  }

  function isFinished(): boolean {
    return choices.size > 0 && [...choices.values()].every(({ raw }) => raw !== undefined)
  }

  function end(): readonly ChatEvent[] {
    if (choices.size === 0 && isWhole) throw new Fault('upstream-garbled', { detail: 'an answer without candidates' })
    if (!isWhole && !isFinished()) throw new Fault('upstream-truncated', { detail: 'the stream ended without a finishReason' })
    return [...choices].flatMap(([index, choice]) => ending(index, choice))
  }

  return { take, end }
}

function ending(index: number, choice: Choice): readonly ChatEvent[] {
  const raw = choice.raw ?? 'STOP'
  const reason = reasonOf(raw, choice.tools > 0)
  if (!choice.said && reason === 'stop') {
    const why = choice.explanation === '' ? '' : `: ${choice.explanation.slice(0, 300)}`
    throw new Fault('upstream-garbled', { detail: `the answer is empty (${raw.slice(0, 64)})${why}` })
  }
  const annotations = annotationsOf(choice.grounding, choice.citations, choice.text)
  return [
    ...(annotations.length === 0 ? [] : [{ type: 'extra-delta', choice: index, fields: { annotations } } as const]),
    { type: 'finish', choice: index, reason, raw },
  ]
}

/** A model that has written a call which is none, and words beside it, has only stopped. */
function reasonOf(raw: string, calledTools: boolean): FinishReason {
  if (raw === 'MAX_TOKENS') return 'length'
  if (FILTERED.has(raw)) return 'content_filter'
  return calledTools ? 'tool_calls' : 'stop'
}

/** The fault that an error inside a 200 stands for. */
export function errorInside(classify: Classify, body: unknown): Fault {
  return classify({ status: 200, headers: {}, body, text: JSON.stringify(body), receivedMs: 0 })
}

function indexOf(candidate: Fields, place: number): number {
  return typeof candidate.index === 'number' && candidate.index >= 0 && candidate.index < 128 ? candidate.index : place
}

/**
 * Google's counts: cached tokens are inside the prompt, thoughts beside the candidates. Of the candidates the total tells, where they
 * are not counted themselves. Undefined when there is no count at all.
 */
function usageOf(counts: Fields): Usage | undefined {
  const prompt = count(counts.promptTokenCount)
  const tools = count(counts.toolUsePromptTokenCount) ?? 0
  const cached = count(counts.cachedContentTokenCount)
  const reasoning = count(counts.thoughtsTokenCount)
  const total = count(counts.totalTokenCount)
  const rest = total === undefined || prompt === undefined ? 0 : total - prompt - tools - (reasoning ?? 0)
  const output = count(counts.candidatesTokenCount) ?? (rest > 0 ? rest : undefined)
  const usage = {
    ...(prompt === undefined ? {} : { input: prompt - Math.min(cached ?? 0, prompt) + tools }),
    ...(cached === undefined ? {} : { cached: Math.min(cached, prompt ?? cached) }),
    ...(output === undefined ? {} : { output }),
    ...(reasoning === undefined ? {} : { reasoning }),
  }
  return Object.keys(usage).length === 0 ? undefined : usage
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined
}
