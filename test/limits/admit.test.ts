import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Limits } from '../../src/core/limits.ts'
import type { Store } from '../../src/core/store.ts'
import { type Ask, clientLimits, type Permit } from '../../src/limits/admit.ts'
import type { Allotment } from '../../src/limits/periods.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { heldClock, settled } from '../support/clock.ts'

const NOON = Date.parse('2026-11-27T12:00:00Z')

/** Replicas of one gateway on one store. */
function replicas(limits: Limits, budget?: Allotment, { startMs = NOON, wrap = (store: Store) => store } = {}) {
  const clock = heldClock(startMs)
  const store = embeddedStore(clock)
  let trips = 0
  const counting: Store = {
    ...store,
    take(id, wants) {
      trips++
      return store.take(id, wants)
    },
    read(keys) {
      trips++
      return store.read(keys)
    },
  }
  const met: string[] = []
  const make = () =>
    clientLimits({ store: wrap(counting), clock, client: 'team', limits, budget, onLimited: limit => met.push(limit) })
  const [a, b] = [make(), make()]
  return { clock, store, a, b, met, trips: () => trips }
}

type Replica = ReturnType<typeof replicas>['a']

/** By default a call that costs one cent at most and says so. */
const asked = (more: Partial<Ask> & { readonly most?: number; readonly least?: number } = {}): Ask => ({
  tokens: 10,
  cost: () => ({ mostUsd: more.most ?? 0.01, leastUsd: more.least ?? more.most ?? 0.01 }),
  deadlineMs: 60_000,
  ...more,
})

async function passes(replica: Replica, more?: Parameters<typeof asked>[0]): Promise<Permit> {
  const admission = await replica.admit(asked(more))
  assert.ok('permit' in admission, 'fault' in admission ? admission.fault.message : '')
  return admission.permit
}

async function refused(replica: Replica, more?: Parameters<typeof asked>[0]) {
  const admission = await replica.admit(asked(more))
  assert.ok('fault' in admission, 'it passed')
  return admission
}

test('all limits of a call are taken in one trip, or none of them', async () => {
  const { a, trips, met } = replicas({ rpm: 3, tpm: 25, concurrency: 9 }, { usd: 1, per: 'day' })
  await settled()
  const before = trips()
  await passes(a)
  await passes(a)
  assert.equal(trips() - before, 2)
  await refused(a)
  assert.deepEqual(met, ['tpm'])
  // Nothing was taken by the call that was refused: one more request fits.
  await passes(a, { tokens: 5 })
  await refused(a, { tokens: 0 })
  assert.deepEqual(met, ['tpm', 'rpm'])
})

test('the client is told when the next request fits, to the millisecond', async () => {
  const { clock, a } = replicas({ rpm: 4 })
  for (let call = 0; call < 4; call++) await passes(a)
  const { fault, headers } = await refused(a)
  assert.equal(headers['x-ratelimit-remaining-requests'], '0')
  const waitMs = fault.details.retryAfterMs!
  assert.equal(waitMs, 60_000 + 15_000)
  await clock.pass(waitMs - 1)
  await refused(a)
  await clock.pass(1)
  await passes(a)
})

test('tokens are reserved by the estimate and settled by what was used', async () => {
  const { a } = replicas({ tpm: 100 })
  const permit = await passes(a, { tokens: 90 })
  await refused(a, { tokens: 20 })
  permit.settle(30, 0)
  permit.settle(0, 0)
  await passes(a, { tokens: 70 })
  await refused(a, { tokens: 1 })
})

test('a call under way takes one place in all replicas, until it is settled or its process has died', async () => {
  const { clock, a, b } = replicas({ concurrency: 2 })
  const permit = await passes(a)
  await passes(b)
  const { fault } = await refused(a)
  assert.equal(fault.details.retryAfterMs, 1_000)
  permit.settle(0, 0)
  await passes(b)
  await refused(b)
  await clock.pass(120_000)
  await passes(a)
})

test('two calls of one id are two calls: takers are never named by the client', async () => {
  const { a, met } = replicas({ rpm: 1 })
  await Promise.all([a.admit(asked()), a.admit(asked())])
  assert.deepEqual(met, ['rpm'])
})

test('a budget lets parallel calls pass up to its last cent, over all replicas', async () => {
  const { a, b, met } = replicas({}, { usd: 0.3, per: 'day' })
  const all = await Promise.all(Array.from({ length: 1_000 }, (_, at) => (at % 2 === 0 ? a : b).admit(asked())))
  assert.equal(all.filter(admission => 'permit' in admission).length, 30)
  assert.equal(met.length, 970)
  assert.ok(met.every(limit => limit === 'budget'))
})

test('a budget says when it is renewed, and is: at midnight in UTC', async () => {
  const { clock, a } = replicas({}, { usd: 0.01, per: 'day' }, { startMs: Date.parse('2026-11-27T23:59:00.000Z') })
  await passes(a)
  const { fault } = await refused(a)
  assert.deepEqual([fault.kind, fault.code, fault.shouldRetry], ['over-budget', 'insufficient_quota', false])
  assert.equal(fault.details.retryAfterMs, 60_000)
  assert.match(fault.message, /US\$ 0\.01 a day.*renewed at 2026-11-28T00:00:00Z/)
  await clock.pass(59_999)
  await refused(a)
  await clock.pass(1)
  assert.equal(a.budget()!.remainingUsd, 0.01)
  await passes(a)
})

