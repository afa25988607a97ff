import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Want } from '../../src/core/store.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { heldClock } from '../support/clock.ts'
import { seededRandom } from './seeded-random.ts'
import { storeSuite } from './store-suite.ts'

storeSuite('embedded', async () => {
  const clock = heldClock()
  return { store: embeddedStore(clock), passMs: clock.pass }
})

const rate = (amount: number, limit = 10): Want => ({ kind: 'rate', key: 'rate', amount, limit, windowMs: 1_000 })

test('the last window of a rate counts in proportion to what of it still lies inside', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  await clock.pass(900)
  await store.take('a', [rate(10)])
  await clock.pass(100)
  assert.deepEqual(await store.take('b', [rate(1)]), { ok: false, want: 0, retryAfterMs: 100 })
  await clock.pass(300)
  assert.deepEqual(await store.take('c', [rate(3)]), { ok: true, remaining: [0] })
  await clock.pass(699)
  assert.equal((await store.take('d', [rate(7)])).ok, false)
  await clock.pass(1)
  assert.deepEqual(await store.take('e', [rate(7)]), { ok: true, remaining: [0] })
})

test('settling corrects the window in which was taken, and no later one', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  await store.take('a', [rate(10)])
  await clock.pass(1_000)
  await store.settle('a', [rate(0)])
  assert.deepEqual(await store.take('b', [rate(6)]), { ok: true, remaining: [4] })
  await clock.pass(2_000)
  await store.take('c', [rate(5)])
  await store.settle('b', [rate(0)])
  assert.deepEqual(await store.take('d', [rate(0)]), { ok: true, remaining: [5] })
})

test('settling a sum that has started again since corrects nothing', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  const sum = (amount: number): Want => ({ kind: 'sum', key: 'sum', amount, limit: 10, ttlMs: 100 })
  await store.take('a', [sum(10)])
  await clock.pass(100)
  await store.take('b', [sum(10)])
  await store.settle('a', [sum(0)])
  assert.equal((await store.take('c', [sum(1)])).ok, false)
})

test('what can never fit is not told to come back at once', async () => {
  const store = embeddedStore(heldClock())
  assert.deepEqual(await store.take('a', [{ kind: 'sum', key: 'sum', amount: 11, limit: 10, ttlMs: 100 }]), {
    ok: false,
    want: 0,
    retryAfterMs: 100,
  })
  assert.deepEqual(await store.take('b', [rate(11)]), { ok: false, want: 0, retryAfterMs: 1_000 })
})

test('a closed store leaves no timer behind', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  await clock.pass(25_000)
  assert.equal(clock.waiting(), 1)
  await store.close()
  assert.equal(clock.waiting(), 0)
})

/** What one taker took of one want, or used of it in the end. */
interface Counted {
  readonly id: string
  readonly want: Want
  readonly atMs: number
  amount: number
}

/** The limits by the book: everything ever taken is kept, and what counts now is added up again at each question. */
function model(now: () => number) {
  const all: Counted[] = []
  let expires = new Map<string, number>()
  return {
    used(want: Want): number {
      const ofKey = all.filter(each => each.want.key === want.key)
      const total = (some: readonly Counted[]) => some.reduce((sum, { amount }) => sum + amount, 0)
      if (want.kind === 'lease') return total(ofKey.filter(({ atMs }) => now() < atMs + want.ttlMs))
      if (want.kind === 'sum') return total(ofKey.filter(({ atMs }) => now() < (expires.get(`${want.key} ${atMs}`) ?? 0)))
      const window = (ms: number) => Math.floor(ms / want.windowMs)
      const index = window(now())
      const current = total(ofKey.filter(({ atMs }) => window(atMs) === index))
      const previous = total(ofKey.filter(({ atMs }) => window(atMs) === index - 1))
      return current + previous * (1 - (now() - index * want.windowMs) / want.windowMs)
    },
    take(id: string, wants: readonly Want[]) {
      for (const want of wants) {
        const atMs = now()
        all.push({ id, want, atMs, amount: want.kind === 'lease' ? 1 : want.amount })
        if (want.kind !== 'sum') continue
        const current = Math.max(
          0,
          ...[...expires].filter(([key, end]) => key.startsWith(`${want.key} `) && end > atMs).map(([, end]) => end),
        )
        expires = expires.set(`${want.key} ${atMs}`, current || atMs + want.ttlMs)
      }
    },
    settle(id: string, wants: readonly Want[]) {
      for (const each of all.filter(counted => counted.id === id)) {
        const final = wants.find(({ key }) => key === each.want.key)
        each.amount = final === undefined || final.kind === 'lease' ? 0 : final.amount
      }
    },
  }
}

