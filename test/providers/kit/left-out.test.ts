import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatBody } from '../../../src/core/chat.ts'
import { leftOutOf } from '../../../src/providers/kit/left-out.ts'

const left = (fields: object) =>
  leftOutOf({ model: 'm', messages: [], ...fields } as ChatBody, new Set(['model', 'messages', 'seed']))

test('fields that nobody read are told in the order in which they came', () => {
  assert.deepEqual(left({ user: 'u', seed: 1, x_new: { a: 1 }, logit_bias: { 5: 1 } }), ['user', 'x_new', 'logit_bias'])
})

test('fields that ask for what happens anyway are not', () => {
  const nothing = {
    user: '',
    metadata: {},
    stop: [],
    store: false,
    n: 1,
    top_logprobs: 0,
    service_tier: 'auto',
    temperature: 1,
    a: null,
  }
  assert.deepEqual(left({ ...nothing, parallel_tool_calls: true }), [])
})

test('calls one at a time are more than nothing', () => {
  assert.deepEqual(left({ parallel_tool_calls: false, temperature: 0, service_tier: 'flex' }), [
    'parallel_tool_calls',
    'temperature',
    'service_tier',
  ])
})
