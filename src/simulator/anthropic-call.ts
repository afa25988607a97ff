/** What a call of Anthropic's Messages API asks for, or what the API would say is wrong with it. */
import { asObject } from '../core/json.ts'
import { type Ask, countWords, type ToolOffer, textOf } from './answer.ts'
import type { Failure } from './wire.ts'

type Fields = Readonly<Record<string, unknown>>

export function readAnthropicCall(body: unknown): Ask | Failure {
  if (body === undefined) return bad('The request body is not valid JSON')
  const call = asObject(body)
  if (call === undefined) return bad('Input should be an object')
  for (const field of ['model', 'messages', 'max_tokens']) {
    if (call[field] === undefined || call[field] === null) return bad(`${field}: Field required`)
  }
  const { model, max_tokens: limit } = call
  if (typeof model !== 'string') return bad('model: Input should be a valid string')
  if (typeof limit !== 'number' || !Number.isInteger(limit)) return bad('max_tokens: Input should be a valid integer')
  if (limit < 1) return bad('max_tokens: must be greater than or equal to 1')
  const messages = readMessages(call.messages)
  if (!Array.isArray(messages)) return messages as Failure

  const thinking = asObject(call.thinking)?.type
  const last = messages.at(-1)
  const prefill = last?.role === 'assistant' ? textOf(last.content) || undefined : undefined
  if (prefill !== undefined && prefill !== prefill.trimEnd())
    return bad('messages: final assistant content cannot end with trailing whitespace')
  return {
    model,
    stream: call.stream === true,
    choices: 1,
    maxTokens: limit,
    stops: Array.isArray(call.stop_sequences) ? call.stop_sequences.filter(stop => typeof stop === 'string') : [],
    format: readFormat(call),
    tools: readTools(call.tools, asObject(call.tool_choice)),
    parallel: asObject(call.tool_choice)?.disable_parallel_tool_use !== true,
    thinks: thinking === 'enabled' || thinking === 'adaptive',
    reportsUsage: true,
    padded: false,
    userText: textOf(messages.findLast(message => message.role === 'user')?.content),
    toolResult: readResults(last),
    prefill,
    promptTokens: messages.reduce((sum, message) => sum + countContent(message.content), countWords(textOf(call.system))),
  }
}

function readMessages(messages: unknown): readonly Fields[] | Failure {
  if (!Array.isArray(messages)) return bad('messages: Input should be a valid list')
  if (messages.length === 0) return bad('messages: at least one message is required')
  for (const [index, message] of messages.entries()) {
    const fields = asObject(message)
    if (fields === undefined) return bad(`messages.${index}: Input does not match the expected shape.`)
    if (fields.role === undefined) return bad(`messages.${index}.role: Field required`)
    if (fields.content === undefined) return bad(`messages.${index}.content: Field required`)
  }
  return messages
}

function readFormat(call: Fields): Ask['format'] {
  const format = asObject(asObject(call.output_config)?.format) ?? asObject(call.output_format)
  return format?.type === 'json_schema' ? { schema: format.schema } : 'text'
}

/** The tools of the client that may be called; one that is asked for by name comes first. */
function readTools(tools: unknown, choice: Fields | undefined): readonly ToolOffer[] {
  if (!Array.isArray(tools) || choice?.type === 'none') return []
  const offers = tools.flatMap(tool => {
    const offer = asObject(tool)
    // Tools of the server (web search and the like) have no schema, and the client could not run them.
    const isClients = offer !== undefined && typeof offer.name === 'string' && offer.input_schema !== undefined
    return isClients ? [{ name: offer.name as string, parameters: offer.input_schema }] : []
  })
  const named = choice?.type === 'tool' ? offers.filter(offer => offer.name === choice.name) : []
  return named.length > 0 ? named : offers
}

function readResults(last: Fields | undefined): string | undefined {
  if (last?.role !== 'user' || !Array.isArray(last.content)) return undefined
  const results = last.content.map(asObject).filter(block => block?.type === 'tool_result')
  return results.length === 0 ? undefined : results.map(block => textOf(block?.content)).join('; ')
}

function countContent(content: unknown): number {
  if (!Array.isArray(content)) return countWords(textOf(content))
  return content.reduce<number>((sum, part) => {
    const block = asObject(part)
    if (block?.type === 'tool_result') return sum + countWords(textOf(block.content))
    return sum + countWords(block?.type === 'tool_use' ? JSON.stringify(block.input) : textOf([block]))
  }, 0)
}

function bad(message: string): Failure {
  return { status: 400, message }
}
