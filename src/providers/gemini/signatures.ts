/*
 * Thought signatures. A model of the third generation signs its calls, and refuses a conversation in which a call of its own comes back
 * without its signature. OpenAI's clients know nothing of signatures; they travel where Google's own OpenAI layer puts them, in
 * `extra_content.google.thought_signature` of the call (or, for a text, of the message). A client that loses them, or a call that somebody
 * else's model made, is helped by a word that Google accepts in place of a signature. Signatures of other makers are never sent.
 */
import { asObject } from '../../core/json.ts'

type Fields = Readonly<Record<string, unknown>>

/** Stands for the signature of a call that no model of Google's has signed. */
export const NO_SIGNATURE = 'skip_thought_signature_validator'

/** The fields that carry a signature in OpenAI's shape. */
export function carried(signature: string): Fields {
  return { extra_content: { google: { thought_signature: signature } } }
}

/** The signature that a tool call or a message carries, if any. */
export function signatureOf(carrier: Fields): string | undefined {
  const signature = asObject(asObject(carrier.extra_content)?.google)?.thought_signature
  return typeof signature === 'string' && signature !== '' ? signature : undefined
}
