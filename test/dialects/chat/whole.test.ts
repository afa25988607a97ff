import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { Fault } from '../../../src/core/fault.ts'
import { chat } from '../../../src/dialects/chat/chat.ts'
import { AT, callOf, FINISH, START, said } from './calls.ts'

function whole(...pieces: (readonly ChatEvent[])[]): any {
  const writer = chat.writer(callOf(), AT)
  for (const events of pieces) assert.equal(writer.write({ events }), undefined, 'nothing goes out before the end')
  return JSON.parse(Buffer.from(writer.end()).toString())
}

const messageOf = (...events: ChatEvent[]) => whole([START, ...events, FINISH]).choices[0].message

test('a text is put together from its deltas', () => {
  const answer = whole([START, said('Hel')], [said('lo 🙂')], [FINISH, { type: 'usage', usage: { input: 5, output: 7 } }])
  assert.deepEqual(answer, {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: Math.floor(AT / 1000),
    model: 'gpt-4o-2024-08-06',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'Hello 🙂', refusal: null }, logprobs: null, finish_reason: 'stop' },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
  })
})

test('an answer without an id gets one, and the model that was asked for where none is told', () => {
  for (const events of [[said('a')], [{ type: 'start', id: '', model: '' }, said('a')]] as ChatEvent[][]) {
    const { id, model } = whole(events)
    assert.match(id, /^chatcmpl-[\w-]{20}$/)
    assert.equal(model, 'a-route')
  }
})

test('choices are sorted by their index, whatever order they came in', () => {
  const { choices } = whole([said('c', 2), said('a', 0)], [said('b', 1), said('A', 0)])
  assert.deepEqual(
    choices.map(({ index, message }: any) => [index, message.content]),
    [
      [0, 'aA'],
      [1, 'b'],
      [2, 'c'],
    ],
  )
})

test('tool calls are sorted by their index, with all of their arguments, and no text is null', () => {
  const message = messageOf(
    { type: 'tool-start', choice: 0, index: 1, id: 'call_2', name: 'time' },
    { type: 'tool-start', choice: 0, index: 0, id: 'call_1', name: 'weather' },
    { type: 'tool-delta', choice: 0, index: 0, json: '{"city":' },
    { type: 'tool-delta', choice: 0, index: 1, json: '{}' },
    { type: 'tool-delta', choice: 0, index: 0, json: '"Köln"}' },
  )
  assert.equal(message.content, null)
  assert.deepEqual(message.tool_calls, [
    { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Köln"}' } },
    { id: 'call_2', type: 'function', function: { name: 'time', arguments: '{}' } },
  ])
})

test('a refusal has no content, and an empty answer an empty one', () => {
  const refused = messageOf(
    { type: 'refusal-delta', choice: 0, text: 'I ' },
    { type: 'refusal-delta', choice: 0, text: 'cannot.' },
  )
  assert.deepEqual([refused.content, refused.refusal], [null, 'I cannot.'])
  assert.deepEqual(messageOf(), { role: 'assistant', content: '', refusal: null })
})

test('reasoning is one text, with a detail for each signature', () => {
  const message = messageOf(
    { type: 'reasoning-delta', choice: 0, text: 'h' },
    { type: 'reasoning-delta', choice: 0, text: 'm', signature: 'sig-1' },
    { type: 'reasoning-delta', choice: 0, text: 'so', signature: 'sig-2' },
    { type: 'extra-delta', choice: 0, fields: { reasoning_details: [{ type: 'reasoning.encrypted', data: 'x' }] } },
    said('yes'),
  )
  assert.equal(message.reasoning_content, 'hmso')
  assert.deepEqual(message.reasoning_details, [
    { type: 'reasoning.text', text: 'hm', signature: 'sig-1' },
    { type: 'reasoning.text', text: 'so', signature: 'sig-2' },
    { type: 'reasoning.encrypted', data: 'x' },
  ])
})

test('what has no meaning here is in the message, lists that came in parts as one', () => {
  const message = messageOf(
    { type: 'extra-delta', choice: 0, fields: { annotations: [{ n: 1 }], audio: { id: 'a' } } },
    { type: 'extra-delta', choice: 0, fields: { annotations: [{ n: 2 }], provider_field: 'x' } },
    { type: 'extra-delta', choice: 0, fields: { provider_field: 'y' } },
  )
  assert.deepEqual(message.annotations, [{ n: 1 }, { n: 2 }])
  assert.deepEqual(message.audio, { id: 'a' })
  assert.equal(message.provider_field, 'y')
})

test('logprobs stand beside the message, those of all deltas', () => {
  const part = (token: string): ChatEvent => ({
    type: 'extra-delta',
    choice: 0,
    fields: { logprobs: { content: [{ token }], refusal: null } },
  })
  const [choice] = whole([part('a'), said('a'), part('b'), said('b')]).choices
  assert.deepEqual(choice.logprobs, { content: [{ token: 'a' }, { token: 'b' }], refusal: null })
  assert.ok(!('logprobs' in choice.message))
})

test('the reason is OpenAI’s, and the provider’s own is beside it where it differs', () => {
  const finish = (reason: 'length' | 'stop', raw: string) => {
    const [choice] = whole([said('a'), { type: 'finish', choice: 0, reason, raw }]).choices
    return [choice.finish_reason, choice.native_finish_reason]
  }
  assert.deepEqual(finish('length', 'max_tokens'), ['length', 'max_tokens'])
  assert.deepEqual(finish('stop', 'stop'), ['stop', undefined])
})

test('a usage that is not known is left out', () => {
  assert.ok(!('usage' in whole([said('a')])))
  assert.ok(!('usage' in whole([said('a'), { type: 'usage', usage: {} }])))
})

test('the provider’s own bytes are the answer', () => {
  const writer = chat.writer(callOf(), AT)
  const wire = Buffer.from('{ "id":1, "new": [] }\n')
  writer.write({ events: [START, said('x')], wire })
  assert.equal(writer.end(), wire)
})

test('a refusal is OpenAI’s error, with all four of its fields', () => {
  const body = (fault: Fault) => JSON.parse(Buffer.from(chat.refusal(fault)).toString())
  const message = FAULT_MESSAGE
  assert.deepEqual(body(new Fault('bad-request', { message, param: 'n', code: 'c' })), {
    error: { message, type: 'invalid_request_error', param: 'n', code: 'c' },
  })
  assert.deepEqual(body(new Fault('bad-request', { message })), {
    error: { message, type: 'invalid_request_error', param: null, code: null },
  })
  const secret = { detail: 'sk-secret at 10.0.0.1', message }
  assert.doesNotMatch(Buffer.from(chat.refusal(new Fault('internal', secret))).toString(), /secret|10\.0/)
})

const FAULT_MESSAGE = 'A "quoted" message,\nin two lines.'

test('what a provider adds to a tool call stays with it', () => {
  const extra = { extra_content: { google: { thought_signature: 'c2ln' } } }
  const message = messageOf(
    { type: 'tool-start', choice: 0, index: 0, id: 'call_1', name: 'f', extra },
    { type: 'tool-delta', choice: 0, index: 0, json: '{}' },
    { type: 'tool-start', choice: 0, index: 1, id: 'call_2', name: 'g' },
  )
  assert.deepEqual(message.tool_calls, [
    { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' }, ...extra },
    { id: 'call_2', type: 'function', function: { name: 'g', arguments: '' } },
  ])
})
