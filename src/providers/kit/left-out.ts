/* What a translator does not send: fields that only tune, by name, so that whoever reads the log knows what was not asked for. */
import type { ChatBody } from '../../core/chat.ts'

/** What these fields ask for happens anyway. */
const ANYWAY: Readonly<Record<string, readonly unknown[]>> = {
  temperature: [1],
  top_p: [1],
  n: [1],
  top_logprobs: [0],
  presence_penalty: [0],
  frequency_penalty: [0],
  repetition_penalty: [1],
  parallel_tool_calls: [true],
  service_tier: ['auto', 'default'],
}

/** The fields of a call that `read` does not name and that ask for something, in the order in which they came. */
export function leftOutOf(body: ChatBody, read: ReadonlySet<string>): string[] {
  return Object.keys(body).filter(field => !read.has(field) && asksForSomething(field, body[field]))
}

function asksForSomething(field: string, value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  if (value === false) return field === 'parallel_tool_calls'
  if (typeof value === 'object') return Object.keys(value).length > 0
  return ANYWAY[field]?.includes(value) !== true
}
