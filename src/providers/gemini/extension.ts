/** What of Google's a client asks for in OpenAI's shape. */
import type { ChatBody } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'

/**
 * A field that OpenAI does not have, by its name in snake case: from `extra_body.google`, where Google's own OpenAI layer reads it, or
 * from the top of the body.
 */
export function extension(body: ChatBody, name: string): unknown {
  const google = asObject(asObject(body.extra_body)?.google)
  return google?.[name] ?? body[name]
}
