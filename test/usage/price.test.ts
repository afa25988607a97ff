import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costUsd } from '../../src/usage/price.ts'

const price = { input: 2, cachedInput: 0.5, cacheWrite: 3, output: 10 }

test('each kind of token costs its own price, and none is counted in two', () => {
  assert.equal(costUsd(price, { input: 1_000_000, output: 0 }), 2)
  assert.equal(costUsd(price, { input: 0, cached: 1_000_000, output: 0 }), 0.5)
  assert.equal(costUsd(price, { input: 0, cacheWrite: 1_000_000, output: 0 }), 3)
  assert.equal(costUsd(price, { input: 0, output: 1_000_000 }), 10)
  assert.equal(costUsd(price, { input: 0, output: 0, reasoning: 1_000_000 }), 10)
  assert.equal(costUsd(price, { input: 1e6, cached: 1e6, cacheWrite: 1e6, output: 1e6, reasoning: 1e6 }), 2 + 0.5 + 3 + 10 + 10)
})

test('what the cache costs is the price of input where no other is known', () => {
  const plain = { input: 2, output: 10 }
  assert.equal(costUsd(plain, { input: 0, cached: 1_000_000, cacheWrite: 500_000, output: 0 }), 3)
})

test('without a price or without usage the cost is unknown, which is not nothing', () => {
  assert.equal(costUsd(undefined, { input: 1, output: 1 }), undefined)
  assert.equal(costUsd(price, undefined), undefined)
  assert.equal(costUsd(price, { input: 1 }), undefined)
  assert.equal(costUsd(price, { output: 1 }), undefined)
  assert.equal(costUsd(price, { cached: 5, reasoning: 5 }), undefined)
})

test('what costs nothing costs nothing', () => {
  assert.equal(costUsd(price, { input: 0, output: 0 }), 0)
  assert.equal(costUsd({ input: 0, output: 0 }, { input: 100, output: 100 }), 0)
})
