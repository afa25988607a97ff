import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChooserParts, Choosers } from '../../src/gateway/choosers.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { madeCall, madeChoosers, madeClient, madeTarget } from './made.ts'

const DRAWS = 20_000
const weighted = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights).map(([id, weight]) => ({ target: madeTarget(`p/${id}`), weight }))
const all = () => 1

const [call, client] = [madeCall(), madeClient()]

/** A chooser that is asked for models. */
function chooser(name: keyof Choosers, parts: Partial<ChooserParts> = {}) {
  const choose = madeChoosers(parts)[name]
  return (targets: ReturnType<typeof weighted>, asked = call) => choose(targets, asked, client, {}).map(({ model }) => model)
}

/** The share of draws in which each came first, and every order that was seen. */
function drawn(name: keyof Choosers, weights: Readonly<Record<string, number>>, ramp: (target: string) => number = all) {
  const choose = chooser(name, { ramp, random: seededRandom(11) })
  const targets = weighted(weights)
  const firsts = new Map<string, number>()
  const orders = new Set<string>()
  for (let draw = 0; draw < DRAWS; draw++) {
    const order = choose(targets)
    firsts.set(order[0]!, (firsts.get(order[0]!) ?? 0) + 1)
    orders.add(order.join(' '))
  }
  return { share: (id: string) => (firsts.get(id) ?? 0) / DRAWS, orders }
}

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 0.015, `${actual}, not about ${expected}`)

test('weighted draws the first by weight, and the others follow, the heavier first', () => {
  const { share, orders } = drawn('weighted', { light: 2, heavy: 5, middle: 3 })
  near(share('heavy'), 0.5)
  near(share('middle'), 0.3)
  near(share('light'), 0.2)
  assert.deepEqual([...orders].sort(), ['heavy middle light', 'light heavy middle', 'middle heavy light'])
})

test('weighted counts a target in its ramp with its ramped weight, for the first place and for the others', () => {
  const { share, orders } = drawn('weighted', { back: 5, a: 3, b: 2 }, target => (target === 'p/back' ? 0.1 : 1))
  near(share('back'), 0.5 / 5.5)
  near(share('a'), 3 / 5.5)
  near(share('b'), 2 / 5.5)
  assert.deepEqual([...orders].sort(), ['a b back', 'b a back', 'back a b'])
})

test('weighted with one target needs no luck, and with random at its ends stays inside', () => {
  const none = () => assert.fail('nothing to draw')
  assert.deepEqual(chooser('weighted', { random: none })(weighted({ only: 3 })), ['only'])
  const two = weighted({ a: 1, b: 3 })
  const firstAt = (point: number) => chooser('weighted', { random: () => point })(two)[0]
  assert.equal(firstAt(0), 'a')
  assert.equal(firstAt(0.2499), 'a')
  assert.equal(firstAt(0.25), 'b')
  assert.equal(firstAt(1 - 2 ** -53), 'b')
})

test('order keeps the order, whatever the weights, and draws nothing', () => {
  const none = () => assert.fail('nothing to draw')
  assert.deepEqual(chooser('order', { random: none })(weighted({ a: 1, b: 9, c: 5 })), ['a', 'b', 'c'])
})

test('order lets a target in its ramp go first in its share of the calls, and steps it behind the others in the rest', () => {
  const { share, orders } = drawn('order', { back: 1, a: 1, b: 1 }, target => (target === 'p/back' ? 0.4 : 1))
  near(share('back'), 0.4)
  near(share('a'), 0.6)
  assert.deepEqual([...orders].sort(), ['a b back', 'back a b'])
})

test('order with every target in its ramp still gives every target', () => {
  const { orders } = drawn('order', { a: 1, b: 1 }, () => 0.1)
  assert.deepEqual([...orders].sort(), ['a b', 'b a'])
})
