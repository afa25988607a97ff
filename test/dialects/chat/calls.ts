/** Calls and answers for the tests of the chat dialect. */
import type { ChatCall, ChatEvent, Piece } from '../../../src/core/chat.ts'
import type { AnswerWriter } from '../../../src/core/dialect.ts'
import { chat } from '../../../src/dialects/chat/chat.ts'

export const BODY = { model: 'a-route', messages: [{ role: 'user', content: 'Hi' }] } as const

export function callOf(more: Record<string, unknown> = {}): ChatCall {
  return chat.parse(Buffer.from(JSON.stringify({ ...BODY, ...more })))
}

/** When the answers of these tests are written, in milliseconds since 1970. */
export const AT = 1_700_000_000_999

/** The writer of a stream. */
export const streaming = (include_usage?: boolean): AnswerWriter =>
  chat.writer(callOf({ stream: true, ...(include_usage !== undefined && { stream_options: { include_usage } }) }), AT)

export const START: ChatEvent = { type: 'start', id: 'chatcmpl-1', model: 'gpt-4o-2024-08-06' }
export const FINISH: ChatEvent = { type: 'finish', choice: 0, reason: 'stop', raw: 'stop' }

export const said = (text: string, choice = 0): ChatEvent => ({ type: 'text-delta', choice, text })

/** Everything that a writer makes of these pieces, as text. */
export function written(writer: AnswerWriter, pieces: readonly Piece[]): string {
  const parts = pieces.map(piece => writer.write(piece) ?? Buffer.alloc(0))
  return Buffer.concat([...parts, writer.end()]).toString()
}

/** The events of a streamed text: JSON, or the text that is none. */
export function dataOf(text: string): any[] {
  const blocks = text.split('\n\n')
  if (blocks.pop() !== '') throw new Error(`no blank line at the end: ${text}`)
  return blocks.map(block => {
    if (!block.startsWith('data: ')) throw new Error(`no data: ${block}`)
    const data = block.slice(6)
    return data === '[DONE]' ? data : JSON.parse(data)
  })
}