test('2,000 random sequences of takers keep every limit, take all or nothing, and leave nothing behind', async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
  const random = seededRandom(seed)
  const whole = (most: number) => Math.floor(random() * (most + 1))
  let refusals = 0
  for (let sequence = 0; sequence < 2_000; sequence++) {
    const where = `SEED=${seed}, sequence ${sequence}`
    const clock = heldClock(1_700_000_000_000 + whole(10_000))
    // Moving this clock runs no timers: what has expired must not need the sweep to be seen.
    let passedMs = 0
    const store = embeddedStore({ ...clock, now: () => clock.now() + passedMs })
    const now = () => clock.now() + passedMs
    const book = model(now)
    const limits = { rate: 1 + whole(20), lease: 1 + whole(3), sum: 1 + whole(20) }
    const wanted = (share: number): Want[] => {
      const wants: Want[] = [
        { kind: 'rate', key: '{a}:r', amount: whole(limits.rate * share), limit: limits.rate, windowMs: 1_000 },
        { kind: 'lease', key: '{a}:l', limit: limits.lease, ttlMs: 1_500 },
        { kind: 'sum', key: '{a}:s', amount: whole(limits.sum * share), limit: limits.sum, ttlMs: 2_500 },
      ]
      return wants.filter(() => random() < 0.8)
    }
    const used = (want: Want, share: number): Want =>
      want.kind === 'lease' ? want : { ...want, amount: whole(want.amount * share) }
    const paysNothing = random() < 0.5
    const holders: { readonly id: string; readonly wants: readonly Want[]; readonly answer: unknown }[] = []

    for (let at = 0; at < 25; at++) {
      const action = random()
      if (action < 0.25) passedMs += whole(900)
      else if (action < 0.4 && holders.length > 0) {
        const { id, wants, answer } = holders[whole(holders.length - 1)]!
        assert.deepEqual(await store.take(id, wants), answer, `the same taker again, ${where}`)
      } else if (action < 0.6 && holders.length > 0) {
        const [{ id, wants }] = holders.splice(whole(holders.length - 1), 1) as [(typeof holders)[number]]
        const finals = wants.map(want => used(want, paysNothing ? 0 : 1.3))
        for (let times = 1 + whole(1); times > 0; times--) await store.settle(id, finals)
        book.settle(id, finals)
      } else {
        const id = `${sequence}:${at}`
        const wants = wanted(0.7)
        const amountOf = (want: Want) => (want.kind === 'lease' ? 1 : want.amount)
        const misfit = wants.findIndex(want => want.limit - book.used(want) < amountOf(want))
        const answer = await store.take(id, wants)
        if (!answer.ok) {
          assert.equal(answer.want, misfit, where)
          refusals++
        } else {
          assert.equal(misfit, -1, where)
          book.take(id, wants)
          const left = wants.map(want => want.limit - book.used(want))
          for (const [each, remaining] of answer.remaining.entries()) {
            assert.ok(Math.abs(remaining - left[each]!) < 1e-6 && remaining >= 0, `${remaining} of ${left[each]} left, ${where}`)
          }
          holders.push({ id, wants, answer })
        }
      }
    }
    for (const { id, wants } of holders) {
      await store.settle(
        id,
        wants.map(want => used(want, 0)),
      )
    }
    if (paysNothing) {
      for (let lease = 0; lease < limits.lease; lease++) {
        assert.equal(
          (await store.take(`last ${lease}`, [{ kind: 'lease', key: '{a}:l', limit: limits.lease, ttlMs: 1_500 }])).ok,
          true,
          where,
        )
      }
      const everything: readonly Want[] = [
        { kind: 'rate', key: '{a}:r', amount: limits.rate, limit: limits.rate, windowMs: 1_000 },
        { kind: 'sum', key: '{a}:s', amount: limits.sum, limit: limits.sum, ttlMs: 2_500 },
      ]
      assert.deepEqual(await store.take('last', everything), { ok: true, remaining: [0, 0] }, where)
    }
    await store.close()
  }
  assert.ok(refusals > 2_000, `only ${refusals} refusals: the limits were hardly met; SEED=${seed}`)
})
