import assert from 'node:assert/strict'
import { test } from 'node:test'
import { moonshot } from '../../../src/providers/moonshot/moonshot.ts'
import { refusal, sent } from '../calls.ts'

test('instructions are the system’s, thoughts go back by their name here, and temperatures end at 1', () => {
  const messages = [
    { role: 'developer', content: 'd' },
    { role: 'assistant', content: 'a', reasoning: 'hm' },
  ]
  const { json, leftOut } = sent(moonshot, 'kimi-k3', { messages, temperature: 1.7, seed: 4 })
  assert.deepEqual(json, {
    model: 'kimi-k3',
    messages: [
      { role: 'system', content: 'd' },
      { role: 'assistant', content: 'a', reasoning_content: 'hm' },
    ],
    temperature: 1,
  })
  assert.deepEqual(leftOut, ['seed'])
})

test('a temperature that it takes stays as it is', () => {
  assert.equal(sent(moonshot, 'kimi-k3', { temperature: 0.6 }).json.temperature, 0.6)
})

test('log probabilities are more than it can do', () => {
  assert.equal(refusal(moonshot, 'kimi-k3', { logprobs: true }), 'it cannot do log probabilities')
})
