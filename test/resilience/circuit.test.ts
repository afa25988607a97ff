import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/core/store.ts'
import { type CircuitPolicy, type Circuits, circuits, type Permit } from '../../src/resilience/circuit.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { heldClock, settled } from '../support/clock.ts'
import { deadStore, flaky, mute } from './stores.ts'

const T = 'provider/model'
const OPEN_MS = 10_000
const POLICY: CircuitPolicy = {
  failures: 3,
  ratio: 0.5,
  minCalls: 10,
  windowMs: 30_000,
  openMs: OPEN_MS,
  openMaxMs: 35_000,
  probes: 3,
  rampMs: 30_000,
}
/** The middle of the jitter: an opening is as long as it says. */
const MIDDLE = () => 0.5

interface Options {
  readonly policy?: Partial<CircuitPolicy>
  readonly random?: () => number
  readonly wrap?: (store: Store) => Store
}

function replicas({ policy, random = MIDDLE, wrap = store => store }: Options = {}) {
  const clock = heldClock()
  const store = wrap(embeddedStore(clock))
  const changes: string[] = []
  const replica = (name: string) =>
    circuits({
      store,
      clock,
      random,
      policyOf: () => ({ ...POLICY, ...policy }),
      onChange: (target, to) => changes.push(`${name} ${target} ${to}`),
    })
  return { clock, store, changes, a: replica('a'), b: replica('b') }
}

async function permit(of: Circuits, target = T): Promise<Permit | undefined> {
  const admission = await of.admit(target)
  return 'permit' in admission ? admission.permit : undefined
}

async function granted(of: Circuits, target = T): Promise<Permit> {
  const found = await permit(of, target)
  assert.ok(found !== undefined, `${target} is ${of.state(target)} and lets nobody through`)
  return found
}

/** Calls one after the other: `.` succeeds, `x` fails. */
async function calls(of: Circuits, outcomes: string): Promise<void> {
  for (const outcome of outcomes) of.report(await granted(of), outcome === '.')
}

async function halfOpen({ clock, a }: ReturnType<typeof replicas>): Promise<void> {
  await calls(a, 'xxx')
  await clock.pass(OPEN_MS)
  assert.equal(a.state(T), 'half-open')
}

/** Everybody that is let through now. */
async function allLetThrough(...all: readonly Circuits[]): Promise<Permit[]> {
  const permits: Permit[] = []
  for (let round = 0; round < 5; round++) {
    const admissions = await Promise.all(all.map(each => each.admit(T)))
    for (const admission of admissions) if ('permit' in admission) permits.push(admission.permit)
  }
  return permits
}

test('a circuit that nobody knows is closed, says so at once and lets everybody through', () => {
  const { a } = replicas()
  for (let call = 0; call < 100; call++) assert.deepEqual(a.admit(T), { permit: { target: T, kind: 'closed', epoch: 0 } })
  assert.equal(a.state(T), 'closed')
  assert.equal(a.ramp(T), 1)
  assert.equal(a.opensAtMs(T), 0)
})

test('it opens after so many failures in a row and says when it lets somebody try', async () => {
  const { a, clock, changes } = replicas()
  await calls(a, 'xx')
  assert.equal(a.state(T), 'closed')
  await calls(a, 'x')
  assert.equal(a.state(T), 'open')
  assert.deepEqual(a.admit(T), { retryAtMs: clock.now() + OPEN_MS })
  assert.equal(a.opensAtMs(T), clock.now() + OPEN_MS)
  assert.deepEqual(changes, [`a ${T} open`])
})

test('circuits are one per target', async () => {
  const { a } = replicas()
  await calls(a, 'xxx')
  assert.ok(await permit(a, 'provider/other'))
})

test('a success begins the row again', async () => {
  const { a } = replicas({ policy: { ratio: 1 } })
  await calls(a, 'xx.xx.xx')
  assert.equal(a.state(T), 'closed')
  await calls(a, 'x')
  assert.equal(a.state(T), 'open')
})

test('what an attempt did not show does not count', async () => {
  const { a } = replicas()
  for (let call = 0; call < 10; call++) a.release(await granted(a))
  await calls(a, 'xx')
  a.release(await granted(a))
  await calls(a, 'x')
  assert.equal(a.state(T), 'open', 'a released call is no success that begins the row again')
})

