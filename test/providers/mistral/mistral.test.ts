import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mistral } from '../../../src/providers/mistral/mistral.ts'
import { refusal, sent } from '../calls.ts'

const MODEL = 'mistral-small-latest'

test('fields that Mistral does not know are left out and told, and others renamed', () => {
  const { json, leftOut } = sent(mistral, MODEL, {
    ...{
      seed: 7,
      max_completion_tokens: 9,
      user: 'u',
      logit_bias: {},
      store: true,
      x_new: 1,
      service_tier: 'flex',
      temperature: 0.3,
    },
    ...{ stream: true, stream_options: { include_usage: true }, safe_prompt: true },
  })
  assert.deepEqual(Object.keys(json).sort(), [
    'max_tokens',
    'messages',
    'model',
    'random_seed',
    'safe_prompt',
    'stream',
    'temperature',
  ])
  assert.deepEqual([json.random_seed, json.max_tokens], [7, 9])
  assert.deepEqual(leftOut, ['user', 'store', 'x_new', 'service_tier'])
})

test('usage is not asked for', () => {
  assert.equal(sent(mistral, MODEL, { stream: true }).json.stream_options, undefined)
})

test('tool ids become nine letters or digits, in calls and results alike', () => {
  const calls = ['call_abcdefghijk', 'aB3dE6gH9'].map(id => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } }))
  const results = calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: '1' }))
  const messages = sent(mistral, MODEL, { messages: [{ role: 'assistant', content: '', tool_calls: calls }, ...results] }).json
    .messages as {
    tool_calls?: { id: string }[]
    tool_call_id?: string
  }[]
  const ids = messages[0]?.tool_calls?.map(({ id }) => id)
  assert.match(ids?.[0] ?? '', /^[0-9A-Za-z]{9}$/)
  assert.equal(ids?.[1], 'aB3dE6gH9')
  assert.deepEqual(
    messages.slice(1).map(message => message.tool_call_id),
    ids,
  )
})

test('fields of messages that Mistral does not know go, too', () => {
  const messages = [
    { role: 'developer', content: 'd', name: 'x' },
    { role: 'assistant', content: 'a', refusal: null, annotations: [], reasoning_content: 'r' },
  ]
  assert.deepEqual(sent(mistral, MODEL, { messages }).json.messages, [
    { role: 'system', content: 'd' },
    { role: 'assistant', content: 'a' },
  ])
})

test('a conversation that is fine stays as its bytes', () => {
  const { text } = sent(mistral, MODEL, {})
  assert.equal(text, '{"model":"mistral-small-latest","messages":[{"role":"user","content":"hi"}]}')
})

test('values out of range come into it', () => {
  assert.equal(sent(mistral, MODEL, { temperature: 2 }).json.temperature, 1.5)
  assert.equal(sent(mistral, MODEL, { reasoning_effort: 'low' }).json.reasoning_effort, 'high')
  assert.equal(sent(mistral, MODEL, { reasoning_effort: 'minimal' }).json.reasoning_effort, 'none')
  assert.equal(sent(mistral, MODEL, { service_tier: 'auto' }).json.service_tier, 'auto')
})

test('log probabilities cannot be had', () => {
  assert.match(refusal(mistral, MODEL, { logprobs: true }) ?? '', /log probabilities/)
  assert.equal(refusal(mistral, MODEL, { logprobs: false, n: 2, tools: [{}] }), undefined)
})

test('answers are written again for OpenAI’s clients, who know no lists of chunks', () => {
  assert.equal(mistral.dialect, undefined)
})
