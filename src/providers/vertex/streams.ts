/** A stream of Google's or of Anthropic's, which the first event tells. */
import { tryParse } from '../../core/json.ts'
import type { Decoder, Frame } from '../../core/provider.ts'
import { anthropic } from '../anthropic/anthropic.ts'
import { streamDecoder } from '../gemini/decode.ts'
import { classify, isAnthropics } from './rules.ts'

export function eitherDecoder(): Decoder {
  let chosen: Decoder | undefined

  function choose(frame: Frame): Decoder {
    const theirs = frame.event !== undefined || isAnthropics(tryParse(frame.data ?? ''))
    return theirs ? anthropic.decoder() : streamDecoder(classify)
  }

  return {
    push(frame) {
      if (frame.data === undefined && frame.unframed === undefined) return []
      chosen ??= choose(frame)
      return chosen.push(frame)
    },
    end: () => (chosen ?? streamDecoder(classify)).end(),
  }
}