test('it opens when the share of failures is reached, not before there are enough calls', async () => {
  const { a } = replicas()
  await calls(a, 'x.x.x.x.')
  assert.equal(a.state(T), 'closed', 'half of 8 calls, where 10 are needed')
  await calls(a, '.')
  assert.equal(a.state(T), 'closed')
  await calls(a, 'x')
  assert.equal(a.state(T), 'open', '5 of 10 calls')
})

test('a share below the ratio does not open it', async () => {
  const { a } = replicas()
  for (let round = 0; round < 100; round++) await calls(a, 'x..x.')
  assert.equal(a.state(T), 'closed')
})

test('what left the window does not count for the share', async () => {
  const { a, clock } = replicas()
  await calls(a, 'x.x.x.x.')
  await clock.pass(POLICY.windowMs + 1)
  await calls(a, '.x')
  assert.equal(a.state(T), 'closed', 'these 2 calls are alone in the window')
  await calls(a, '.x.x.x')
  await clock.pass(POLICY.windowMs / 2)
  await calls(a, '.x')
  assert.equal(a.state(T), 'open', '5 of 10 calls within the window')
})

test('the window slides: what happened at its beginning leaves first', async () => {
  const { a, clock } = replicas({ policy: { failures: 100 } })
  await calls(a, 'xxxx')
  await clock.pass(20_000)
  await calls(a, '.....')
  await clock.pass(15_000)
  await calls(a, 'xxxx')
  assert.equal(a.state(T), 'closed', '4 of 9 calls')
  await calls(a, 'x')
  assert.equal(a.state(T), 'open', '5 of 10 calls')
})

test('an opening is as long as the policy says, a tenth more or less', async () => {
  for (const [random, expected] of [
    [0, 0.9],
    [0.5, 1],
    [1 - 2 ** -53, 1.1],
  ] as const) {
    const { a, clock } = replicas({ random: () => random })
    await calls(a, 'xxx')
    assert.ok(Math.abs(a.opensAtMs(T) - clock.now() - expected * OPEN_MS) <= 1)
  }
})

test('half-open lets exactly so many calls through, over all replicas, and the others are told to come back', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, clock } = all
  assert.equal((await allLetThrough(a, b)).length, POLICY.probes)
  for (const replica of [a, b]) {
    const admission = await replica.admit(T)
    assert.ok(!('permit' in admission))
    assert.ok(admission.retryAtMs! > clock.now() && admission.retryAtMs! <= clock.now() + 1_000)
  }
  // A probe that succeeds makes no room for another.
  await clock.pass(1_000)
  assert.equal((await allLetThrough(a, b)).length, 0)
})

test('many that come at once get no more probes than there are', async () => {
  const all = replicas()
  await halfOpen(all)
  const admissions = await Promise.all(Array.from({ length: 50 }, (_, at) => (at % 2 ? all.a : all.b).admit(T)))
  assert.equal(admissions.filter(admission => 'permit' in admission).length, POLICY.probes)
})

test('a probe that has succeeded makes no room for another', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, clock } = all
  const permits = await allLetThrough(a)
  a.report(permits[0]!, true)
  await clock.pass(1_000)
  assert.equal(a.state(T), 'half-open')
  assert.equal((await allLetThrough(a)).length, 0)
})

test('it closes when all the probes have succeeded, whichever replica made them', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, changes, clock } = all
  const probes = [await granted(a), await granted(b), await granted(b)]
  a.report(probes[0]!, true)
  b.report(probes[1]!, true)
  await settled()
  assert.equal(a.state(T), 'half-open')
  b.report(probes[2]!, true)
  await settled()
  assert.deepEqual([a.state(T), b.state(T)], ['closed', 'closed'])
  assert.deepEqual(changes, [`a ${T} open`, `a ${T} half-open`, `b ${T} closed`])
  // Counting begins anew: two failures are not three.
  await calls(a, 'xx')
  await clock.pass(1)
  assert.equal(a.state(T), 'closed')
})

test('one probe that fails opens it for twice as long, again and again, up to the longest', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, clock } = all
  for (const expected of [20_000, 35_000, 35_000]) {
    const [first, second] = [await granted(a), await granted(b)]
    b.report(second, true)
    a.report(first, false)
    assert.equal(a.state(T), 'open')
    assert.equal(a.opensAtMs(T) - clock.now(), expected)
    await settled()
    assert.equal(b.opensAtMs(T), a.opensAtMs(T))
    await clock.pass(expected)
    assert.equal(a.state(T), 'half-open')
  }
})

