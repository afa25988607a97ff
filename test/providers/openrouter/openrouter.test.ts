import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openrouter } from '../../../src/providers/openrouter/openrouter.ts'
import { refusal, sent } from '../calls.ts'

test('its own fields pass, and what others thought is replayed unchanged', () => {
  const body = {
    messages: [{ role: 'assistant', content: 'a', reasoning_details: [{ type: 'reasoning.encrypted', data: 'x' }] }],
    provider: { order: ['a'] },
    models: ['b'],
  }
  assert.deepEqual(sent(openrouter, 'm', body).json, { model: 'm', ...body })
})

test('more than one choice is refused', () => {
  assert.match(refusal(openrouter, 'm', { n: 2 }) ?? '', /more than one choice/)
})
