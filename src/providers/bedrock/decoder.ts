/*
 * A streamed answer of ConverseStream. Blocks come one after the other; messageStop says why the answer ends, and metadata, which holds
 * the counts, comes after it and is the last event. An exception may come at any place, also first of all.
 */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoded, Decoder, Frame } from '../../core/provider.ts'
import { blocks, type Fields, text, usageOf } from './answer.ts'
import { exceptionOf } from './rules.ts'

const EXCEPTION = /^(?:exception|error):/

export function decoder(): Decoder {
  const read = blocks()
  let finished = false
  let last: readonly ChatEvent[] = []

  function push(frame: Frame): Decoded {
    if (frame.data === undefined) return []
    const payload = asObject(tryParse(frame.data))
    const type = frame.event ?? ''
    if (EXCEPTION.test(type)) throw exceptionOf(type.replace(EXCEPTION, ''), payload ?? { message: frame.data })
    if (payload === undefined) return 'malformed'
    switch (type) {
      case 'contentBlockStart': {
        const start = asObject(payload.start)
        return start === undefined ? 'malformed' : read.start(payload.contentBlockIndex, start)
      }
      case 'contentBlockDelta': {
        const delta = asObject(payload.delta)
        return delta === undefined ? 'malformed' : read.delta(payload.contentBlockIndex, delta)
      }
      case 'contentBlockStop':
        return read.stop(payload.contentBlockIndex)
      case 'messageStart':
        // Something in between has asked again and put the second answer behind a part of the first.
        if (read.saidSomething()) throw new Fault('upstream-garbled', { detail: 'a second answer begins within the first' })
        return []
      case 'messageStop':
        return stopped(payload)
      case 'metadata':
        return counted(payload)
      default:
        return []
    }
  }

  function stopped(payload: Fields): Decoded {
    if (finished) return []
    const events = read.finish(text(payload.stopReason))
    finished = true
    return events
  }

  function counted(payload: Fields): Decoded {
    const usage = usageOf(payload.usage)
    const events: readonly ChatEvent[] = usage === undefined ? [] : [{ type: 'usage', usage }]
    if (!finished) return events
    last = events
    return 'done'
  }

  function end(): readonly ChatEvent[] {
    if (!finished) throw new Fault('upstream-truncated', { detail: 'the stream ended without a stop reason' })
    return last
  }

  return { push, end }
}
