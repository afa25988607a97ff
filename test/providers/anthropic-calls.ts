/*
 * Calls to Anthropic for tests: a call in OpenAI's shape, what is sent for it, and tables of both. Every row of a table is a test that
 * compares whole bodies of `POST /v1/messages`.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Abilities, Target } from '../../src/core/attempt.ts'
import type { ChatBody, ChatCall } from '../../src/core/chat.ts'
import { Spans, scanObject } from '../../src/core/json.ts'
import { anthropic } from '../../src/providers/anthropic/anthropic.ts'

export type Fields = Readonly<Record<string, unknown>>

export function callOf(body: Fields): ChatCall {
  const bytes = Buffer.from(JSON.stringify(body))
  const spans = scanObject(bytes, 128)
  assert.ok(spans instanceof Spans)
  const chat = body as unknown as ChatBody
  return {
    dialect: 'chat',
    model: 'gpt-4',
    stream: body.stream === true,
    wantsUsage: false,
    body: chat,
    shape: JSON.parse(bytes.toString('latin1')) as ChatBody,
    source: { bytes, spans },
  }
}

export function targetOf(
  model: string,
  more: { basePath?: string; headers?: Record<string, string>; abilities?: Abilities } = {},
): Target {
  return {
    id: `anthropic/${model}`,
    providerName: 'anthropic',
    model,
    label: model,
    provider: anthropic,
    options: {},
    origin: 'https://api.anthropic.com',
    basePath: '',
    query: '',
    headers: {},
    tags: new Set(),
    timeouts: { connectMs: 1, firstTokenMs: 1, idleMs: 1, totalMs: 1 },
    retry: { attempts: 0, firstMs: 1, factor: 1, maxMs: 1, rateLimitWaitMs: 1 },
    abilities: {},
    ...more,
  }
}

export const HAIKU = 'claude-haiku-4-5'
export const ASK = [{ role: 'user', content: 'How tall is it?' }]
export const ASKED = [{ role: 'user', content: [{ type: 'text', text: 'How tall is it?' }] }]

export function sentBy(
  body: Fields,
  model = HAIKU,
  more = {},
): { readonly body: Fields; readonly leftOut: readonly string[]; readonly headers: Fields } {
  const request = anthropic.encode(callOf({ model: 'gpt-4', messages: ASK, ...body }), targetOf(model, more))
  return { body: JSON.parse(`${request.body}`) as Fields, leftOut: request.leftOut ?? [], headers: request.headers ?? {} }
}

export const fn = (name: string, more: Fields = {}) => ({ type: 'function', function: { name, parameters: SCHEMA, ...more } })
export const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
export const TIDE = fn('tide')
export const TIDE_SENT = { name: 'tide', input_schema: SCHEMA }
export const PNG = 'iVBORw0KGgo='
export const calls = (id: string, name = 'tide', json = '{"city":"Aber"}') => ({
  id,
  type: 'function',
  function: { name, arguments: json },
})
export const text = (text: string, more: Fields = {}) => ({ type: 'text', text, ...more })
export const user = (...content: readonly Fields[]) => ({ role: 'user', content })
export const assistant = (...content: readonly Fields[]) => ({ role: 'assistant', content })
export const EPHEMERAL = { cache_control: { type: 'ephemeral' } }

export interface Row {
  readonly title: string
  /** Added to a call that asks one question; a table row without `messages` keeps that question. */
  readonly call: Fields
  readonly model?: string
  readonly abilities?: Abilities
  /** What the body has beside the model, the messages and 64000 max_tokens; undefined takes one of these away. */
  readonly sent: Fields
  readonly leftOut?: readonly string[]
}

/** What every body for claude-haiku-4-5 has unless a row says otherwise. */
export function expectedOf(row: Row): Fields {
  const expected = { model: row.model ?? HAIKU, max_tokens: 64_000, messages: ASKED, ...row.sent }
  return JSON.parse(JSON.stringify(expected)) as Fields
}

export function check(rows: readonly Row[]): void {
  for (const row of rows) {
    it(row.title, () => {
      const { body, leftOut } = sentBy(row.call, row.model, row.abilities === undefined ? {} : { abilities: row.abilities })
      assert.deepEqual(body, expectedOf(row))
      assert.deepEqual(leftOut, row.leftOut ?? [])
    })
  }
}
