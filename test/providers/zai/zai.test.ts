import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zai } from '../../../src/providers/zai/zai.ts'
import { refusal, sent } from '../calls.ts'

const tools = [{ type: 'function', function: { name: 'f' } }]

test('it has no penalties and no seed, and its own name for the longest answer', () => {
  const { json, leftOut } = sent(zai, 'glm-4.7', { max_completion_tokens: 9, presence_penalty: 1, seed: 4 })
  assert.deepEqual(json, { model: 'glm-4.7', messages: [{ role: 'user', content: 'hi' }], max_tokens: 9 })
  assert.deepEqual(leftOut, ['presence_penalty', 'seed'])
})

test('it takes tools, but not the choice among them', () => {
  assert.equal(refusal(zai, 'glm-4.7', { tools }), undefined)
  assert.equal(refusal(zai, 'glm-4.7', { tools, tool_choice: 'auto' }), undefined)
  for (const choice of ['required', 'none', { type: 'function', function: { name: 'f' } }])
    assert.equal(refusal(zai, 'glm-4.7', { tools, tool_choice: choice }), 'it cannot be told whether to call a tool')
})

test('JSON is had without a schema only', () => {
  assert.equal(refusal(zai, 'glm-4.7', { response_format: { type: 'json_object' } }), undefined)
  const schema = { type: 'json_schema', json_schema: { name: 's', schema: {} } }
  assert.equal(refusal(zai, 'glm-4.7', { response_format: schema }), 'it cannot do a JSON schema')
})
