import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/core/store.ts'
import type { Allotment } from '../../src/limits/periods.ts'
import { spend } from '../../src/limits/spend.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { heldClock, settled } from '../support/clock.ts'

const BEFORE_MIDNIGHT = Date.parse('2026-11-27T23:59:00Z')
const DOLLAR_A_DAY = new Map<string, Allotment | undefined>([
  ['p', { usd: 1, per: 'day' }],
  ['free', undefined],
])

function opened(wrap: (store: Store) => Store = store => store) {
  const clock = heldClock(BEFORE_MIDNIGHT)
  const inner = embeddedStore(clock)
  const store = wrap(inner)
  return { clock, store: inner, a: spend(store, clock, DOLLAR_A_DAY), b: spend(store, clock, DOLLAR_A_DAY) }
}

const usd = (of: ReturnType<typeof spend>, name = 'p') => of.status().find(each => each.name === name)!.usd

test('a provider is at its cap as soon as so much was spent, and no longer when the day is over', async () => {
  const { clock, a } = opened()
  a.add('p', 0.999999999)
  assert.equal(a.isCapped('p'), false)
  a.add('p', 0.000000001)
  assert.equal(a.isCapped('p'), true)
  assert.equal(a.renewsAtMs('p'), Date.parse('2026-11-28T00:00:00Z'))
  await clock.pass(59_999)
  assert.equal(a.isCapped('p'), true)
  await clock.pass(1)
  assert.equal(a.isCapped('p'), false)
  assert.deepEqual(
    a.status().map(({ name, period, usd, capUsd }) => [name, period, usd, capUsd]),
    [
      ['p', '2026-11-28', 0, 1],
      ['free', '2026-11-28', 0, undefined],
    ],
  )
})

test('one without a cap is counted here, and the store hears nothing of it', async () => {
  const { store, a } = opened(inner => ({ ...inner, add: () => assert.fail('the store was asked') }))
  a.add('free', 250)
  await settled()
  assert.equal(a.isCapped('free'), false)
  assert.equal(usd(a, 'free'), 250)
  assert.deepEqual(await store.read(['spend:free:2026-11-27']), [undefined])
})

test('the other replicas know at once when the cap is reached, and within a second or a reading what was spent before', async () => {
  const { clock, a, b } = opened()
  a.add('p', 0.4)
  await settled()
  assert.equal(usd(b), 0.4)
  a.add('p', 0.1)
  await settled()
  assert.equal(usd(b), 0.4)
  await clock.pass(4_000)
  assert.equal(usd(b), 0.5)
  b.add('p', 0.3)
  b.add('p', 0.2)
  assert.equal(b.isCapped('p'), true)
  await settled()
  // No second has passed since it told of the first of these.
  assert.equal(a.isCapped('p'), true)
})

test('announcements that are lost are made good by the next reading', async () => {
  const { clock, a, b } = opened(inner => ({ ...inner, announce() {} }))
  a.add('p', 2)
  await settled()
  assert.equal(b.isCapped('p'), false)
  await clock.pass(4_000)
  assert.equal(b.isCapped('p'), true)
})

test('what gathers while an addition is on its way goes with the next one', async () => {
  const amounts: number[] = []
  const { a, store } = opened(inner => ({
    ...inner,
    add(key, amount, ttlMs) {
      amounts.push(amount)
      return inner.add(key, amount, ttlMs)
    },
  }))
  for (let attempt = 0; attempt < 1_000; attempt++) a.add('p', 0.0001)
  assert.equal(usd(a), 0.1)
  await settled()
  assert.deepEqual(amounts, [100_000, 99_900_000])
  assert.deepEqual(await store.read(['spend:p:2026-11-27']), ['100000000'])
})

test('what the store did not take is kept and handed on later, and counts meanwhile', async () => {
  let away = true
  const { clock, a, store } = opened(inner => ({
    ...inner,
    add: (key, amount, ttlMs) => (away ? Promise.reject(new Error('away')) : inner.add(key, amount, ttlMs)),
  }))
  a.add('p', 0.6)
  a.add('p', 0.4)
  await settled()
  assert.equal(a.isCapped('p'), true)
  away = false
  await clock.pass(4_000)
  assert.deepEqual(await store.read(['spend:p:2026-11-27']), ['1000000000'])
  assert.equal(usd(a), 1)
})

test('a new process finds what was spent before it', async () => {
  const { clock, store, a } = opened()
  a.add('p', 1)
  await a.close()
  const next = spend(store, clock, DOLLAR_A_DAY)
  await settled()
  assert.equal(next.isCapped('p'), true)
})

test('closing hands on the rest and leaves no timer of its own', async () => {
  const { clock, store, a, b } = opened()
  const before = clock.waiting()
  a.add('p', 0.1)
  a.add('p', 0.2)
  await Promise.all([a.close(), b.close()])
  assert.deepEqual(await store.read(['spend:p:2026-11-27']), ['300000000'])
  await settled()
  assert.ok(clock.waiting() <= before)
  await clock.pass(10_000)
  assert.equal(clock.waiting(), 1, 'the sweep of the store')
})

test('what was spent lives on under other caps, unless its period is another one or its cap is new', async () => {
  const { a, clock } = opened()
  a.add('p', 0.5)
  a.add('free', 2)
  await settled()
  a.replace(
    new Map<string, Allotment | undefined>([
      ['p', { usd: 0.25, per: 'day' }],
      ['free', undefined],
      ['new', undefined],
    ]),
  )
  assert.deepEqual([usd(a), usd(a, 'free'), usd(a, 'new')], [0.5, 2, 0])
  assert.equal(a.isCapped('p'), true)
  a.add('gone', 1)
  a.replace(
    new Map<string, Allotment | undefined>([
      ['p', { usd: 9, per: 'month' }],
      ['free', { usd: 1, per: 'day' }],
    ]),
  )
  assert.deepEqual([usd(a), usd(a, 'free')], [0, 0])
  a.replace(DOLLAR_A_DAY)
  await clock.pass(0)
  assert.equal(usd(a), 0.5, 'the store has not forgotten the day')
  await a.close()
})

test('caps that come later are shared like those of the beginning', async () => {
  const clock = heldClock(BEFORE_MIDNIGHT)
  const store = embeddedStore(clock)
  const [a, b] = [spend(store, clock, new Map([['p', undefined]])), spend(store, clock, DOLLAR_A_DAY)]
  a.replace(DOLLAR_A_DAY)
  b.add('p', 1)
  await settled()
  assert.equal(a.isCapped('p'), true)
  await Promise.all([a.close(), b.close()])
})
