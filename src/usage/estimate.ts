/** Tokens of a call before it is made, from its size alone: good enough to reserve, corrected when the usage is known. */
import type { ChatCall, ContentPart, Usage } from '../core/chat.ts'
import { asObject } from '../core/json.ts'

/** English text and JSON have about this many bytes to a token. */
const BYTES_PER_TOKEN = 4
/** What an image, a file or a recording comes to, whatever its bytes: they are not read as text. */
const TOKENS_PER_ENCLOSURE = 1_000
/** How long an answer is whose call does not limit it: a guess, where none is no guess at all. */
const TYPICAL_ANSWER_TOKENS = 500

export function estimatedInputTokens({ source, shape }: ChatCall): number {
  let bytes = source.bytes.length
  let enclosures = 0
  for (const { content } of shape.messages) {
    if (typeof content === 'string' || !content) continue
    for (const part of content) {
      if (part.type === 'text') continue
      enclosures++
      bytes -= enclosedBytes(part)
    }
  }
  return Math.ceil(Math.max(0, bytes) / BYTES_PER_TOKEN) + enclosures * TOKENS_PER_ENCLOSURE
}

/** The longest text within a part that is not text: a data URL, or Base64. */
function enclosedBytes(part: ContentPart): number {
  let longest = 0
  for (const value of Object.values(asObject((part as Record<string, unknown>)[part.type]) ?? {})) {
    if (typeof value === 'string') longest = Math.max(longest, value.length)
  }
  return longest
}

/** Input and the longest answer that the call allows; what a limit of tokens has to set aside. */
export function estimatedTokens(call: ChatCall): number {
  return estimatedInputTokens(call) + answerTokens(call, 0)
}

/** As many as the call allows, or what is typical; for comparing what targets would cost. */
export function estimatedAnswerTokens(call: ChatCall): number {
  return answerTokens(call, TYPICAL_ANSWER_TOKENS)
}

function answerTokens({ shape }: ChatCall, unlimited: number): number {
  return (shape.max_completion_tokens ?? shape.max_tokens ?? unlimited) * (shape.n ?? 1)
}

/** Tokens of a text of which only the length is known. */
export const tokensOf = (characters: number): number => Math.ceil(characters / BYTES_PER_TOKEN)

/**
 * The usage of an answer that broke off before it told all of it: what was told, and for the rest what the call and the text so far come to.
 * @param characters of text, thoughts and calls that came
 */
export function usageSoFar(call: ChatCall, told: Usage | undefined, characters: number): Usage {
  const output = Math.max(told?.output ?? 0, tokensOf(characters) - (told?.reasoning ?? 0))
  return { ...told, input: told?.input ?? estimatedInputTokens(call), output }
}
