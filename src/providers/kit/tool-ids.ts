/*
 * Ids of tool calls. A conversation carries the ids of whichever provider made the calls, and the next provider may refuse their form.
 * So they are rewritten by a hash: the same id always becomes the same new one, in the call and in its result, in this request and in
 * every later one, without anything being remembered.
 */
import { createHash } from 'node:crypto'
import type { ChatMessage } from '../../core/chat.ts'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** `call_` and this many characters fit every provider's limit but those that want an exact length. */
const HASH_LENGTH = 24

function hash(text: string, length: number): string {
  let number = BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
  let letters = ''
  for (let i = 0; i < length; i++) {
    letters += ALPHABET[Number(number % 62n)]
    number /= 62n
  }
  return letters
}

/** The id itself when it has at most `longest` characters (at least 29), else `call_` and a hash of it: 29 characters. */
export function shortToolId(id: string, longest: number): string {
  return id.length <= longest ? id : `call_${hash(id, HASH_LENGTH)}`
}

/** The id itself when it is exactly `length` letters and digits, else a hash of it that is. */
export function exactToolId(id: string, length: number): string {
  return id.length === length && /^[a-zA-Z0-9]+$/.test(id) ? id : hash(id, length)
}

/** An id for a call that came without one, made of what tells it apart from others: the answer's id, the choice, the index, the name. */
export function madeToolId(...marks: readonly (string | number)[]): string {
  return `call_${hash(JSON.stringify(marks), HASH_LENGTH)}`
}

/** The messages with every tool call's id renamed, in calls and results alike; the very same array when nothing changes. */
export function renameToolIds(messages: readonly ChatMessage[], rename: (id: string) => string): readonly ChatMessage[] {
  let changed = false
  const renamed = messages.map(message => {
    let copy = message
    if (typeof message.tool_call_id === 'string') {
      const id = rename(message.tool_call_id)
      if (id !== message.tool_call_id) copy = { ...copy, tool_call_id: id }
    }
    if (Array.isArray(message.tool_calls)) {
      const calls = message.tool_calls.map(call => {
        const id = typeof call?.id === 'string' ? rename(call.id) : undefined
        return id === undefined || id === call.id ? call : { ...call, id }
      })
      if (calls.some((call, index) => call !== message.tool_calls?.[index])) copy = { ...copy, tool_calls: calls }
    }
    if (copy !== message) changed = true
    return copy
  })
  return changed ? renamed : messages
}
