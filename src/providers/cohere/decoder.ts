/*
 * A streamed answer. A message starts; blocks of content, the plan and the calls come one after the other, each with a start, deltas and
 * an end; message-end says why it ended and what it used, and a terminator as OpenAI's comes after it (not from everybody).
 */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoded, Decoder, Frame } from '../../core/provider.ts'
import { type Fields, messageOf, textIn, usageOf } from './answer.ts'
import { errorInside } from './rules.ts'

export function decoder(): Decoder {
  let id = ''
  let started = false
  let finished = false
  const message = messageOf(() => id)

  function push(frame: Frame): Decoded {
    // An error may come as bare JSON, without a frame around it.
    const written = (frame.data ?? frame.unframed)?.trim()
    if (written === undefined || written === '') return []
    if (written === '[DONE]') return 'done'
    const event = asObject(tryParse(written))
    if (event === undefined) return 'malformed'
    const type = event.type ?? frame.event
    if (type === 'error' || event.error || typeof event.message === 'string') throw errorInside(event)
    if (finished) return []
    const delta = asObject(event.delta)
    return read(type, event, delta, asObject(delta?.message))
  }

  function read(type: unknown, event: Fields, delta: Fields | undefined, said: Fields | undefined): Decoded {
    switch (type) {
      case 'message-start':
        return begin(event)
      case 'content-start':
      case 'content-delta': {
        const block = asObject(said?.content)
        return block === undefined ? 'malformed' : [...message.content(block), ...message.weighed(event.logprobs)]
      }
      case 'tool-plan-delta':
        return message.plan(said?.tool_plan)
      case 'tool-call-start': {
        const call = callIn(said)
        return call === undefined ? 'malformed' : message.callStart(event.index, call)
      }
      case 'tool-call-delta': {
        const call = callIn(said)
        return (call && message.callMore(event.index, call)) ?? 'malformed'
      }
      case 'tool-call-end':
        return message.callEnd(event.index)
      case 'citation-start':
        return message.cited(said?.citations)
      case 'message-end':
        return finish(delta)
      default:
        return []
    }
  }

  function begin(event: Fields): Decoded {
    // Something in between has asked again and put the second answer behind a part of the first.
    if (message.saidSomething()) throw new Fault('upstream-garbled', { detail: 'a second answer begins within the first' })
    id = textIn(event.id)
    if (started) return []
    started = true
    return [{ type: 'start', id, model: '' }]
  }

  function finish(delta: Fields | undefined): readonly ChatEvent[] {
    const events = message.finish(textIn(delta?.finish_reason), delta?.error)
    finished = true
    const usage = usageOf(delta?.usage)
    return usage === undefined ? events : [...events, { type: 'usage', usage }]
  }

  function end(): readonly ChatEvent[] {
    if (!finished) throw new Fault('upstream-truncated', { detail: 'the stream ended without a message-end' })
    return []
  }

  return { push, end }
}

/** One call at a time; the list that its name promises would do as well. */
function callIn(said: Fields | undefined): Fields | undefined {
  const calls = said?.tool_calls
  return asObject(Array.isArray(calls) ? calls[0] : calls)
}
