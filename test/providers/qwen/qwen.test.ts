import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qwen } from '../../../src/providers/qwen/qwen.ts'
import { refusal, sent } from '../calls.ts'

test('open models do not think in whole answers, unless the client has its own mind', () => {
  assert.equal(sent(qwen, 'qwen3-32b', {}).json.enable_thinking, false)
  assert.equal(sent(qwen, 'qwen3-235b-a22b', { stream: true }).json.enable_thinking, undefined)
  assert.equal(sent(qwen, 'qwen3-32b', { enable_thinking: true }).json.enable_thinking, true)
  for (const model of ['qwen3-max', 'qwen3-30b-a3b-thinking-2507', 'qwen-plus'])
    assert.equal(sent(qwen, model, {}).json.enable_thinking, undefined)
})

test('ranges that are open here are kept to', () => {
  const { json } = sent(qwen, 'qwen-plus', { temperature: 2, top_p: 0 })
  assert.deepEqual([json.temperature, json.top_p], [1.99, 0.01])
  assert.equal(sent(qwen, 'qwen-plus', { temperature: 1.2 }).json.temperature, 1.2)
})

test('a frequency penalty is left out and told', () => {
  assert.deepEqual(sent(qwen, 'qwen-plus', { frequency_penalty: 1, presence_penalty: 1 }).leftOut, ['frequency_penalty'])
})

test('models that only stream are not asked for whole answers', () => {
  assert.match(refusal(qwen, 'qwq-plus', {}) ?? '', /stream/)
  assert.equal(refusal(qwen, 'qwq-plus', { stream: true }), undefined)
  assert.equal(refusal(qwen, 'qwen-plus', {}), undefined)
})