test('what it counts of probes, it counts anew in each opening', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, clock } = all
  const first = await allLetThrough(a)
  a.report(first[0]!, true)
  a.report(first[1]!, true)
  await settled()
  a.report(first[2]!, false)
  await clock.pass(20_000)
  const second = await allLetThrough(a)
  assert.equal(second.length, POLICY.probes)
  a.report(second[0]!, true)
  await settled()
  assert.equal(a.state(T), 'half-open')
})

test('after closing it opens for the first length again', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, clock } = all
  a.report(await granted(a), false)
  await clock.pass(20_000)
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await settled()
  assert.equal(a.state(T), 'closed')
  await calls(a, 'xxx')
  assert.equal(a.opensAtMs(T) - clock.now(), OPEN_MS)
})

test('a probe that showed nothing is free again, at any replica', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, clock } = all
  const permits = await allLetThrough(a)
  a.release(permits[0]!)
  await settled()
  assert.equal((await allLetThrough(a)).length, 1)
  a.release(permits[1]!)
  await clock.pass(600)
  assert.equal((await allLetThrough(b)).length, 1)
})

test('a probe that is given back late frees only itself', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, clock } = all
  const late = await allLetThrough(a)
  await clock.pass(31_000)
  for (const probe of late) a.release(probe)
  await clock.pass(1_000)
  assert.equal((await allLetThrough(a, b)).length, POLICY.probes)
})

test('the probes of a replica that died come free after half a minute', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, clock } = all
  assert.equal((await allLetThrough(a)).length, POLICY.probes)
  a.close()
  await clock.pass(29_000)
  assert.equal((await allLetThrough(b)).length, 0)
  await clock.pass(1_500)
  const probes = await allLetThrough(b)
  assert.equal(probes.length, POLICY.probes)
  for (const probe of probes) b.report(probe, true)
  await settled()
  assert.equal(b.state(T), 'closed')
})

test('what began before it opened changes nothing any more', async () => {
  const { a, clock } = replicas()
  const early = await Promise.all(Array.from({ length: 10 }, () => granted(a)))
  await calls(a, 'xxx')
  const opensAtMs = a.opensAtMs(T)
  await clock.pass(1_000)
  for (const late of early.slice(0, 5)) a.report(late, false)
  for (const late of early.slice(5)) a.report(late, true)
  assert.equal(a.opensAtMs(T), opensAtMs)
  assert.equal(a.state(T), 'open')
})

test('what began before it opened does not open it again after it has closed', async () => {
  const all = replicas()
  const { a, b } = all
  const early = await Promise.all(Array.from({ length: 5 }, () => granted(b)))
  await halfOpen(all)
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await settled()
  assert.equal(b.state(T), 'closed')
  for (const late of early) b.report(late, false)
  assert.equal(b.state(T), 'closed')
})

test('a probe of an older opening counts for nothing in a later one', async () => {
  for (const succeeded of [true, false]) {
    const all = replicas({ policy: { probes: 1, rampMs: 1_000 } })
    await halfOpen(all)
    const { a, b, clock } = all
    const late = await granted(a)
    await clock.pass(31_000)
    b.report(await granted(b), true)
    await settled()
    assert.equal(a.state(T), 'closed')
    await clock.pass(60_000)
    await calls(a, 'xxx')
    await clock.pass(OPEN_MS)
    a.report(late, succeeded)
    await settled()
    assert.equal(a.state(T), 'half-open', succeeded ? 'its success closed it' : 'its failure opened it')
  }
})

test('a success counted in an opening that an operator ended is not counted in the next', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, clock } = all
  const probes = await allLetThrough(a)
  a.report(probes[0]!, true)
  a.report(probes[1]!, true)
  await settled()
  a.force(T, 'closed')
  a.force(T, 'auto')
  await halfOpen(all)
  a.report(await granted(a), true)
  await clock.pass(10)
  assert.equal(a.state(T), 'half-open')
})

test('after closing, the share of traffic grows from a tenth to all of it over the ramp, at every replica', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a, b, clock } = all
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await settled()
  for (const [ms, share] of [
    [0, 0.1],
    [10_000, 0.4],
    [10_000, 0.7],
    [9_999, 1],
    [1, 1],
    [60_000, 1],
    [7_200_000, 1],
  ] as const) {
    await clock.pass(ms)
    for (const replica of [a, b]) assert.ok(Math.abs(replica.ramp(T) - share) < 0.001, `${replica.ramp(T)}, not ${share}`)
  }
})

