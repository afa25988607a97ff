import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fireworks } from '../../../src/providers/fireworks/fireworks.ts'
import { sent } from '../calls.ts'

test('efforts that Fireworks does not have become the nearest', () => {
  const efforts = ['minimal', 'low', 'medium', 'high', 'xhigh'].map(
    effort => sent(fireworks, 'm', { reasoning_effort: effort }).json.reasoning_effort,
  )
  assert.deepEqual(efforts, ['low', 'low', 'medium', 'high', 'high'])
})
