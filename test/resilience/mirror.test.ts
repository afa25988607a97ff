import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/core/store.ts'
import { type Mirror, mirror } from '../../src/resilience/mirror.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { heldClock, settled } from '../support/clock.ts'
import { deadStore, flaky, mute, slowPost } from './stores.ts'

const REFRESH_MS = 5_000
const LONG_MS = 3_600_000

interface Value {
  readonly at: number
}
const isValue = (value: unknown): value is Value => typeof (value as Value | null)?.at === 'number'

function replicas(wrap: (store: Store) => Store = store => store) {
  const clock = heldClock()
  const store = wrap(embeddedStore(clock))
  const changes: string[] = []
  const replica = (name: string): Mirror<Value> =>
    mirror(store, clock, 'topic', what => changes.push(`${name}: ${what}`), isValue)
  return { clock, store, changes, a: replica('a'), b: replica('b') }
}

test('a change is there at once for its own replica, and for another as soon as it is announced', async () => {
  const { a, b, changes } = replicas()
  a.set('x', { at: 1 }, LONG_MS)
  assert.deepEqual(a.get('x'), { at: 1 })
  await settled()
  assert.deepEqual(b.get('x'), { at: 1 })
  a.set('x', undefined, LONG_MS)
  assert.equal(a.get('x'), undefined)
  await settled()
  assert.equal(b.get('x'), undefined)
  assert.deepEqual(changes, ['b: x', 'b: x'])
})

test('a change whose announcement was lost is seen within five seconds by who watches the name', async () => {
  const { a, b, clock } = replicas(mute)
  b.watch('x')
  a.set('x', { at: 1 }, LONG_MS)
  await clock.pass(REFRESH_MS)
  assert.deepEqual(b.get('x'), { at: 1 })
  a.set('x', undefined, LONG_MS)
  await clock.pass(REFRESH_MS)
  assert.equal(b.get('x'), undefined)
})

test('what was only heard of disappears with its time in the store', async () => {
  const { a, b, clock } = replicas()
  a.set('x', { at: 1 }, 20_000)
  await clock.pass(19_000)
  assert.deepEqual(b.get('x'), { at: 1 })
  await clock.pass(1_000 + REFRESH_MS)
  assert.equal(b.get('x'), undefined)
  assert.equal(a.get('x'), undefined)
})

test('an own announcement that arrives late does not undo what was changed since', async () => {
  const clock = heldClock()
  const { store, deliver } = slowPost(embeddedStore(clock))
  const a = mirror<Value>(store, clock, 'topic', () => undefined, isValue)
  const b = mirror<Value>(store, clock, 'topic', () => undefined, isValue)
  a.set('x', { at: 1 }, LONG_MS)
  a.set('x', { at: 2 }, LONG_MS)
  deliver(0)
  await settled()
  assert.deepEqual(a.get('x'), { at: 2 })
  assert.deepEqual(b.get('x'), { at: 1 })
  deliver(1)
  await settled()
  assert.deepEqual(b.get('x'), { at: 2 })
})

test('two replicas that change the same name at once agree within five seconds', async () => {
  const { a, b, clock } = replicas()
  a.set('x', { at: 1 }, LONG_MS)
  b.set('x', { at: 2 }, LONG_MS)
  await clock.pass(REFRESH_MS)
  assert.deepEqual(a.get('x'), b.get('x'))
  assert.notEqual(a.get('x'), undefined)
})

test('a reading that began before a change does not undo it', async () => {
  let finish = () => {}
  const { a, clock } = replicas(store => ({
    ...store,
    async read(keys) {
      const found = await store.read(keys)
      await new Promise<void>(resolve => {
        finish = resolve
      })
      return found
    },
  }))
  a.watch('x')
  await clock.pass(4_000)
  a.set('x', { at: 1 }, LONG_MS)
  finish()
  await settled()
  assert.deepEqual(a.get('x'), { at: 1 })
})

