/** What a call of OpenAI's chat completions asks for, or what the API would say is wrong with it. */
import { asObject } from '../core/json.ts'
import { type Ask, countWords, type ToolOffer, textOf } from './answer.ts'
import type { Failure } from './wire.ts'

type Fields = Readonly<Record<string, unknown>>

const MAX_CHOICES = 8

export function readOpenAICall(body: unknown): Ask | Failure {
  if (body === undefined) {
    return bad(
      'We could not parse the JSON body of your request. (HINT: This likely means you aren’t using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
    )
  }
  const call = asObject(body)
  if (call === undefined) return bad(`Invalid type for request body: expected an object, but got ${kindOf(body)} instead.`)
  if (typeof call.model !== 'string' || call.model === '') return bad('you must provide a model parameter')
  const messages = readMessages(call.messages)
  if (!Array.isArray(messages)) return messages as Failure
  const choices = call.n ?? 1
  if (typeof choices !== 'number' || !Number.isInteger(choices)) return wrongType('n', 'an integer', choices)
  if (choices < 1) return outside('n', 'integer_below_min_value', `>= 1, but got ${choices}`)
  if (choices > MAX_CHOICES) return outside('n', 'integer_above_max_value', `<= ${MAX_CHOICES}, but got ${choices}`)

  const limit = call.max_completion_tokens ?? call.max_tokens
  const last = messages.at(-1)
  const options = asObject(call.stream_options)
  return {
    model: call.model,
    stream: call.stream === true,
    choices,
    maxTokens: typeof limit === 'number' ? limit : undefined,
    stops: [call.stop].flat().filter(stop => typeof stop === 'string'),
    format: readFormat(asObject(call.response_format)),
    tools: readTools(call.tools, call.tool_choice),
    parallel: call.parallel_tool_calls !== false,
    thinks: false,
    reportsUsage: options?.include_usage === true,
    padded: options?.include_obfuscation !== false,
    userText: textOf(messages.findLast(message => message.role === 'user')?.content),
    toolResult: last?.role === 'tool' || last?.role === 'function' ? readResults(messages) : undefined,
    prefill: last?.role === 'assistant' ? textOf(last.content) || undefined : undefined,
    promptTokens: messages.reduce((sum, message) => sum + countMessage(message), 0),
  }
}

function readMessages(messages: unknown): readonly Fields[] | Failure {
  if (messages === undefined || messages === null) return missing('messages')
  if (!Array.isArray(messages)) return wrongType('messages', 'an array of objects', messages)
  if (messages.length === 0) {
    const message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
    return { ...bad(message), param: 'messages', code: 'empty_array' }
  }
  for (const [index, message] of messages.entries()) {
    const place = `messages[${index}]`
    if (asObject(message) === undefined) return wrongType(place, 'an object', message)
    if (typeof message.role !== 'string') return missing(`${place}.role`)
  }
  return messages
}

function readFormat(format: Fields | undefined): Ask['format'] {
  if (format?.type === 'json_object') return 'json'
  return format?.type === 'json_schema' ? { schema: asObject(format.json_schema)?.schema } : 'text'
}

/** The functions that may be called; one that is asked for by name comes first. */
function readTools(tools: unknown, choice: unknown): readonly ToolOffer[] {
  if (!Array.isArray(tools) || choice === 'none') return []
  const offers = tools.flatMap(tool => {
    const offer = asObject(asObject(tool)?.function)
    return typeof offer?.name === 'string' ? [{ name: offer.name, parameters: offer.parameters }] : []
  })
  const name = asObject(asObject(choice)?.function)?.name
  const named = offers.filter(offer => offer.name === name)
  return named.length > 0 ? named : offers
}

/** The results at the end of the conversation, in their order. */
function readResults(messages: readonly Fields[]): string {
  const before = messages.findLastIndex(message => message.role !== 'tool' && message.role !== 'function')
  const results = messages.slice(before + 1).map(message => textOf(message.content))
  return results.join('; ')
}

function countMessage(message: Fields): number {
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : []
  const words = calls.map(call => asObject(asObject(call)?.function)?.arguments).filter(text => typeof text === 'string')
  return countWords(textOf(message.content)) + countWords(words.join(' '))
}

function bad(message: string): Failure {
  return { status: 400, message }
}

function missing(param: string): Failure {
  return { ...bad(`Missing required parameter: '${param}'.`), param, code: 'missing_required_parameter' }
}

function wrongType(param: string, expected: string, got: unknown): Failure {
  return {
    ...bad(`Invalid type for '${param}': expected ${expected}, but got ${kindOf(got)} instead.`),
    param,
    code: 'invalid_type',
  }
}

function outside(param: string, code: string, told: string): Failure {
  const side = code === 'integer_above_max_value' ? 'above maximum' : 'below minimum'
  return { ...bad(`Invalid '${param}': integer ${side} value. Expected a value ${told} instead.`), param, code }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
