import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Spans } from '../../src/core/json.ts'
import { chat } from '../../src/dialects/chat/chat.ts'
import { type Reduction, reducedCall } from '../../src/gateway/reduced-call.ts'
import { madeCall } from './made.ts'

const reduced = (more: object, reduction: Partial<Reduction>) =>
  reducedCall(madeCall(more), { maxTokens: undefined, drop: [], ...reduction })
const BASE = { model: 'made', messages: [{ role: 'user', content: 'Hello' }] }

test('a call with nothing to take out stays the very call', () => {
  const call = madeCall({ max_tokens: 5, tools: [] })
  assert.equal(reducedCall(call, { maxTokens: 10, drop: ['vision', 'json_schema'] }).call, call)
})

test('the bytes say what the body says, whoever reads them', () => {
  const { call } = reduced(
    { tools: [{ type: 'custom' }], tool_choice: 'none', x: 12, response_format: { type: 'json_schema' } },
    { maxTokens: 7, drop: ['tools', 'json_schema'] },
  )
  assert.deepEqual(call.body, { ...BASE, x: 12, max_tokens: 7 })
  const read = chat.parse(Buffer.from(call.source.bytes))
  assert.deepEqual(read.body, call.body)
  assert.deepEqual([...call.source.spans.keys()].sort(), ['max_tokens', 'messages', 'model', 'x'])
  assert.equal(call.source, call.source, 'they are written once')
})

test('a number longer than ours keeps its digits', () => {
  const call = chat.parse(Buffer.from('{"model":"m","messages":[{"role":"user","content":"x"}],"seed":12345678901234567890}'))
  const { call: less } = reducedCall(call, { maxTokens: 5, drop: [] })
  assert.match(Buffer.from(less.source.bytes).toString(), /"seed":12345678901234567890/)
})

test('a call that came in another dialect is one of chat then', () => {
  const made = madeCall({ max_tokens: 50 })
  const call = {
    ...made,
    body: made.body,
    dialect: 'messages' as const,
    source: { bytes: Buffer.from('{"own": 1}'), spans: new Spans() },
  }
  const { call: less } = reducedCall(call, { maxTokens: 5, drop: [] })
  assert.equal(less.dialect, 'chat')
  assert.deepEqual(JSON.parse(Buffer.from(less.source.bytes).toString()), { ...BASE, max_tokens: 5 })
})

test('what was said with tools stays in words, and what is no part of it stays as it is', () => {
  const messages = [
    { role: 'system', content: 'Be short.' },
    {
      role: 'assistant',
      content: 'Let me look.',
      name: 'a',
      tool_calls: [
        { id: '1', type: 'function', function: { name: 'f', arguments: '{"x":1}' } },
        { id: '2', type: 'custom', custom: { name: 'g', input: 'y' } },
      ],
    },
    { role: 'tool', tool_call_id: '1', content: [{ type: 'text', text: 'one' }] },
    { role: 'tool', tool_call_id: '9', content: 'nine' },
    { role: 'assistant', content: 'Done.', tool_calls: [] },
  ]
  const { call, leftOut } = reduced({ messages }, { drop: ['tools'] })
  assert.deepEqual(leftOut, ['tools'])
  assert.deepEqual(call.body.messages, [
    messages[0],
    { role: 'assistant', name: 'a', content: 'Let me look.\n[Called f with {"x":1}]\n[Called a tool with input of its own]' },
    { role: 'user', content: '[Result of f] one' },
    { role: 'user', content: '[Result] nine' },
    messages[4],
  ])
  assert.deepEqual(reduced({}, { drop: ['tools', 'vision', 'json_schema'] }).leftOut, [])
})

test('what is left is what the client said, ASCII or not', () => {
  const messages = [{ role: 'user', content: 'Wér antwortet – 日本 🎭?' }]
  const { call } = reduced({ messages, max_tokens: 50, user: 'jürgen' }, { maxTokens: 5 })
  assert.deepEqual(call.body, { model: 'made', messages, max_tokens: 5, user: 'jürgen' })
  assert.deepEqual(call.shape, call.body)
  assert.deepEqual(JSON.parse(Buffer.from(call.source.bytes).toString()), call.body)
})
