import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHOOSERS, type Chooser } from '../../src/gateway/choosers.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { madeTarget } from './made.ts'

const DRAWS = 20_000
const weighted = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights).map(([id, weight]) => ({ target: madeTarget(`p/${id}`), weight }))
const all = () => 1

/** The share of draws in which each came first, and every order that was seen. */
function drawn(choose: Chooser, weights: Readonly<Record<string, number>>, ramp: (target: string) => number = all) {
  const random = seededRandom(11)
  const targets = weighted(weights)
  const firsts = new Map<string, number>()
  const orders = new Set<string>()
  for (let draw = 0; draw < DRAWS; draw++) {
    const order = choose(targets, ramp, random).map(({ model }) => model)
    firsts.set(order[0]!, (firsts.get(order[0]!) ?? 0) + 1)
    orders.add(order.join(' '))
  }
  return { share: (id: string) => (firsts.get(id) ?? 0) / DRAWS, orders }
}

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 0.015, `${actual}, not about ${expected}`)

test('weighted draws the first by weight, and the others follow, the heavier first', () => {
  const { share, orders } = drawn(CHOOSERS.weighted, { light: 2, heavy: 5, middle: 3 })
  near(share('heavy'), 0.5)
  near(share('middle'), 0.3)
  near(share('light'), 0.2)
  assert.deepEqual([...orders].sort(), ['heavy middle light', 'light heavy middle', 'middle heavy light'])
})

test('weighted counts a target in its ramp with its ramped weight, for the first place and for the others', () => {
  const { share, orders } = drawn(CHOOSERS.weighted, { back: 5, a: 3, b: 2 }, target => (target === 'p/back' ? 0.1 : 1))
  near(share('back'), 0.5 / 5.5)
  near(share('a'), 3 / 5.5)
  near(share('b'), 2 / 5.5)
  assert.deepEqual([...orders].sort(), ['a b back', 'b a back', 'back a b'])
})

test('weighted with one target needs no luck, and with random at its ends stays inside', () => {
  const none = () => assert.fail('nothing to draw')
  assert.deepEqual(
    CHOOSERS.weighted(weighted({ only: 3 }), all, none).map(({ model }) => model),
    ['only'],
  )
  const two = weighted({ a: 1, b: 3 })
  assert.equal(CHOOSERS.weighted(two, all, () => 0)[0]!.model, 'a')
  assert.equal(CHOOSERS.weighted(two, all, () => 0.2499)[0]!.model, 'a')
  assert.equal(CHOOSERS.weighted(two, all, () => 0.25)[0]!.model, 'b')
  assert.equal(CHOOSERS.weighted(two, all, () => 1 - 2 ** -53)[0]!.model, 'b')
})

test('order keeps the order, whatever the weights, and draws nothing', () => {
  const none = () => assert.fail('nothing to draw')
  assert.deepEqual(
    CHOOSERS.order(weighted({ a: 1, b: 9, c: 5 }), all, none).map(({ model }) => model),
    ['a', 'b', 'c'],
  )
})

test('order lets a target in its ramp go first in its share of the calls, and steps it behind the others in the rest', () => {
  const { share, orders } = drawn(CHOOSERS.order, { back: 1, a: 1, b: 1 }, target => (target === 'p/back' ? 0.4 : 1))
  near(share('back'), 0.4)
  near(share('a'), 0.6)
  assert.deepEqual([...orders].sort(), ['a b back', 'back a b'])
})

test('order with every target in its ramp still gives every target', () => {
  const { orders } = drawn(CHOOSERS.order, { a: 1, b: 1 }, () => 0.1)
  assert.deepEqual([...orders].sort(), ['a b', 'b a'])
})
