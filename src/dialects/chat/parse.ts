/*
 * OpenAI's `POST /v1/chat/completions`, read with care for the client: bytes that could mean two things are refused, a wrong type is
 * named with its place, and what we do not know is left as it is, for the provider to judge.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, type JsonObjectSource, scanObject, tryParse } from '../../core/json.ts'

/** Deeper than any honest tool schema, and shallow enough to be parsed at once. */
const MAX_DEPTH = 128
/** A model's name ends up in headers, paths and metrics. */
const MODEL_NAME = /^[\x21-\x7e]{1,256}$/

export function parseChat(bytes: Buffer): ChatCall {
  const isPlain = isAscii(bytes)
  if (!isPlain && !isUtf8(bytes)) throw bad('The body is not valid UTF-8. Send JSON in UTF-8.', null, 'invalid_encoding')
  const text = bytes.toString('latin1')
  const spans = scanObject(bytes, MAX_DEPTH, text)
  if (spans === 'too-deep') {
    throw bad(`The body is nested deeper than ${MAX_DEPTH} levels. Send a flatter one.`, null, 'body_too_deep')
  }
  if (spans !== 'not-an-object' && 'duplicate' in spans) {
    const { duplicate } = spans
    throw bad(
      `The key "${duplicate.slice(0, 64)}" stands twice in the body. Send it once.`,
      duplicate.slice(0, 64),
      'invalid_json',
    )
  }
  // Only what was scanned to its end is parsed: the rest could be nested as deep as it is long.
  const shape = spans === 'not-an-object' ? undefined : asObject(tryParse(text))
  if (shape === undefined || spans === 'not-an-object') {
    throw bad('The body is not a JSON object. Send one with "model" and "messages".', null, 'invalid_json')
  }
  check(shape)
  return new ReadCall(shape as ChatBody, { bytes, spans }, isPlain)
}

/** A copy of its fields has no body. */
class ReadCall implements ChatCall {
  readonly dialect = 'chat'
  readonly model: string
  readonly stream: boolean
  readonly wantsUsage: boolean
  readonly shape: ChatBody
  readonly source: JsonObjectSource
  private made: ChatBody | undefined

  constructor(shape: ChatBody, source: JsonObjectSource, isPlain: boolean) {
    this.model = shape.model
    this.stream = shape.stream === true
    this.wantsUsage = shape.stream_options?.include_usage === true
    this.shape = shape
    this.source = source
    this.made = isPlain ? shape : undefined
  }

  get body(): ChatBody {
    this.made ??= JSON.parse(this.source.bytes.toString('utf8')) as ChatBody
    return this.made
  }
}

function bad(message: string, param: string | null, code: string | null = 'invalid_value'): Fault {
  return new Fault('bad-request', { message, param, code })
}

type Check = (value: unknown) => boolean

const isString: Check = value => typeof value === 'string'
const isNumber: Check = value => typeof value === 'number'
const isBoolean: Check = value => typeof value === 'boolean'
const isCount: Check = value => Number.isInteger(value) && (value as number) >= 1
const isObject: Check = value => asObject(value) !== undefined

/** The optional fields that the gateway or its translators read; null stands for absent, as at OpenAI. */
const OPTIONAL: ReadonlyMap<string, readonly [expected: string, check: Check]> = new Map([
  ['stream', ['a boolean', isBoolean]],
  ['stream_options', ['an object', isObject]],
  ['max_tokens', ['an integer of at least 1', isCount]],
  ['max_completion_tokens', ['an integer of at least 1', isCount]],
  ['n', ['an integer of at least 1', isCount]],
  ['temperature', ['a number', isNumber]],
  ['top_p', ['a number', isNumber]],
  ['presence_penalty', ['a number', isNumber]],
  ['frequency_penalty', ['a number', isNumber]],
  ['seed', ['an integer', Number.isInteger]],
  ['stop', ['a string or an array of strings', value => isString(value) || (Array.isArray(value) && value.every(isString))]],
  ['tool_choice', ['a string or an object', value => isString(value) || isObject(value)]],
  ['parallel_tool_calls', ['a boolean', isBoolean]],
  ['response_format', ['an object with a "type"', value => isString(asObject(value)?.type)]],
  ['reasoning_effort', ['a string', isString]],
  ['user', ['a string', isString]],
])

