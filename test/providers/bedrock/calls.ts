/* Calls to Bedrock for tests, and tables of them: every row is a test that compares whole bodies of Converse. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Abilities, Target } from '../../../src/core/attempt.ts'
import { bedrock } from '../../../src/providers/bedrock/bedrock.ts'
import { callOf, targetOf } from '../calls.ts'

export type Fields = Readonly<Record<string, unknown>>

export const HAIKU = 'us.anthropic.claude-haiku-4-5-20251001-v1:0'
export const NOVA = 'us.amazon.nova-lite-v1:0'
export const NOVA_2 = 'us.amazon.nova-2-lite-v1:0'
export const LLAMA = 'us.meta.llama3-3-70b-instruct-v1:0'
export const MISTRAL = 'mistral.mistral-large-2407-v1:0'
export const TITAN = 'amazon.titan-text-express-v1'
export const GPT_OSS = 'openai.gpt-oss-120b-1:0'
export const PROFILE = 'arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/a1b2c3'

export const ASK = [{ role: 'user', content: 'How tall is it?' }]
export const ASKED = [{ role: 'user', content: [{ text: 'How tall is it?' }] }]
export const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
export const TIDE = { type: 'function', function: { name: 'tide', parameters: SCHEMA } }
export const TIDE_SENT = { toolSpec: { name: 'tide', inputSchema: { json: SCHEMA } } }
export const NOW = { type: 'function', function: { name: 'now' } }
export const NOW_SENT = { toolSpec: { name: 'now', inputSchema: { json: { type: 'object', properties: {} } } } }
export const PNG = 'iVBORw0KGgo='
export const EPHEMERAL = { cache_control: { type: 'ephemeral' } }
export const POINT = { cachePoint: { type: 'default' } }
export const calls = (id: string, name = 'tide', json = '{"city":"Aber"}') => ({
  id,
  type: 'function',
  function: { name, arguments: json },
})
export const user = (...content: readonly Fields[]) => ({ role: 'user', content })
export const assistant = (...content: readonly Fields[]) => ({ role: 'assistant', content })

export function targetFor(model: string, more: Partial<Target> = {}): Target {
  return { ...targetOf(bedrock, model), origin: 'https://bedrock-runtime.eu-west-1.amazonaws.com', basePath: '', ...more }
}

export function sentBy(body: Fields, model = HAIKU, more: Partial<Target> = {}) {
  const request = bedrock.encode(callOf(JSON.stringify({ model: 'route', messages: ASK, ...body })), targetFor(model, more))
  return { ...request, body: JSON.parse(`${request.body}`) as Fields, leftOut: request.leftOut ?? [] }
}

export function refused(body: Fields, model = HAIKU): string | undefined {
  return bedrock.refuses(callOf(JSON.stringify({ model: 'route', messages: ASK, ...body })), targetFor(model))
}

export interface Row {
  readonly title: string
  /** Added to a call that asks one question. */
  readonly call: Fields
  readonly model?: string
  readonly abilities?: Abilities
  /** What the body has beside the question. */
  readonly sent: Fields
  readonly leftOut?: readonly string[]
}

export function check(rows: readonly Row[]): void {
  for (const { title, call, model, abilities, sent, leftOut } of rows) {
    it(title, () => {
      const request = sentBy(call, model, abilities === undefined ? {} : { abilities })
      assert.deepEqual(request.body, JSON.parse(JSON.stringify({ messages: ASKED, ...sent })))
      assert.deepEqual(request.leftOut, leftOut ?? [])
      assert.equal(refused(call, model), undefined)
    })
  }
}
