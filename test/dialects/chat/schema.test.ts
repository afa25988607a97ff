// What we write against OpenAI's own schema, where RECORDINGS names a folder that holds it as openai_schema.json.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { chat } from '../../../src/dialects/chat/chat.ts'
import { AT, callOf, dataOf, START, said, streaming, written } from './calls.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

type Definitions = Readonly<Record<string, Schema>>

function typeFits(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === type
}

/** Where `value` is not what the schema says: types, enumerations and required keys. Keys that it does not name are free. */
function problems(value: unknown, schema: Schema, all: Definitions, place: string): string[] {
  if (schema.$ref !== undefined) {
    const named = all[schema.$ref.replace('#/$defs/', '')]
    assert.ok(named !== undefined, schema.$ref)
    return problems(value, named, all, place)
  }
  const ways = schema.anyOf ?? schema.oneOf
  if (ways !== undefined) {
    const tried = ways.map(way => problems(value, way, all, place))
    return tried.some(each => each.length === 0) ? [] : tried[0]!
  }
  if (schema.type !== undefined && !typeFits(schema.type, value))
    return [`${place} is no ${schema.type}: ${JSON.stringify(value)}`]
  if (schema.enum !== undefined && !schema.enum.includes(value))
    return [`${place} is none of ${schema.enum}: ${JSON.stringify(value)}`]
  const found = (schema.allOf ?? []).flatMap(part => problems(value, part, all, place))
  if (Array.isArray(value)) {
    if (schema.items !== undefined)
      for (const [at, each] of value.entries()) found.push(...problems(each, schema.items, all, `${place}[${at}]`))
  } else if (typeof value === 'object' && value !== null) {
    for (const key of schema.required ?? []) if (!(key in value)) found.push(`${place}.${key} is missing`)
    for (const [key, each] of Object.entries(value)) {
      const known = schema.properties?.[key]
      if (known !== undefined) found.push(...problems(each, known, all, `${place}.${key}`))
    }
  }
  return found
}

const logprob = (token: string) => ({ token, logprob: -1, bytes: null, top_logprobs: [] })

/** An answer with everything in it that we know how to write. */
const EVERYTHING: readonly ChatEvent[] = [
  START,
  { type: 'reasoning-delta', choice: 0, text: 'hm', signature: 's' },
  said('Hello'),
  { type: 'extra-delta', choice: 0, fields: { logprobs: { content: [logprob('Hello')], refusal: null } } },
  { type: 'refusal-delta', choice: 1, text: 'No.' },
  { type: 'tool-start', choice: 2, index: 0, id: 'call_1', name: 'f' },
  { type: 'tool-delta', choice: 2, index: 0, json: '{}' },
  { type: 'extra-delta', choice: 0, fields: { annotations: [] } },
  { type: 'finish', choice: 0, reason: 'stop', raw: 'end_turn' },
  { type: 'finish', choice: 1, reason: 'content_filter', raw: 'refusal' },
  { type: 'finish', choice: 2, reason: 'tool_calls', raw: 'tool_use' },
  { type: 'usage', usage: { input: 1, cached: 2, cacheWrite: 3, output: 4, reasoning: 5 } },
]

const folder = process.env.RECORDINGS

test('what we write is what OpenAI’s schema says', { skip: folder === undefined && 'RECORDINGS is not set' }, () => {
  const { $defs: all } = JSON.parse(readFileSync(join(folder!, 'openai_schema.json'), 'utf8')) as { $defs: Definitions }
  const check = (value: unknown, name: string) => assert.deepEqual(problems(value, all[name]!, all, name), [])

  const bare = JSON.parse(written(chat.writer(callOf(), AT), [{ events: [] }]))
  const full = JSON.parse(written(chat.writer(callOf(), AT), [{ events: EVERYTHING }]))
  assert.equal(full.choices.length, 3)
  for (const answer of [bare, full]) check(answer, 'CreateChatCompletionResponse')

  for (const includeUsage of [true, false]) {
    const data = dataOf(written(streaming(includeUsage), [{ events: EVERYTHING }]))
    assert.equal(data.pop(), '[DONE]')
    assert.ok(data.length >= EVERYTHING.length)
    for (const chunk of data) check(chunk, 'CreateChatCompletionStreamResponse')
  }

  // The check itself can fail.
  const damaged = structuredClone(full)
  delete damaged.choices[0].message.role
  damaged.choices[2].finish_reason = 'tool_use'
  damaged.usage.total_tokens = '12'
  assert.equal(problems(damaged, all.CreateChatCompletionResponse!, all, 'answer').length, 3)
})
