import assert from 'node:assert/strict'
import { test } from 'node:test'
import { given } from '../../src/resilience/recovery.ts'
import { madeCall } from '../gateway/made.ts'

test('what is longer than any model’s answer is not kept, and not gone on with', () => {
  const had = given(madeCall({ stream: true }))
  const page = 'x'.repeat(100_000)
  for (let at = 0; at < 4; at++) had.see([{ type: 'text-delta', choice: 0, text: page }])
  assert.equal(had.isContinuable(), true)
  assert.equal(had.soFar().text.length, 400_000)
  had.see([{ type: 'text-delta', choice: 0, text: '.' }])
  assert.deepEqual([had.isContinuable(), had.soFar().text], [false, ''])
  had.see([{ type: 'text-delta', choice: 0, text: 'more' }])
  assert.equal(had.soFar().text, '')
})

test('thoughts count as text does', () => {
  const had = given(madeCall({ stream: true }))
  had.see([{ type: 'reasoning-delta', choice: 0, text: 'x'.repeat(399_999) }])
  had.see([{ type: 'text-delta', choice: 0, text: 'x' }])
  assert.equal(had.isContinuable(), true)
  had.see([{ type: 'text-delta', choice: 0, text: 'x' }])
  assert.deepEqual([had.isContinuable(), had.soFar().text, had.soFar().thoughts], [false, '', ''])
})

test('of an answer that nobody can go on with, nothing is kept', () => {
  const had = given(madeCall({ stream: true, n: 2 }))
  had.see([{ type: 'text-delta', choice: 0, text: 'Hello' }])
  assert.equal(had.soFar().text, '')
  const withTool = given(madeCall({ stream: true }))
  withTool.see([{ type: 'text-delta', choice: 0, text: 'Let me see.' }])
  withTool.see([{ type: 'tool-start', choice: 0, index: 0, id: 'call_1', name: 'look' }])
  assert.deepEqual([withTool.isContinuable(), withTool.soFar().text], [false, ''])
})
