/** A whole answer of `POST /v2/chat`. */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject } from '../../core/json.ts'
import { messageOf, textIn, usageOf } from './answer.ts'
import { errorInside } from './rules.ts'

/** Throws a Fault when it is an error, or no answer: no message at all, or one that says nothing and is complete. */
export function decode(body: unknown): readonly ChatEvent[] {
  const answer = asObject(body)
  const said = asObject(answer?.message)
  if (answer === undefined || said === undefined) {
    if (typeof answer?.message === 'string' || answer?.error !== undefined) throw errorInside(answer)
    throw new Fault('upstream-garbled', { detail: 'a 200 without a message' })
  }
  const id = textIn(answer.id)
  const message = messageOf(() => id)
  const events: ChatEvent[] = [{ type: 'start', id, model: '' }]
  events.push(...message.plan(said.tool_plan))
  // In the place of the list, a string has been seen from imitations.
  const blocks: readonly unknown[] = Array.isArray(said.content) ? said.content : [{ text: said.content }]
  for (const block of blocks) events.push(...message.content(asObject(block) ?? {}))
  events.push(...message.weighed(answer.logprobs), ...message.cited(said.citations))
  const calls: readonly unknown[] = Array.isArray(said.tool_calls) ? said.tool_calls : []
  for (const [at, call] of calls.entries()) {
    events.push(...message.callStart(at, asObject(call) ?? {}), ...message.callEnd(at))
  }
  events.push(...message.finish(textIn(answer.finish_reason), answer.error))
  const usage = usageOf(answer.usage)
  if (usage !== undefined) events.push({ type: 'usage', usage })
  return events
}
