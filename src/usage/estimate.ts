/** Tokens of a call before it is made, from its size alone: good enough to reserve, corrected when the usage is known. */
import type { ChatCall } from '../core/chat.ts'

/** English text and JSON have about this many bytes to a token; images in data URLs are counted as if they were text, but no more than the cap. */
const BYTES_PER_TOKEN = 4
const MOST_INPUT_TOKENS = 2_000_000

export function estimatedInputTokens(call: ChatCall): number {
  return Math.min(MOST_INPUT_TOKENS, Math.ceil(call.source.bytes.length / BYTES_PER_TOKEN))
}

/** Input and the longest answer that the call allows; what a limit of tokens has to set aside. */
export function estimatedTokens(call: ChatCall): number {
  const answer = call.body.max_completion_tokens ?? call.body.max_tokens ?? 0
  return estimatedInputTokens(call) + answer * (call.body.n ?? 1)
}