test('a call that ends in the next period is settled in the one in which it began', async () => {
  const { clock, store, a } = replicas({}, { usd: 1, per: 'month' }, { startMs: Date.parse('2026-11-30T23:59:59.000Z') })
  const permit = await passes(a, { most: 0.5 })
  await clock.pass(2_000)
  permit.settle(0, 0.2)
  await settled()
  const [november, december] = await store.read(['limit:{client:team}:budget:2026-11', 'limit:{client:team}:budget:2026-12'])
  assert.deepEqual([november, december], ['200000000', undefined])
  assert.deepEqual([a.budget()!.period, a.budget()!.remainingUsd], ['2026-12', 1])
})

test('what a call really cost is settled, also when that is more than was reserved', async () => {
  const { a } = replicas({}, { usd: 0.1, per: 'hour' })
  const permit = await passes(a, { most: 0.04 })
  permit.settle(0, 0.07)
  assert.equal(a.budget()!.remainingUsd, 0.03)
  await refused(a, { most: 0.04 })
  await passes(a, { most: 0.03 })
  assert.equal(a.budget()!.remainingUsd, 0)
})

test('a call that does not say how long its answer may be can use up the rest of a budget, alone', async () => {
  const { a, b } = replicas({}, { usd: 0.1, per: 'day' })
  const open = { most: 0.06, least: 0.001 }
  const first = await passes(a, open)
  const second = await passes(a, open)
  await refused(a, open)
  first.settle(0, 0.01)
  second.settle(0, 0.01)
  // The other replica knows nothing of what was spent, asks for too much, and then for what is left.
  const third = await passes(b, { most: 0.2, least: 0.001 })
  await refused(a, open)
  third.settle(0, 0.0795)
  // What is left does not pay for the prompt.
  await refused(a, open)
  await refused(b, open)
})

test('a burst after others gave their reservations back reserves in full again', async () => {
  const { a, b } = replicas({}, { usd: 1, per: 'day' })
  const large = await passes(b, { most: 0.98 })
  const small = await passes(a, { most: 0.02, least: 0.001 })
  large.settle(0, 0)
  small.settle(0, 0)
  // What this replica knows is that 0.02 US$ are left, which would be far too little to reserve for each of these.
  const burst = await Promise.all(Array.from({ length: 100 }, () => a.admit(asked({ most: 0.1, least: 0.001 }))))
  assert.equal(burst.filter(admission => 'permit' in admission).length, 10)
})

test('near the edge a call of unknown length makes a second trip, and no call a third', async () => {
  const { a, trips } = replicas({}, { usd: 0.1, per: 'day' })
  await settled()
  const tripsOf = async (check: () => Promise<unknown>) => {
    const before = trips()
    await check()
    return trips() - before
  }
  const open = { most: 0.08, least: 0.001 }
  assert.equal(await tripsOf(() => passes(a, open)), 1)
  assert.equal(await tripsOf(() => passes(a, open)), 2)
  assert.equal(await tripsOf(() => refused(a, open)), 2)
  assert.equal(await tripsOf(() => refused(a)), 1)
})

test('random calls of two replicas never overrun a budget that they state, and are refused only when it is short', async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
  const random = seededRandom(seed)
  let refusals = 0
  for (let sequence = 0; sequence < 300; sequence++) {
    const { a, b, clock } = replicas({}, { usd: 1, per: 'hour' })
    let [spent, reserved] = [0, 0]
    const open: { readonly permit: Permit; readonly most: number }[] = []
    for (let at = 0; at < 40; at++) {
      if (open.length > 0 && random() < 0.4) {
        const [{ permit, most }] = open.splice(Math.floor(random() * open.length), 1) as [(typeof open)[number]]
        const used = Math.round(random() * most)
        permit.settle(0, used / 1_000)
        spent += used
        reserved -= most
        continue
      }
      const most = 1 + Math.floor(random() * 300)
      const admission = await (random() < 0.5 ? a : b).admit(asked({ most: most / 1_000 }))
      const fits = spent + reserved + most <= 1_000
      assert.equal('permit' in admission, fits, `SEED=${seed}, sequence ${sequence}: ${spent} + ${reserved} + ${most}`)
      if ('permit' in admission) {
        open.push({ permit: admission.permit, most })
        reserved += most
      } else refusals++
    }
    await a.refresh()
    assert.ok(Math.abs(a.budget()!.usedUsd - (spent + reserved) / 1_000) < 1e-9, `SEED=${seed}`)
    assert.ok(spent + reserved <= 1_000)
    await clock.pass(0)
  }
  assert.ok(refusals > 300, `only ${refusals} refusals; SEED=${seed}`)
})

test('a call that the store counted though its answer was lost pays what it cost, once', async () => {
  const { a, store } = replicas(
    {},
    { usd: 1, per: 'day' },
    {
      wrap: inner => ({ ...inner, take: (id, wants) => inner.take(id, wants).then(() => Promise.reject(new Error('lost'))) }),
    },
  )
  const permit = await passes(a, { most: 0.5 })
  assert.equal(a.budget()!.remainingUsd, 0.5)
  permit.settle(0, 0.2)
  assert.equal(a.budget()!.remainingUsd, 0.8)
  await settled()
  assert.deepEqual(await store.read(['limit:{client:team}:budget:2026-11-27']), ['200000000'])
})

test('a store that fails lets the call pass', async () => {
  const away = () => Promise.reject(new Error('away'))
  const { a } = replicas(
    { rpm: 1 },
    { usd: 0.01, per: 'day' },
    { wrap: store => ({ ...store, take: away, read: away, settle: away }) },
  )
  for (let call = 0; call < 3; call++) {
    const permit = await passes(a)
    permit.settle(1, 0.01)
  }
})
