/*
 * A streamed answer. Blocks come one after the other, each with a start, deltas and a stop; message_delta says why the answer ends and
 * message_stop that it has. Counts are cumulative and may come in parts: message_start has the input, message_delta the output and
 * sometimes a corrected input (server tools read pages), so each count keeps its last value.
 */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoded, Decoder, Frame } from '../../core/provider.ts'
import { blocksOf, type Fields, usageOf } from './answer.ts'
import { emptyAnswer, errorInside, isEmptyAnswer, text } from './decode.ts'

export function decoder(): Decoder {
  let id = ''
  let started = false
  let finished = false
  let stopped = false
  let counts: Fields = {}
  const blocks = blocksOf(() => id)

  function push(frame: Frame): Decoded {
    if (frame.data === undefined) return []
    const event = asObject(tryParse(frame.data))
    if (event === undefined) return 'malformed'
    const type = event.type ?? frame.event
    if (type === 'error' || asObject(event.error) !== undefined) throw errorInside(event)
    switch (type) {
      case 'message_start':
        return begin(asObject(event.message))
      case 'content_block_start': {
        const block = asObject(event.content_block)
        return block === undefined ? 'malformed' : blocks.start(event.index, block)
      }
      case 'content_block_delta': {
        const delta = asObject(event.delta)
        return delta === undefined ? 'malformed' : blocks.delta(event.index, delta)
      }
      case 'content_block_stop':
        return blocks.stop(event.index)
      case 'message_delta':
        return [...counted(event.usage), ...finish(text(asObject(event.delta)?.stop_reason))]
      case 'message_stop':
        stopped = true
        return 'done'
      default:
        return []
    }
  }

  function begin(message: Fields | undefined): Decoded {
    if (message === undefined) return 'malformed'
    // Something in between has asked again and put the second answer behind a part of the first.
    if (blocks.saidSomething()) throw new Fault('upstream-garbled', { detail: 'a second answer begins within the first' })
    id = text(message.id)
    const events: ChatEvent[] = started ? [] : [{ type: 'start', id, model: text(message.model) }]
    started = true
    // Usually empty. Blocks that were made before the stream began are here, and are complete.
    const content: readonly unknown[] = Array.isArray(message.content) ? message.content : []
    for (const [at, each] of content.entries()) {
      const block = asObject(each)
      if (block !== undefined) events.push(...blocks.start(`begun-${at}`, block), ...blocks.stop(`begun-${at}`))
    }
    events.push(...counted(message.usage))
    return events
  }

  function counted(usage: unknown): readonly ChatEvent[] {
    const known = Object.entries(asObject(usage) ?? {}).filter(([, value]) => value !== null)
    if (known.length === 0) return []
    counts = { ...counts, ...Object.fromEntries(known) }
    const total = usageOf(counts)
    return total === undefined ? [] : [{ type: 'usage', usage: total }]
  }

  function finish(raw: string): readonly ChatEvent[] {
    if (raw === '' || finished) return []
    if (isEmptyAnswer(raw, blocks.saidSomething())) throw emptyAnswer()
    finished = true
    return [{ type: 'finish', choice: 0, reason: blocks.reason(raw), raw }]
  }

  function end(): readonly ChatEvent[] {
    if (finished) return []
    if (!stopped) throw new Fault('upstream-truncated', { detail: 'the stream ended without a stop_reason' })
    // A terminator without a reason: some imitations of this API leave message_delta out.
    return finish('end_turn')
  }

  return { push, end }
}
