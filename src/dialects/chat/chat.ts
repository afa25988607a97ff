/** OpenAI's Chat Completions, as clients speak it. */
import type { Dialect } from '../../core/dialect.ts'
import { parseChat } from './parse.ts'
import { errorBody } from './shape.ts'
import { streamWriter } from './stream.ts'
import { wholeWriter } from './whole.ts'

export const chat: Dialect = {
  name: 'chat',
  parse: parseChat,
  writer: (call, createdMs) => (call.stream ? streamWriter(call, createdMs) : wholeWriter(call, createdMs)),
  refusal: fault => Buffer.from(JSON.stringify(errorBody(fault))),
}
