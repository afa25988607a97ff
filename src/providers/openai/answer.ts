/*
 * Answers in OpenAI's form, whole or streamed, read leniently: everybody adds fields, leaves some out, repeats others. A message and a
 * delta have the same fields, so one reader serves both; `choices.ts` holds what must be remembered between the deltas of one answer.
 */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoded, Decoder, Frame } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'
import { Alike } from './alike.ts'
import { type Choices, choices as newChoices } from './choices.ts'
import { failureOfFinish } from './finish.ts'
import { usageOf } from './usage.ts'

type Fields = Readonly<Record<string, unknown>>

/** How this provider's answers differ. */
export interface AnswerTraits {
  readonly rules: readonly Rule[]
  /** Reasoning is counted beside completion_tokens, not inside. */
  readonly reasoningBeside: boolean
  /** Streams may end with [DONE] and usage, and no finish reason. */
  readonly finishMayBeMissing: boolean
}

/** Reads a whole answer. Throws a Fault for an error inside a 200, and for what is no answer. */
export function decodeAnswer(body: unknown, traits: AnswerTraits): readonly ChatEvent[] {
  const answer = asObject(body)
  const list = answer?.choices
  if (answer === undefined || hasError(answer) || !Array.isArray(list)) throw noAnswer(body, traits)
  const start = { id: text(answer.id), model: text(answer.model) }
  const events: ChatEvent[] = [{ type: 'start', ...start }]
  const choices = newChoices(start)
  for (const [place, each] of list.entries()) {
    const choice = asObject(each)
    if (choice === undefined) continue
    throwIfFailed(choice, traits)
    const index = indexOf(choice, place)
    choices.read(index, choice, asObject(choice.message) ?? asObject(choice.delta) ?? {}, events)
    choices.finish(index, text(choice.finish_reason), events)
  }
  if (choices.begun() === 0) throw new Fault('upstream-garbled', { detail: 'no choices' })
  throwIfEmpty(choices)
  pushUsage(answer, traits, events)
  return events
}

/** Decodes one streamed answer. */
export function answerDecoder(traits: AnswerTraits): Decoder {
  return new AnswerDecoder(traits)
}

class AnswerDecoder implements Decoder {
  private readonly traits: AnswerTraits
  private readonly alike = new Alike()
  private choices: Choices | undefined
  private started = false
  private done = false
  private counted = false

  constructor(traits: AnswerTraits) {
    this.traits = traits
  }

  push(frame: Frame): Decoded {
    const written = frame.data?.trim()
    if (written === undefined || written === '') return []
    if (written === '[DONE]') {
      this.done = true
      return 'done'
    }
    const known = frame.event === undefined ? this.alike.read(written) : undefined
    if (known !== undefined && !this.choices!.hasFinished(known.choice)) return [known]
    const parsed = tryParse(written)
    const chunk = asObject(parsed)
    if (frame.event === 'error' || (chunk !== undefined && hasError(chunk))) throw errorInside(parsed, written, this.traits)
    if (chunk === undefined) return 'malformed'
    const decoded = this.readChunk(chunk)
    if (known === undefined && frame.event === undefined) this.alike.learn(written, decoded, other => this.readChunk(other))
    return decoded
  }

