import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lately } from '../../src/resilience/lately.ts'

test('what is used again is remembered, whatever else comes', () => {
  const known = lately<{ at: number }>(10)
  const often = known.use('often', () => ({ at: 0 }))
  for (let at = 1; at < 1_000; at++) {
    known.use(`once ${at}`, () => ({ at }))
    if (at % 9 === 0)
      assert.equal(
        known.use('often', () => ({ at })),
        often,
      )
  }
  assert.equal(known.get('often'), often)
})

test('the names used last are remembered, and at most twice as many', () => {
  const known = lately<number>(10)
  for (let at = 0; at < 1_000; at++) {
    known.use(`${at}`, () => at)
    for (let last = Math.max(0, at - 9); last <= at; last++) assert.equal(known.get(`${last}`), last)
    assert.ok(known.names().length <= 20)
  }
  known.use('985', () => 0)
  assert.equal(new Set(known.names()).size, known.names().length, 'each once')
})

test('what is deleted is gone, however long it has been known', () => {
  const known = lately<number>(2)
  for (let at = 0; at < 4; at++) known.use(`${at}`, () => at)
  for (let at = 0; at < 4; at++) known.delete(`${at}`)
  assert.deepEqual(known.names(), [])
  assert.equal(known.get('0'), undefined)
})
