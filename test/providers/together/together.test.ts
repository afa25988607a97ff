import assert from 'node:assert/strict'
import { test } from 'node:test'
import { together } from '../../../src/providers/together/together.ts'
import { sent } from '../calls.ts'

test('log probabilities are asked for by how many', () => {
  const { json, leftOut } = sent(together, 'm', { logprobs: true, top_logprobs: 3 })
  assert.deepEqual([json.logprobs, json.top_logprobs, leftOut], [3, undefined, []])
  assert.equal(sent(together, 'm', { logprobs: true }).json.logprobs, 1)
  assert.equal(sent(together, 'm', { logprobs: false }).json.logprobs, false)
})
