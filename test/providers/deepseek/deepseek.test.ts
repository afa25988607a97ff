import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deepseek } from '../../../src/providers/deepseek/deepseek.ts'
import { refusal, sent } from '../calls.ts'

const MODEL = 'deepseek-chat'
const CALLS = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }]

test('turns that called tools carry their thoughts, if only as nothing', () => {
  const messages = [
    { role: 'assistant', content: null, tool_calls: CALLS },
    { role: 'assistant', content: null, tool_calls: CALLS, reasoning: 'hm' },
    { role: 'assistant', content: null, tool_calls: CALLS, reasoning_content: 'kept' },
    { role: 'assistant', content: 'plain' },
  ]
  const thoughts = (extra: object) =>
    (sent(deepseek, MODEL, { messages, ...extra }).json.messages as { reasoning_content?: string }[]).map(
      m => m.reasoning_content,
    )
  assert.deepEqual(thoughts({}), ['', 'hm', 'kept', undefined])
  assert.deepEqual(thoughts({ thinking: { type: 'disabled' } }), [undefined, 'hm', 'kept', undefined])
})

test('fields go by DeepSeek’s names, and what it does not do is told', () => {
  const { json, leftOut } = sent(deepseek, MODEL, {
    max_completion_tokens: 9,
    user: 'u',
    seed: 7,
    n: 1,
    parallel_tool_calls: false,
    reasoning_effort: 'medium',
  })
  assert.deepEqual([json.max_tokens, json.user_id, json.reasoning_effort, json.seed], [9, 'u', 'high', undefined])
  assert.deepEqual(leftOut, ['seed', 'parallel_tool_calls'])
})

test('what would change the answer’s meaning is refused', () => {
  assert.match(refusal(deepseek, MODEL, { n: 2 }) ?? '', /more than one choice/)
  assert.match(refusal(deepseek, MODEL, { response_format: { type: 'json_schema', json_schema: {} } }) ?? '', /JSON schema/)
  assert.equal(refusal(deepseek, MODEL, { response_format: { type: 'json_object' }, tools: [{}] }), undefined)
})