test('without a ramp all traffic is back at once', async () => {
  const all = replicas({ policy: { rampMs: 0 } })
  await halfOpen(all)
  const { a } = all
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await settled()
  assert.equal(a.state(T), 'closed')
  assert.equal(a.ramp(T), 1)
})

test('a failure in the ramp counts like any other', async () => {
  const all = replicas()
  await halfOpen(all)
  const { a } = all
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await settled()
  await calls(a, 'xxx')
  assert.equal(a.state(T), 'open')
})

test('an operator forces it open: nobody gets through, for ever and at every replica', async () => {
  const { a, b, clock, changes } = replicas()
  const early = await granted(a)
  a.force(T, 'open')
  await settled()
  for (const replica of [a, b]) {
    assert.equal(replica.state(T), 'open')
    assert.equal(replica.forced(T), true)
    assert.equal(replica.opensAtMs(T), Number.POSITIVE_INFINITY)
    assert.deepEqual(replica.admit(T), { retryAtMs: undefined })
    assert.ok(!('permit' in (await replica.admitAsLastResort(T))))
  }
  a.report(early, true)
  await clock.pass(24 * 3_600_000)
  assert.deepEqual([a.state(T), b.state(T)], ['open', 'open'])
  assert.deepEqual(changes, [`a ${T} open`])
})

test('an operator forces it closed: no failure opens it', async () => {
  const { a, b } = replicas()
  await calls(a, 'xxx')
  b.force(T, 'closed')
  await settled()
  for (let round = 0; round < 10; round++) await calls(a, 'xxxxx')
  assert.deepEqual([a.state(T), a.forced(T)], ['closed', true])
})

test('given back, it is closed and decides by itself again', async () => {
  for (const state of ['open', 'closed'] as const) {
    const { a, b } = replicas()
    await calls(a, 'xxx')
    a.force(T, state)
    await settled()
    b.force(T, 'auto')
    await settled()
    for (const replica of [a, b]) assert.deepEqual([replica.state(T), replica.forced(T), replica.ramp(T)], ['closed', false, 1])
    await calls(a, 'xx')
    assert.equal(a.state(T), 'closed')
    await calls(a, 'x')
    assert.equal(a.state(T), 'open')
  }
})

test('to give back what nobody holds changes nothing', async () => {
  const { a } = replicas()
  a.force(T, 'auto')
  assert.equal(a.state(T), 'closed')
  await calls(a, 'xxx')
  a.force(T, 'auto')
  assert.equal(a.state(T), 'open')
})

test('the last resort is for one call at a time, over all replicas', async () => {
  const { a, b } = replicas()
  await calls(a, 'xxx')
  await settled()
  const first = await a.admitAsLastResort(T)
  assert.ok('permit' in first)
  assert.equal(first.permit.kind, 'last-resort')
  assert.deepEqual(await b.admitAsLastResort(T), { retryAtMs: a.opensAtMs(T) })
  a.report(first.permit, false)
  await settled()
  assert.equal(a.state(T), 'open')
  assert.equal(a.opensAtMs(T), b.opensAtMs(T), 'its failure does not open the circuit for longer')
  const second = await b.admitAsLastResort(T)
  assert.ok('permit' in second)
  b.release(second.permit)
  assert.ok('permit' in (await a.admitAsLastResort(T)))
})

test('who gives the last resort back late gives back only his own', async () => {
  const { a, b, clock } = replicas({ policy: { openMs: 300_000, openMaxMs: 300_000 } })
  await calls(a, 'xxx')
  const late = await a.admitAsLastResort(T)
  await clock.pass(31_000)
  assert.ok('permit' in (await b.admitAsLastResort(T)))
  if ('permit' in late) a.release(late.permit)
  await settled()
  assert.ok(!('permit' in (await a.admitAsLastResort(T))))
})

test('a last resort that succeeds lets the probes begin at once, at every replica', async () => {
  const { a, b } = replicas()
  await calls(a, 'xxx')
  await settled()
  const last = await a.admitAsLastResort(T)
  assert.ok('permit' in last)
  a.report(last.permit, true)
  await settled()
  assert.deepEqual([a.state(T), b.state(T)], ['half-open', 'half-open'])
  assert.ok(await permit(b))
})

