import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from '../../src/resilience/backoff.ts'
import { seededRandom } from '../state/seeded-random.ts'

const policy = { attempts: 5, firstMs: 100, factor: 2, maxMs: 500, rateLimitWaitMs: 3_000 }
const highest = () => 1 - 2 ** -53
const lowest = () => 0

test('a wait is anything from nothing to a ceiling that grows by the factor up to the maximum', () => {
  const ceilings = [100, 200, 400, 500, 500]
  for (const [at, ceiling] of ceilings.entries()) {
    assert.equal(backoffMs(policy, at + 1, undefined, lowest), 0)
    assert.equal(Math.round(backoffMs(policy, at + 1, undefined, highest)), ceiling)
    assert.equal(
      backoffMs(policy, at + 1, undefined, () => 0.25),
      ceiling / 4,
    )
  }
})

test('waits spread over the whole range', () => {
  const random = seededRandom(1)
  const waits = Array.from({ length: 10_000 }, () => backoffMs(policy, 2, undefined, random))
  assert.ok(waits.every(ms => ms >= 0 && ms < 200))
  for (let from = 0; from < 200; from += 20) {
    const share = waits.filter(ms => ms >= from && ms < from + 20).length / waits.length
    assert.ok(Math.abs(share - 0.1) < 0.02, `${share} of the waits lie between ${from} and ${from + 20} ms`)
  }
})

test('a longer Retry-After wins, a shorter one does not', () => {
  assert.equal(backoffMs(policy, 1, 2_500, highest), 2_500)
  assert.equal(Math.round(backoffMs(policy, 3, 50, highest)), 400)
  assert.equal(backoffMs(policy, 3, 50, lowest), 50)
})
