/*
 * Content filters that run beside the stream and not before it: what they find comes in choices of its own, without a delta, some of
 * them after the end. What says "filtered" ends the choice, with or without a reason beside it; all else they say is an annotation.
 */
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoder, Frame } from '../../core/provider.ts'

const SAYS_FILTERED = /"filtered"\s*:\s*true/

/** The decoder, told of filtered choices in the words that it knows. */
export function filteredDecoder(decoder: Decoder): Decoder {
  return {
    push: frame => decoder.push(frame.data !== undefined && SAYS_FILTERED.test(frame.data) ? worded(frame, frame.data) : frame),
    end: () => decoder.end(),
  }
}

function worded(frame: Frame, written: string): Frame {
  const chunk = asObject(tryParse(written))
  if (chunk === undefined || !Array.isArray(chunk.choices)) return frame
  const choices = (chunk.choices as readonly unknown[]).map(each => {
    const choice = asObject(each)
    return choice !== undefined && isFiltered(choice) ? { ...choice, finish_reason: 'content_filter' } : each
  })
  return { ...frame, data: JSON.stringify({ ...chunk, choices }) }
}

function isFiltered(choice: Readonly<Record<string, unknown>>): boolean {
  if (choice.finish_reason || Object.keys(asObject(choice.delta) ?? {}).length > 0) return false
  return Object.values(asObject(choice.content_filter_results) ?? {}).some(found => asObject(found)?.filtered === true)
}
