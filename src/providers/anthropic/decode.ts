/** A whole answer of `POST /v1/messages`. */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { blocksOf, type Fields, usageOf } from './answer.ts'
import { classify } from './rules.ts'

/** Throws a Fault when it is an error, or no answer: no content at all, or none with `end_turn`. */
export function decode(body: unknown): readonly ChatEvent[] {
  const message = asObject(body)
  if (message?.type === 'error' || asObject(message?.error) !== undefined) throw errorInside(body)
  const content = message?.content
  if (message === undefined || !Array.isArray(content)) {
    throw new Fault('upstream-garbled', { detail: 'a 200 without a list of content blocks' })
  }
  const id = text(message.id)
  const blocks = blocksOf(() => id)
  const events: ChatEvent[] = [{ type: 'start', id, model: text(message.model) }]
  for (const [at, each] of (content as readonly unknown[]).entries()) {
    const block = asObject(each)
    if (block !== undefined) events.push(...blocks.start(at, block), ...blocks.stop(at))
  }
  const raw = text(message.stop_reason)
  if (isEmptyAnswer(raw, blocks.saidSomething())) throw emptyAnswer()
  events.push({ type: 'finish', choice: 0, reason: blocks.reason(raw), raw })
  const usage = usageOf(asObject(message.usage) ?? {})
  if (usage !== undefined) events.push({ type: 'usage', usage })
  return events
}

/** Refusals, reached limits and stop sequences may leave an answer empty; a model that has simply nothing to say has failed. */
export function isEmptyAnswer(stopReason: string, saidSomething: boolean): boolean {
  return !saidSomething && (stopReason === 'end_turn' || stopReason === '')
}

export function emptyAnswer(): Fault {
  return new Fault('upstream-garbled', { detail: 'the answer is empty' })
}

/** The fault that an error inside a 200 stands for. */
export function errorInside(body: unknown): Fault {
  return classify({ status: 200, headers: {}, body, text: JSON.stringify(body), receivedMs: 0 })
}

export function text(value: Fields[string]): string {
  return typeof value === 'string' ? value : ''
}
