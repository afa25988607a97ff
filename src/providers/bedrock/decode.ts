/** A whole answer of Converse. */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { blocks, text, usageOf } from './answer.ts'
import { classify } from './rules.ts'

/** Throws a Fault when it is an error, or no answer. */
export function decode(body: unknown): readonly ChatEvent[] {
  const answer = asObject(body)
  const message = asObject(asObject(answer?.output)?.message)
  const content = message?.content
  if (!Array.isArray(content)) {
    if (answer !== undefined && (typeof answer.message === 'string' || typeof answer.__type === 'string')) {
      throw classify({ status: 200, headers: {}, body, text: JSON.stringify(body), receivedMs: 0 })
    }
    throw new Fault('upstream-garbled', { detail: 'a 200 without a list of content blocks' })
  }
  const read = blocks()
  const events: ChatEvent[] = []
  for (const [at, each] of (content as readonly unknown[]).entries()) {
    const block = asObject(each)
    if (block !== undefined) events.push(...read.whole(at, block))
  }
  events.push(...read.finish(text(answer?.stopReason)))
  const usage = usageOf(answer?.usage)
  if (usage !== undefined) events.push({ type: 'usage', usage })
  return events
}