test('names may hold anything, and none is taken for another', async () => {
  const { a, b } = replicas()
  a.set('openai/gpt', { at: 1 }, LONG_MS)
  await settled()
  for (const [at, name] of ['openai/gpt x', 'openai/gpt {"at":3}', 'two\nlines "quoted"', '\ud800'].entries()) {
    a.set(name, { at }, LONG_MS)
    await settled()
    assert.deepEqual(b.get(name), { at }, name)
    assert.deepEqual(b.get('openai/gpt'), { at: 1 }, `after ${name}`)
  }
})

test('garbage in the store or on the wire is nothing known, and a good value replaces it', async () => {
  const { a, b, store, clock } = replicas()
  a.set('kept', { at: 1 }, LONG_MS)
  for (const garbage of ['', 'nonsense', 'null', '42', '"text"', '[]', '{}', '{"at":"then"}', '{"from"']) {
    a.watch('x')
    await store.write('topic:x', garbage, LONG_MS)
    store.announce('topic', garbage)
    store.announce('topic', JSON.stringify({ from: 'else', name: 'y', text: garbage }))
    await clock.pass(REFRESH_MS)
    assert.equal(a.get('x'), undefined, garbage)
    assert.equal(a.get('y'), undefined, garbage)
    assert.deepEqual(a.get('kept'), { at: 1 })
  }
  b.set('x', { at: 2 }, LONG_MS)
  await settled()
  assert.deepEqual(a.get('x'), { at: 2 })
})

test('with a store that is away nothing throws, and what is known stays known', async () => {
  let away = false
  const { a, b, clock } = replicas(store => flaky(store, () => away))
  a.set('x', { at: 1 }, LONG_MS)
  await clock.pass(REFRESH_MS)
  away = true
  a.set('y', { at: 2 }, LONG_MS)
  a.set('z', undefined, LONG_MS)
  await clock.pass(60_000)
  assert.deepEqual([a.get('x'), b.get('x'), a.get('y')], [{ at: 1 }, { at: 1 }, { at: 2 }])
  away = false
  b.set('x', { at: 3 }, LONG_MS)
  await clock.pass(REFRESH_MS)
  assert.deepEqual(a.get('x'), { at: 3 })
})

test('names that callers make up do not gather for ever', async () => {
  const clock = heldClock()
  const asked: number[] = []
  const store: Store = {
    ...embeddedStore(clock),
    async read(keys) {
      asked.push(keys.length)
      return keys.map(() => undefined)
    },
  }
  const a = mirror<Value>(store, clock, 'topic', () => undefined, isValue)
  for (let at = 0; at < 20_000; at++) {
    a.watch(`made up ${at}`)
    a.watch('configured')
  }
  await clock.pass(REFRESH_MS)
  assert.equal(asked.length, 1)
  assert.ok(asked[0]! >= 2_500 && asked[0]! <= 5_000, `${asked[0]} names`)
  a.set('configured', { at: 1 }, LONG_MS)
  for (let at = 0; at < 20_000; at++) {
    if (at % 100 === 0) a.watch('configured')
    a.watch(`other ${at}`)
  }
  assert.deepEqual(a.get('configured'), { at: 1 })
})

test('closing ends its timer and its listening', async () => {
  const clock = heldClock()
  const store = embeddedStore(clock)
  const before = clock.waiting()
  const a = mirror<Value>(store, clock, 'topic', () => undefined, isValue)
  const b = mirror<Value>(deadStore(), clock, 'topic', () => undefined, isValue)
  b.watch('x')
  await clock.pass(9_000)
  a.close()
  b.close()
  await clock.pass(60_000)
  assert.equal(clock.waiting(), before)
  store.announce('topic', JSON.stringify({ from: 'else', name: 'x', text: '{"at":1}' }))
  await settled()
  assert.equal(a.get('x'), undefined)
})
