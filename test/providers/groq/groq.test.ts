import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groq } from '../../../src/providers/groq/groq.ts'
import { refusal, sent } from '../calls.ts'

test('names of messages and biases are left out, max_tokens goes by its new name', () => {
  const { json, leftOut } = sent(groq, 'm', {
    messages: [{ role: 'user', name: 'Kim', content: 'hi' }],
    max_tokens: 9,
    logit_bias: { 5: 1 },
    logprobs: false,
    seed: 7,
  })
  assert.deepEqual(json, { model: 'm', messages: [{ role: 'user', content: 'hi' }], seed: 7, max_completion_tokens: 9 })
  assert.deepEqual(leftOut, ['logit_bias'])
})

test('more than one choice and log probabilities are refused', () => {
  assert.match(refusal(groq, 'm', { n: 2, logprobs: true }) ?? '', /more than one choice, log probabilities/)
  assert.equal(refusal(groq, 'm', { n: 1, logprobs: false }), undefined)
})
