import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Price } from '../../src/core/attempt.ts'
import { Fault } from '../../src/core/fault.ts'
import type { ChooserParts, Choosers } from '../../src/gateway/choosers.ts'
import { sticky } from '../../src/gateway/sticky.ts'
import { paces } from '../../src/resilience/pace.ts'
import { chance } from '../core/random.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { heldClock } from '../support/clock.ts'
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

const PRICES: Readonly<Record<string, Price | undefined>> = {
  unknown: undefined,
  'dear-input': { input: 10, output: 10 },
  'dear-output': { input: 1, output: 60 },
  cheap: { input: 1, output: 2 },
  'also-unknown': undefined,
  free: { input: 0, output: 0 },
}
const priced = (prices = PRICES) =>
  Object.entries(prices).map(([model, price]) => ({
    target: madeTarget(`p/${model}`, { abilities: price === undefined ? {} : { price } }),
    weight: 1,
  }))
/** A call of about so many tokens. */
const long = (tokens: number, more: object = {}) =>
  madeCall({ messages: [{ role: 'user', content: 'x'.repeat(4 * tokens) }], ...more })

test('cost goes by what this call comes to, unknown prices last and as written', () => {
  const choose = chooser('cost')
  const shortCall = ['free', 'cheap', 'dear-input', 'dear-output', 'unknown', 'also-unknown']
  const longCall = ['free', 'cheap', 'dear-output', 'dear-input', 'unknown', 'also-unknown']
  assert.deepEqual(choose(priced(), long(10, { max_tokens: 1_000 })), shortCall)
  assert.deepEqual(choose(priced(), long(10_000, { max_tokens: 10 })), longCall)
  assert.deepEqual(choose(priced(), long(10)), shortCall, 'an answer that is not limited has some length, too')
  assert.deepEqual(choose(priced(), long(3_000, { max_tokens: 100, n: 10 })), shortCall, 'every choice is paid for')
})

test('cost heeds the rates that hold for longer calls', () => {
  const tiered = priced({
    flat: { input: 2, output: 2 },
    tiered: { input: 1, output: 1, tiers: [{ above: 1_000, rates: { input: 4, output: 4 } }] },
  })
  const choose = chooser('cost')
  assert.deepEqual(choose(tiered, long(500)), ['tiered', 'flat'])
  assert.deepEqual(choose(tiered, long(1_500)), ['flat', 'tiered'])
})

test('cost keeps equals, and targets none of which has a price, as they are written', () => {
  const same = { input: 1, output: 1 }
  const choose = chooser('cost')
  assert.deepEqual(choose(priced({ b: same, a: same, c: same })), ['b', 'a', 'c'])
  assert.deepEqual(choose(priced({ b: undefined, a: undefined })), ['b', 'a'])
})

test('cost lets a target in its ramp go first in its share of the calls', () => {
  const choose = chooser('cost', { ramp: id => (id === 'p/free' ? 0.25 : 1), random: seededRandom(2) })
  const firsts = Array.from({ length: 4_000 }, () => choose(priced())[0])
  near(firsts.filter(first => first === 'free').length / 4_000, 0.25)
  assert.ok(firsts.every(first => first === 'free' || first === 'cheap'))
})

test('every chooser, sticky or not, gives every target exactly once, whatever is known of them', t => {
  const luck = chance()
  t.diagnostic(`SEED=${luck.seed}`)
  const clock = heldClock()
  for (let round = 0; round < 3_000; round++) {
    const seen = paces(clock)
    const targets = Array.from({ length: 1 + luck.below(7) }, (_, at) => {
      const price = luck.pick([undefined, { input: luck.below(3), output: luck.below(3) }])
      const target = madeTarget(`p/${at}`, { abilities: price === undefined ? {} : { price } })
      for (let attempt = luck.below(4); attempt > 0; attempt--) {
        const kind = luck.pick(['stream', 'whole'] as const)
        const pace = seen.begun(target.id, kind)
        if (luck.next() < 0.5) seen.answered(pace, kind, luck.next() * 1_000)
        if (luck.next() < 0.7) seen.over(pace, luck.pick([undefined, new Fault('upstream-error')]), 0)
      }
      return { target, weight: luck.pick([0.01, 1, 5]) }
    })
    const parts = { ramp: () => luck.pick([0.1, 0.5, 1, 1]), random: luck.next, paces: seen }
    const asked = madeCall({ stream: luck.next() < 0.5 })
    const headers = { 'x-understudy-session': String(luck.next()) }
    const { ramp } = parts
    for (const [name, choose] of Object.entries(madeChoosers(parts))) {
      const stuck = sticky({ to: luck.pick(['client', 'session']), byWeight: luck.next() < 0.5, ramp, otherwise: choose })
      for (const each of [choose, stuck]) {
        const ids = each(targets, asked, client, headers).map(({ id }) => id)
        assert.deepEqual(
          ids.sort(),
          targets.map(({ target }) => target.id),
          name,
        )
      }
    }
  }
})