function check(body: Readonly<Record<string, unknown>>): void {
  if (body.model === undefined) throw bad('"model" is missing. Name the model to use.', 'model', 'missing_required_parameter')
  if (typeof body.model !== 'string') throw wrongType('model', 'a string', body.model)
  if (!MODEL_NAME.test(body.model)) {
    throw bad('"model" must be 1 to 256 printable ASCII characters without spaces.', 'model', 'invalid_model_name')
  }
  for (const field in body) {
    const known = OPTIONAL.get(field)
    if (known === undefined) continue
    const [expected, fits] = known
    const value = body[field]
    if (value !== null && !fits(value)) throw wrongType(field, expected, value)
  }
  checkMessages(body.messages)
  checkTools(body.tools)
}

function checkMessages(messages: unknown): void {
  if (messages === undefined)
    throw bad('"messages" is missing. Send at least one message.', 'messages', 'missing_required_parameter')
  if (!Array.isArray(messages)) throw wrongType('messages', 'an array', messages)
  if (messages.length === 0) throw bad('"messages" is empty. Send at least one message.', 'messages', 'empty_array')
  for (const [at, entry] of messages.entries()) {
    const message = asObject(entry)
    const place = `messages[${at}]`
    if (message === undefined) throw wrongType(place, 'an object', entry)
    if (typeof message.role !== 'string') throw wrongType(`${place}.role`, 'a string', message.role)
    const { content, tool_calls: calls } = message
    if (Array.isArray(content)) {
      for (const [part, each] of content.entries()) {
        const fields = asObject(each)
        if (typeof fields?.type !== 'string') throw wrongType(`${place}.content[${part}]`, 'an object with a "type"', each)
        if (fields.type === 'text' && typeof fields.text !== 'string')
          throw wrongType(`${place}.content[${part}].text`, 'a string', fields.text)
      }
    } else if (content !== undefined && content !== null && typeof content !== 'string') {
      throw wrongType(`${place}.content`, 'a string or an array of parts', content)
    }
    if (message.role === 'tool' && typeof message.tool_call_id !== 'string') {
      throw wrongType(`${place}.tool_call_id`, 'a string', message.tool_call_id)
    }
    if (calls !== undefined && calls !== null) checkToolCalls(calls, `${place}.tool_calls`)
  }
}

function checkToolCalls(calls: unknown, place: string): void {
  if (!Array.isArray(calls)) throw wrongType(place, 'an array', calls)
  for (const [at, entry] of calls.entries()) {
    const call = asObject(entry)
    if (typeof call?.id !== 'string') throw wrongType(`${place}[${at}].id`, 'a string', call?.id)
    if (call.type === 'custom') continue
    const named = asObject(call.function)
    if (typeof named?.name !== 'string') throw wrongType(`${place}[${at}].function.name`, 'a string', named?.name)
    if (typeof named.arguments !== 'string')
      throw wrongType(`${place}[${at}].function.arguments`, 'a string of JSON', named.arguments)
  }
}

function checkTools(tools: unknown): void {
  if (tools === undefined || tools === null) return
  if (!Array.isArray(tools)) throw wrongType('tools', 'an array', tools)
  for (const [at, entry] of tools.entries()) {
    const tool = asObject(entry)
    if (typeof tool?.type !== 'string') throw wrongType(`tools[${at}]`, 'an object with a "type"', entry)
    if (tool.type !== 'function') continue
    const named = asObject(tool.function)
    if (typeof named?.name !== 'string') throw wrongType(`tools[${at}].function.name`, 'a string', named?.name)
    if (named.parameters !== undefined && named.parameters !== null && !isObject(named.parameters)) {
      throw wrongType(`tools[${at}].function.parameters`, 'a JSON Schema object', named.parameters)
    }
  }
}

function wrongType(param: string, expected: string, value: unknown): Fault {
  const got = value === undefined ? 'missing' : value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
  return bad(`"${param}" must be ${expected}; it is ${got}.`, param, 'invalid_type')
}