test('another replica sees an opening as soon as it is announced', async () => {
  const { a, b } = replicas()
  await calls(a, 'xxx')
  await settled()
  assert.equal(await permit(b), undefined)
})

test('when announcements are lost, another replica sees a change within five seconds', async () => {
  const all = replicas({ wrap: mute })
  const { a, b, clock } = all
  assert.ok(await permit(b))
  await calls(a, 'xxx')
  await clock.pass(5_000)
  assert.equal(await permit(b), undefined)
  await clock.pass(5_000)
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await clock.pass(5_000)
  assert.equal(b.state(T), 'closed')
  assert.ok(b.ramp(T) < 0.5)
})

test('a replica that starts later learns within five seconds what it only asks the state of', async () => {
  const { a, b, clock } = replicas({ wrap: mute })
  a.force(T, 'open')
  b.state(T)
  await clock.pass(5_000)
  assert.equal(b.state(T), 'open')
})

test('garbage in the store is a closed circuit', async () => {
  for (const garbage of [
    'null',
    '42',
    '{}',
    '{"is":"open"}',
    '{"is":"elsewhere","epoch":1}',
    '{"is":"forced","state":"ajar","epoch":1}',
    'x',
  ]) {
    const { a, store, clock } = replicas()
    await store.write(`circuit:${T}`, garbage, 3_600_000)
    a.admit(T)
    await clock.pass(5_000)
    assert.deepEqual(a.admit(T), { permit: { target: T, kind: 'closed', epoch: 0 } }, garbage)
    assert.deepEqual([a.state(T), a.ramp(T), a.opensAtMs(T), a.forced(T)], ['closed', 1, 0, false], garbage)
  }
})

test('a model name with spaces has a circuit of its own', async () => {
  const { a, b } = replicas()
  await calls(a, 'xxx')
  await settled()
  for (let call = 0; call < 3; call++) a.report(await granted(a, `${T} x`), false)
  await settled()
  assert.deepEqual([b.state(T), b.state(`${T} x`)], ['open', 'open'])
})

test('with a store that rejects everything nothing throws, and a replica goes on by what it sees itself', async () => {
  const { a, clock } = replicas({ wrap: () => deadStore() })
  await calls(a, 'xx.xxx')
  assert.equal(a.state(T), 'open')
  assert.equal(await permit(a), undefined)
  assert.ok(!('permit' in (await a.admitAsLastResort(T))))
  await clock.pass(OPEN_MS)
  assert.equal(a.state(T), 'half-open')
  const admission = await a.admit(T)
  assert.ok(!('permit' in admission) && admission.retryAtMs! > clock.now())
  a.force(T, 'closed')
  assert.ok(await permit(a))
  a.force(T, 'auto')
  assert.equal(a.state(T), 'closed')
  await clock.pass(60_000)
  a.close()
})

test('a store that goes away in the middle of the probes costs nothing but time', async () => {
  let away = false
  const all = replicas({ wrap: store => flaky(store, () => away) })
  await halfOpen(all)
  const { a, clock } = all
  const probes = await allLetThrough(a)
  away = true
  a.report(probes[0]!, true)
  a.release(probes[1]!)
  await clock.pass(1_000)
  assert.equal(await permit(a), undefined)
  away = false
  await clock.pass(31_000)
  for (const probe of await allLetThrough(a)) a.report(probe, true)
  await settled()
  assert.equal(a.state(T), 'closed')
})

test('closing leaves no timer behind', () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  const before = clock.waiting()
  const a = circuits({ store, clock, random: MIDDLE, policyOf: () => POLICY, onChange: () => undefined })
  a.close()
  assert.equal(clock.waiting(), before)
})

test('a target that lives at another address now is closed at once, for all replicas, unless an operator holds it', async () => {
  const { a, b, changes, clock } = replicas()
  await calls(a, 'xxx')
  assert.equal(a.state(T), 'open')
  a.renew(T)
  await clock.pass(0)
  assert.deepEqual([a.state(T), b.state(T), a.ramp(T)], ['closed', 'closed', 1])
  assert.equal(changes.at(-1), `a ${T} closed`)
  await calls(a, 'xx')
  a.renew(T)
  await calls(a, 'xx.')
  assert.equal(a.state(T), 'closed', 'what was counted against the old one does not count')
  a.force(T, 'open')
  a.renew(T)
  assert.equal(a.state(T), 'open')
})
