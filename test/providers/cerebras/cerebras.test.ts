import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cerebras } from '../../../src/providers/cerebras/cerebras.ts'
import { sent } from '../calls.ts'

test('penalties are left out, max_tokens and earlier thoughts go by their names here', () => {
  const messages = [
    { role: 'assistant', content: 'a', reasoning_content: 'hm' },
    { role: 'user', content: 'u' },
  ]
  const { json, leftOut } = sent(cerebras, 'm', { messages, max_tokens: 9, presence_penalty: 1, frequency_penalty: 0 })
  assert.deepEqual(json, {
    model: 'm',
    messages: [
      { role: 'assistant', content: 'a', reasoning: 'hm' },
      { role: 'user', content: 'u' },
    ],
    max_completion_tokens: 9,
  })
  assert.deepEqual(leftOut, ['presence_penalty'])
})