  private readChunk(chunk: Fields): Exclude<Decoded, string> {
    const events: ChatEvent[] = []
    const list = Array.isArray(chunk.choices) ? chunk.choices : []
    const id = text(chunk.id)
    const model = text(chunk.model)
    // A first chunk may hold nothing yet (Azure's prompt filter); with the first choice it has to be as good as it gets.
    if (!this.started && ((id !== '' && model !== '') || ((id !== '' || model !== '') && list.length > 0))) {
      this.started = true
      events.push({ type: 'start', id, model, ...(typeof chunk.created === 'number' && { createdS: chunk.created }) })
    }
    this.choices ??= newChoices({ id, model })
    const { choices, traits } = this
    let saysMore = false
    let isLate = true
    for (let place = 0; place < list.length; place++) {
      const choice = asObject(list[place])
      if (choice === undefined) continue
      const index = indexOf(choice, place)
      if (choices.hasFinished(index)) {
        const delta = asObject(choice.delta) ?? {}
        saysMore ||= text(choice.finish_reason) !== '' || Object.keys(delta).length > 0
        choices.readLate(index, delta, events)
        continue
      }
      isLate = false
      throwIfFailed(choice, traits)
      // Where both are there, the message is cumulative; alone, it is the answer in one chunk.
      const delta = asObject(choice.delta) ?? (choices.hasContent() ? undefined : asObject(choice.message))
      if (delta !== undefined || choice.logprobs) choices.read(index, choice, delta ?? {}, events)
      const raw = text(choice.finish_reason)
      if (raw !== '') choices.finish(index, raw, events)
    }
    if (pushUsage(chunk, traits, events)) this.counted = true
    // Choices that have finished before finish again, or go on: to a client that would be a second end, or words after the end.
    return isLate && saysMore && events.every(event => event.type === 'usage') ? { unrelayed: events } : events
  }

  end(): readonly ChatEvent[] {
    const { choices, done, counted, traits } = this
    if (choices === undefined || choices.begun() === 0)
      throw new Fault('upstream-truncated', { detail: 'the stream ended before any choice' })
    const events: ChatEvent[] = []
    if (choices.unfinished().length > 0) {
      if (!(traits.finishMayBeMissing && done && counted)) {
        throw new Fault('upstream-truncated', {
          detail: `the stream ended without a finish reason${done ? ', but with its terminator' : ''}`,
        })
      }
      for (const index of choices.unfinished()) choices.finish(index, '', events)
    }
    throwIfEmpty(choices)
    return events
  }
}

function throwIfEmpty(choices: Choices): void {
  if (!choices.hasContent() && choices.allStopped()) throw new Fault('upstream-garbled', { detail: 'empty answer' })
}

/** An error of its own, or a finish reason that is one. */
function throwIfFailed(choice: Fields, traits: AnswerTraits): void {
  if (hasError(choice)) throw errorInside({ error: choice.error }, JSON.stringify(choice.error), traits)
  const failure = failureOfFinish(choice)
  if (failure === undefined) return
  const message = `finish_reason ${text(choice.finish_reason)} ${text(choice.native_finish_reason)}`.trim()
  throw errorInside({ error: { type: failure, message } }, message, traits)
}

function noAnswer(body: unknown, traits: AnswerTraits): Fault {
  const written = typeof body === 'string' ? body : (JSON.stringify(body) ?? '')
  return errorInside(body, written, traits)
}

/** What an error inside a 200 means. It came without headers of its own, and when it came does not matter. */
function errorInside(body: unknown, written: string, traits: AnswerTraits): Fault {
  return classifyBy(traits.rules, { status: 200, headers: {}, body, text: written.slice(0, 2_000), receivedMs: 0 })
}

/** `error: null` stands in answers that are well. */
function hasError(fields: Fields): boolean {
  const { error } = fields
  return typeof error === 'string' ? error !== '' : typeof error === 'object' && error !== null && Object.keys(error).length > 0
}

/** True when there was one. Groq's own place for it, and Moonshot's, are older than their use of OpenAI's. */
function pushUsage(answer: Fields, traits: AnswerTraits, events: ChatEvent[]): boolean {
  const first = Array.isArray(answer.choices) ? asObject(answer.choices[0]) : undefined
  const usage =
    usageOf(answer.usage, traits.reasoningBeside) ??
    usageOf(asObject(answer.x_groq)?.usage, traits.reasoningBeside) ??
    usageOf(first?.usage, traits.reasoningBeside)
  if (usage !== undefined) events.push({ type: 'usage', usage })
  return usage !== undefined
}

function indexOf(choice: Fields, place: number): number {
  return typeof choice.index === 'number' && Number.isInteger(choice.index) && choice.index >= 0 ? choice.index : place
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
