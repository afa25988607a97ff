import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prices } from '../../src/gateway/prices.ts'
import { madeTarget } from './made.ts'

const CHEAP = madeTarget('p/cheap', { abilities: { price: { input: 1, output: 40 } } })
const DEAR = madeTarget('p/dear', { abilities: { price: { input: 30, output: 2 } } })
const UNKNOWN = madeTarget('p/unknown')

test('an unknown price is the dearest of those that are known, column by column', () => {
  const priced = prices([CHEAP, UNKNOWN, DEAR], () => {})
  assert.deepEqual(priced.of(UNKNOWN), { input: 30, output: 40 })
  assert.equal(priced.of(CHEAP), CHEAP.abilities.price)
})

test('where nothing is known, a large model is assumed, and never that it is free', () => {
  const { input, output } = prices([UNKNOWN], () => {}).of(UNKNOWN)
  assert.ok(input > 0 && output > 0)
})

test('a model that costs nothing may be said to', () => {
  const free = madeTarget('p/free', { abilities: { price: { input: 0, output: 0 } } })
  assert.deepEqual(prices([free, DEAR], assert.fail).of(free), { input: 0, output: 0 })
})

test('each target is told of once; models that callers name are one', () => {
  const told: string[] = []
  const priced = prices([], target => told.push(target))
  for (const model of ['p/one', 'p/two', 'q/one']) {
    priced.of(madeTarget(model, { label: 'other' }))
    priced.of(madeTarget(model, { label: 'other' }))
  }
  priced.of(UNKNOWN)
  assert.deepEqual(told, ['p/other', 'q/other', 'p/unknown'])
})
