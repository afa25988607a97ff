import assert from 'node:assert/strict'
import { test } from 'node:test'
import { levels } from '../../src/resilience/levels.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { heldClock } from '../support/clock.ts'
import { deadStore, mute } from './stores.ts'

const noted = () => {}
const RUNGS = ['reduced', 'minimal', 'cached', 'offline'] as const
const ROUTES = new Map(['r', 'a', 'b', 'c'].map(name => [name, RUNGS]))

test('nothing is set at first, and what is set ends when it was said to', async () => {
  const clock = heldClock()
  const set = levels(embeddedStore(clock), clock, ROUTES, noted)
  assert.deepEqual([set.of('r'), set.untilMs('r')], ['normal', undefined])
  set.set('r', 'offline', 1_000)
  assert.deepEqual([set.of('r'), set.untilMs('r')], ['offline', clock.now() + 1_000])
  await clock.pass(1_000)
  assert.deepEqual([set.of('r'), set.untilMs('r')], ['normal', undefined])
  set.set('r', 'reduced', undefined)
  await clock.pass(30 * 24 * 3_600_000)
  assert.deepEqual([set.of('r'), set.untilMs('r')], ['reduced', undefined])
  set.set('r', 'normal', undefined)
  assert.equal(set.of('r'), 'normal')
  set.close()
})

test('another replica hears of it at once, and within seconds when the announcement is lost', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  const one = levels(store, clock, ROUTES, noted)
  const told: unknown[] = []
  const two = levels(store, clock, ROUTES, (...change) => told.push(change))
  one.set('r', 'cached', undefined)
  await clock.pass(0)
  assert.equal(two.of('r'), 'cached')
  const quiet = levels(mute(store), clock, ROUTES, noted)
  quiet.set('r', 'offline', undefined)
  assert.equal(two.of('r'), 'cached')
  await clock.pass(4_000)
  assert.deepEqual([one.of('r'), two.of('r')], ['offline', 'offline'])
  two.set('r', 'normal', undefined)
  assert.deepEqual(told, [
    ['r', 'cached', undefined],
    ['r', 'offline', undefined],
    ['r', 'normal', undefined],
  ])
  for (const each of [one, two, quiet]) each.close()
})

test('what makes no sense is nothing, and without a store it holds here', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  for (const [name, text] of Object.entries({ a: '{"level":"low","untilMs":null}', b: '{"level":"offline"}', c: '1' })) {
    await store.write(`level:${name}`, text, 100_000)
  }
  const set = levels(store, clock, ROUTES, noted)
  await clock.pass(4_000)
  assert.deepEqual(['a', 'b', 'c'].map(set.of), ['normal', 'normal', 'normal'])
  const alone = levels(deadStore(), clock, ROUTES, noted)
  alone.set('a', 'minimal', undefined)
  assert.equal(alone.of('a'), 'minimal')
})

test('a level that the route no longer has is none', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  levels(store, clock, ROUTES, noted).set('r', 'minimal', undefined)
  const later = levels(store, clock, new Map([['r', ['offline']]]), noted)
  await clock.pass(4_000)
  assert.deepEqual([later.of('r'), later.untilMs('r')], ['normal', undefined])
})

test('what was set lives on while the route has the level, and comes back with it', () => {
  const clock = heldClock()
  const set = levels(embeddedStore(clock), clock, ROUTES, noted)
  set.set('r', 'reduced', undefined)
  set.offer(new Map([['r', ['reduced', 'offline'] as const]]))
  assert.equal(set.of('r'), 'reduced')
  set.offer(new Map([['r', ['offline'] as const]]))
  assert.equal(set.of('r'), 'normal')
  set.offer(ROUTES)
  assert.equal(set.of('r'), 'reduced')
  set.close()
})
