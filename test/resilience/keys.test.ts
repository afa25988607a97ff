import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Fault, type FaultDetails, type FaultName } from '../../src/core/fault.ts'
import type { Store } from '../../src/core/store.ts'
import { type HeldKey, type KeyChoiceRule, type KeyConfig, type Keys, keys } from '../../src/resilience/keys.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { heldClock, settled } from '../support/clock.ts'
import { deadStore, flaky, mute, overheard } from './stores.ts'

const P = 'provider'
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const key = (name: string, more: Partial<KeyConfig> = {}): KeyConfig => ({ name, value: `secret-of-${name}`, weight: 1, ...more })

interface Options {
  readonly choice?: KeyChoiceRule
  readonly random?: () => number
  readonly wrap?: (store: Store) => Store
}

function replicas(
  configured: readonly KeyConfig[],
  { choice = 'least_used', random = Math.random, wrap = store => store }: Options = {},
) {
  const clock = heldClock()
  const store = wrap(embeddedStore(clock))
  const changes: string[] = []
  const replica = (pool = configured): Keys =>
    keys({
      store,
      clock,
      random,
      pools: new Map([[P, { choice, keys: pool }]]),
      onChange: (provider, name, to) => changes.push(`${provider} ${name} ${to}`),
    })
  return { clock, store, changes, replica, a: replica(), b: replica() }
}

async function taken(of: Keys, tokens = 0): Promise<HeldKey> {
  const result = await of.choose(P, tokens)
  assert.ok('key' in result, `no key; the first comes back at ${'retryAtMs' in result ? result.retryAtMs : '?'}`)
  return result.key
}

/** The moment that choosing tells when it finds no key; fails when it finds one. */
async function comesBack(of: Keys, tokens = 0): Promise<number | undefined> {
  const result = await of.choose(P, tokens)
  assert.ok(!('key' in result), `found ${'key' in result ? result.key.name : ''}`)
  return result.retryAtMs
}

/** Takes a key and says what came of it. */
async function fails(of: Keys, kind: FaultName, details: FaultDetails = {}): Promise<string> {
  const held = await taken(of)
  held.release({ fault: new Fault(kind, details) })
  await settled()
  return held.name
}

const states = (of: Keys) => of.status(P).map(({ name, state }) => `${name} ${state}`)

async function names(of: Keys, times: number): Promise<string[]> {
  const found: string[] = []
  for (let call = 0; call < times; call++) {
    const held = await taken(of)
    held.release({ accepted: true })
    found.push(held.name)
  }
  return found
}

test('a key without limits is given at once, with its value', () => {
  const { a } = replicas([key('one')])
  const result = a.choose(P, 1_000)
  assert.ok(!(result instanceof Promise) && 'key' in result)
  assert.equal(result.key.name, 'one')
  assert.equal(result.key.value, 'secret-of-one')
  assert.deepEqual(a.status(P), [{ name: 'one', state: 'ready', inFlight: 1 }])
  result.key.release({ accepted: true })
  result.key.release({ accepted: true })
  assert.deepEqual(a.status(P), [{ name: 'one', state: 'ready', inFlight: 0 }])
  assert.equal(a.size(P), 1)
})

test('least_used gives the key with the fewest calls under way for its weight; of equals, the one that waited longest', async () => {
  const { a } = replicas([key('one'), key('two', { weight: 2 })])
  const held: HeldKey[] = []
  for (let call = 0; call < 6; call++) held.push(await taken(a))
  assert.equal(held.filter(({ name }) => name === 'two').length, 4)
  for (const each of held.filter(({ name }) => name === 'one')) each.release({ accepted: true })
  assert.equal((await taken(a)).name, 'one')

  const equal = replicas([key('one'), key('two'), key('three')])
  assert.deepEqual(await names(equal.a, 6), ['one', 'two', 'three', 'one', 'two', 'three'])
})

test('round_robin gives one after the other, however busy they are', async () => {
  const { a } = replicas([key('one'), key('two'), key('three')], { choice: 'round_robin' })
  const held: HeldKey[] = []
  for (let call = 0; call < 7; call++) held.push(await taken(a))
  assert.deepEqual(
    held.map(({ name }) => name),
    ['one', 'two', 'three', 'one', 'two', 'three', 'one'],
  )
  held[1]!.release({ fault: new Fault('upstream-rate-limited', { retryAfterMs: 1_000 }) })
  assert.deepEqual(await names(a, 4), ['three', 'one', 'three', 'one'])
})

test('weighted draws by weight', async () => {
  const { a } = replicas([key('one'), key('two', { weight: 3 }), key('three', { weight: 6 })], {
    choice: 'weighted',
    random: seededRandom(7),
  })
  const found = await names(a, 20_000)
  for (const [name, share] of [
    ['one', 0.1],
    ['two', 0.3],
    ['three', 0.6],
  ] as const) {
    const drawn = found.filter(each => each === name).length / found.length
    assert.ok(Math.abs(drawn - share) < 0.015, `${name}: ${drawn}, not ${share}`)
  }
})

test('a key that is told to wait rests as long as it was told, at every replica, and no other does', async () => {
  const { a, b, clock, changes } = replicas([key('one'), key('two')])
  const rested = await fails(a, 'upstream-rate-limited', { retryAfterMs: 7_000 })
  assert.deepEqual(states(a), states(b))
  assert.deepEqual(states(a), [`one resting`, 'two ready'])
  assert.deepEqual(changes, [`${P} ${rested} resting`])
  assert.deepEqual(new Set([...(await names(a, 4)), ...(await names(b, 4))]), new Set(['two']))
  await clock.pass(6_999)
  assert.equal(states(b)[0], 'one resting')
  await clock.pass(1)
  assert.deepEqual(states(a), ['one ready', 'two ready'])
  assert.ok((await names(b, 4)).includes('one'))
})

test('rests that nobody told grow from 5 seconds to a minute, until an answer is accepted', async () => {
  const { a, clock } = replicas([key('one')])
  for (const restMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
    await fails(a, 'upstream-rate-limited')
    assert.equal(await comesBack(a), clock.now() + restMs)
    await clock.pass(restMs)
  }
  assert.deepEqual(await names(a, 1), ['one'])
  await fails(a, 'upstream-rate-limited')
  assert.equal(await comesBack(a), clock.now() + 5_000)
})

test('calls that were under way together are one reason to rest, not several', async () => {
  const { a, clock } = replicas([key('one')])
  const held = await Promise.all(Array.from({ length: 5 }, () => taken(a)))
  for (const each of held) each.release({ fault: new Fault('upstream-rate-limited') })
  assert.equal(await comesBack(a), clock.now() + 5_000)
  await clock.pass(5_000)
  await fails(a, 'upstream-rate-limited')
  assert.equal(await comesBack(a), clock.now() + 10_000)
})

test('of two told rests the longer one holds', async () => {
  const { a, clock } = replicas([key('one')])
  const held = await Promise.all([taken(a), taken(a), taken(a)])
  for (const [at, retryAfterMs] of [5_000, 20_000, 1_000].entries()) {
    held[at]!.release({ fault: new Fault('upstream-rate-limited', { retryAfterMs }) })
  }
  assert.equal(await comesBack(a), clock.now() + 20_000)
})

test('a success that was under way does not end a rest', async () => {
  const { a, b, clock } = replicas([key('one')])
  const [early, late] = [await taken(a), await taken(a)]
  early.release({ fault: new Fault('upstream-rate-limited', { retryAfterMs: 20_000 }) })
  late.release({ accepted: true })
  await settled()
  assert.equal(await comesBack(a), clock.now() + 20_000)
  assert.equal(await comesBack(b), clock.now() + 20_000)
})

test('a key whose quota is used up rests for an hour, or longer when told', async () => {
  for (const [retryAfterMs, restMs] of [
    [undefined, HOUR_MS],
    [1_000, HOUR_MS],
    [2 * HOUR_MS, 2 * HOUR_MS],
  ] as const) {
    const { a, clock } = replicas([key('one')])
    await fails(a, 'upstream-quota-exhausted', retryAfterMs === undefined ? {} : { retryAfterMs })
    assert.equal(await comesBack(a), clock.now() + restMs)
    await clock.pass(restMs)
    assert.deepEqual(states(a), ['one ready'])
  }
})

test('the keys of one account rest together', async () => {
  const { a, b } = replicas([
    key('one', { quotaGroup: 'org' }),
    key('two', { quotaGroup: 'org' }),
    key('three', { quotaGroup: 'else' }),
    key('four'),
  ])
  assert.equal(await fails(a, 'upstream-quota-exhausted'), 'one')
  const expected = ['one resting', 'two resting', 'three ready', 'four ready']
  assert.deepEqual(states(a), expected)
  assert.deepEqual(states(b), expected)
  assert.deepEqual(new Set(await names(b, 4)), new Set(['three', 'four']))
})

test('a refused key is retired alone, and one of its account that rests longer is left as it is', async () => {
  const { a, clock } = replicas([key('one', { quotaGroup: 'org' }), key('two', { quotaGroup: 'org' })])
  await fails(a, 'upstream-refused-key')
  assert.deepEqual(states(a), ['one retired', 'two ready'])
  a.set(P, 'two', 'resting', 10_000)
  await clock.pass(10_000)
  await fails(a, 'upstream-rate-limited', { retryAfterMs: 3_000 })
  assert.deepEqual(states(a), ['one retired', 'two resting'], 'a rest does not unretire')
})

test('only faults of the key make it rest or retire', async () => {
  const { a, changes } = replicas([key('one')])
  const harmless: FaultName[] = [
    'upstream-refused-call',
    'context-too-long',
    'content-filtered',
    'upstream-error',
    'upstream-timeout',
    'client-gone',
  ]
  for (const kind of harmless) await fails(a, kind)
  assert.deepEqual(states(a), ['one ready'])
  assert.deepEqual(changes, [])
})

test('without a ready key the first moment at which one returns is told', async () => {
  const { a, clock } = replicas([key('one'), key('two'), key('three')])
  a.set(P, 'one', 'resting', 30_000)
  a.set(P, 'two', 'resting', 9_000)
  a.set(P, 'three', 'retired')
  assert.equal(await comesBack(a), clock.now() + 9_000)
  assert.equal(a.anyReady(P), false)
  await clock.pass(9_000)
  assert.equal(a.anyReady(P), true)
  assert.equal((await taken(a)).name, 'two')
})

test('a retired key is tried again after ten minutes, by one call over all replicas', async () => {
  const { a, b, clock } = replicas([key('one')])
  await fails(a, 'upstream-refused-key')
  assert.equal(await comesBack(b), clock.now() + 10 * MINUTE_MS)
  await clock.pass(10 * MINUTE_MS - 1)
  await comesBack(a)
  await clock.pass(1)
  const results = await Promise.all([a, b, a, b, b].map(each => each.choose(P, 0)))
  const found = results.flatMap(result => ('key' in result ? [result.key] : []))
  assert.equal(found.length, 1)
  assert.deepEqual(states(a), ['one retired'], 'until it has been accepted')
  found[0]!.release({ fault: new Fault('upstream-refused-key') })
  await settled()
  assert.equal(await comesBack(a), clock.now() + 10 * MINUTE_MS)
  assert.equal(await comesBack(b), clock.now() + 10 * MINUTE_MS)
})

test('a retired key that is accepted on trial is ready again for all', async () => {
  const { a, b, clock, changes } = replicas([key('one')])
  await fails(a, 'upstream-refused-key')
  await clock.pass(10 * MINUTE_MS)
  const trial = await taken(b)
  trial.release({ accepted: true })
  await settled()
  assert.deepEqual([...states(a), ...states(b)], ['one ready', 'one ready'])
  assert.deepEqual(changes, [`${P} one retired`, `${P} one ready`])
  await taken(a)
})

test('a trial that shows nothing is made again a minute later', async () => {
  const { a, b, clock } = replicas([key('one')])
  await fails(a, 'upstream-refused-key')
  await clock.pass(10 * MINUTE_MS)
  const trial = await taken(a)
  trial.release({})
  await comesBack(b)
  await clock.pass(MINUTE_MS)
  await taken(b)
})

test('a trial is made though other keys are ready, and takes one call only', async () => {
  const { a, clock } = replicas([key('one'), key('two')])
  assert.equal(await fails(a, 'upstream-refused-key'), 'one')
  assert.deepEqual(await names(a, 3), ['two', 'two', 'two'])
  await clock.pass(10 * MINUTE_MS)
  const held = [await taken(a), await taken(a), await taken(a)]
  assert.deepEqual(
    held.map(({ name }) => name),
    ['one', 'two', 'two'],
  )
})

test('a new value is a new key', async () => {
  const { a, replica, clock } = replicas([key('one'), key('two')])
  await fails(a, 'upstream-refused-key')
  const same = replica([key('one'), key('two')])
  const changed = replica([key('one', { value: 'another' }), key('two')])
  await clock.pass(5_000)
  assert.deepEqual(states(same), ['one retired', 'two ready'])
  assert.deepEqual(states(changed), ['one ready', 'two ready'])
})

test('an operator makes keys rest, retires and restores them, for every replica', async () => {
  const { a, b, clock, changes } = replicas([key('one')])
  assert.equal(a.set(P, 'none', 'ready'), false)
  assert.equal(a.set('nobody', 'one', 'ready'), false)

  assert.equal(a.set(P, 'one', 'resting', 90_000), true)
  await settled()
  assert.equal(await comesBack(b), clock.now() + 90_000)
  assert.equal(a.set(P, 'one', 'resting'), true)
  assert.equal(await comesBack(a), clock.now() + HOUR_MS)

  assert.equal(b.set(P, 'one', 'retired'), true)
  await settled()
  assert.deepEqual(a.status(P), [{ name: 'one', state: 'retired', inFlight: 0 }])
  await clock.pass(24 * HOUR_MS)
  assert.equal(await comesBack(a), undefined, 'until an operator restores it')

  assert.equal(a.set(P, 'one', 'ready'), true)
  await settled()
  assert.deepEqual(states(b), ['one ready'])
  await taken(b)
  assert.deepEqual(changes, [`${P} one resting`, `${P} one resting`, `${P} one retired`, `${P} one ready`])
})

test('what an operator retired is not restored by a call that was under way', async () => {
  const { a } = replicas([key('one')])
  const early = await taken(a)
  a.set(P, 'one', 'retired')
  early.release({ accepted: true })
  assert.deepEqual(states(a), ['one retired'])
})

test('a key at its concurrency is passed over and free again as soon as it is given back', async () => {
  const { a, b } = replicas([key('one', { concurrency: 2 }), key('two', { concurrency: 1 })], { choice: 'round_robin' })
  const held = [await taken(a), await taken(b), await taken(a)]
  assert.deepEqual(held.map(({ name }) => name).sort(), ['one', 'one', 'two'])
  await comesBack(a)
  await comesBack(b)
  held.find(({ name }) => name === 'two')!.release({})
  await settled()
  assert.equal((await taken(b)).name, 'two')
})

test('a key at its calls per minute is passed over until the window has moved on', async () => {
  const { a, clock } = replicas([key('one', { rpm: 2 }), key('two', { rpm: 3 })])
  assert.deepEqual((await names(a, 5)).sort(), ['one', 'one', 'two', 'two', 'two'])
  const atMs = await comesBack(a)
  assert.ok(atMs !== undefined && atMs > clock.now() && atMs <= clock.now() + 2 * MINUTE_MS)
  await clock.pass(atMs - clock.now())
  await taken(a)
})

test('a limit of tokens is reserved by the estimate and settled by what was used', async () => {
  const { a } = replicas([key('one', { tpm: 1_000 })])
  const held = await taken(a, 900)
  await comesBack(a, 200)
  held.release({ accepted: true, tokens: 100 })
  await settled()
  const large = await taken(a, 900)
  await comesBack(a, 1)
  large.release({ fault: new Fault('upstream-error') })
  await settled()
  await comesBack(a, 1)
})

test('what was used beyond the estimate is held against the next call', async () => {
  const { a } = replicas([key('one', { tpm: 1_000 })])
  const held = await taken(a, 100)
  held.release({ accepted: true, tokens: 1_500 })
  await settled()
  await comesBack(a, 100)
})

test('a call larger than the whole limit of tokens passes when nothing else does', async () => {
  const { a } = replicas([key('one', { tpm: 1_000 })])
  const held = await taken(a, 50_000)
  await comesBack(a, 1)
  held.release({ accepted: true, tokens: 0 })
  await settled()
  await taken(a, 50_000)
})

test('calls that arrive together are spread over keys with limits, too', async () => {
  for (const choice of ['least_used', 'round_robin'] as const) {
    const { a } = replicas([key('one', { concurrency: 10 }), key('two', { concurrency: 10 })], { choice })
    const held = await Promise.all(Array.from({ length: 6 }, () => taken(a)))
    assert.equal(held.filter(({ name }) => name === 'one').length, 3, choice)
    for (const each of held) each.release({ accepted: true })
    assert.deepEqual(
      a.status(P).map(({ inFlight }) => inFlight),
      [0, 0],
    )
  }
})

test('a refusal by one key’s limits leaves no call under way behind', async () => {
  const { a } = replicas([key('one', { concurrency: 1 })])
  const held = await taken(a)
  for (let call = 0; call < 5; call++) await comesBack(a)
  assert.equal(a.status(P)[0]!.inFlight, 1)
  held.release({})
  assert.equal(a.status(P)[0]!.inFlight, 0)
})

test('when announcements are lost, another replica sees a rest within five seconds', async () => {
  const { a, b, clock } = replicas([key('one')], { wrap: mute })
  await fails(a, 'upstream-rate-limited', { retryAfterMs: MINUTE_MS })
  assert.deepEqual(states(b), ['one ready'])
  await clock.pass(5_000)
  assert.deepEqual(states(b), ['one resting'])
})

test('no value of a key, nor its plain hash, is ever told to the store', async () => {
  let said = () => ''
  const configured = [key('one', { rpm: 10, tpm: 1_000, concurrency: 3 }), key('two', { quotaGroup: 'org' })]
  const { a, clock } = replicas(configured, {
    wrap(store) {
      const recorded = overheard(store)
      said = recorded.said
      return recorded.store
    },
  })
  for (let round = 0; round < 3; round++) {
    for (const kind of ['upstream-rate-limited', 'upstream-refused-key', 'upstream-quota-exhausted'] as const) {
      await fails(a, kind, { detail: 'Incorrect API key provided: secret-of-one', message: 'secret-of-two' })
      a.set(P, 'one', 'ready')
      a.set(P, 'two', 'ready')
    }
    await names(a, 3)
    await clock.pass(11 * MINUTE_MS)
  }
  for (const name of ['"write"', '"take"', '"settle"', '"announce"', '"forget"', '"read"']) assert.ok(said().includes(name), name)
  for (const { value } of configured) {
    assert.ok(!said().includes(value), 'the value itself')
    for (const form of ['hex', 'base64'] as const) assert.ok(!said().includes(Buffer.from(value).toString(form)), form)
    assert.ok(
      !said().includes(createHash('sha256').update(value).digest('hex').slice(0, 16)),
      'a hash that tables of hashes know',
    )
  }
})

test('garbage in the store is a ready key', async () => {
  let said = () => ''
  const { a, store, clock } = replicas([key('one')], {
    wrap(inner) {
      const recorded = overheard(inner)
      said = recorded.said
      return recorded.store
    },
  })
  await clock.pass(5_000)
  const [, stored] = /\["read",\["(key:[^"]+)"\]\]/.exec(said())!
  await store.write(stored!, '{"is":"retired","untilMs":null}', HOUR_MS)
  await clock.pass(5_000)
  assert.deepEqual(states(a), ['one retired'], 'this is the key of the store that counts')
  for (const garbage of ['null', '42', '{}', '{"is":"resting","untilMs":null}', '{"is":"tired","untilMs":1}', 'nonsense']) {
    await store.write(stored!, garbage, HOUR_MS)
    await clock.pass(5_000)
    assert.deepEqual(states(a), ['one ready'], garbage)
    await names(a, 1)
  }
})

test('with a store that rejects everything nothing throws: states are kept here, limits are left to the provider', async () => {
  const { a, clock } = replicas([key('one', { rpm: 1, concurrency: 1, tpm: 10 }), key('two')], {
    wrap: () => deadStore(),
    choice: 'round_robin',
  })
  assert.deepEqual(await names(a, 4), ['one', 'two', 'one', 'two'])
  await fails(a, 'upstream-rate-limited', { retryAfterMs: 5_000 })
  await fails(a, 'upstream-refused-key')
  assert.deepEqual(states(a), ['one resting', 'two retired'])
  assert.equal(await comesBack(a), clock.now() + 5_000)
  await clock.pass(10 * MINUTE_MS)
  assert.deepEqual(await names(a, 2), ['one', 'one'], 'a trial needs the store')
  assert.equal(a.set(P, 'two', 'ready'), true)
  assert.deepEqual(states(a), ['one ready', 'two ready'])
  a.close()
})

test('what was taken while the store was away is given back without a word', async () => {
  let away = false
  const { a } = replicas([key('one', { concurrency: 1 })], { wrap: store => flaky(store, () => away) })
  const first = await taken(a)
  away = true
  const second = await taken(a)
  away = false
  second.release({})
  await comesBack(a)
  first.release({})
  await settled()
  await taken(a)
})

test('keys of another configuration keep load and state where they are the same, and a new value is a new key', async () => {
  const { a, clock } = replicas([key('one'), key('two')])
  const held = await taken(a)
  assert.equal(held.name, 'one')
  a.set(P, 'two', 'retired')
  const b = a.over(new Map([[P, { choice: 'least_used', keys: [key('renamed', { value: 'secret-of-one' }), key('two')] }]]))
  assert.deepEqual(
    b.status(P).map(({ name, state, inFlight }) => [name, state, inFlight]),
    [
      ['renamed', 'ready', 1],
      ['two', 'retired', 0],
    ],
  )
  held.release({ accepted: true })
  assert.equal(b.status(P)[0]!.inFlight, 0)
  const c = b.over(new Map([[P, { choice: 'least_used', keys: [key('two', { value: 'another secret' })] }]]))
  assert.equal(c.status(P)[0]!.state, 'ready')
  // Calls that began before go on with the keys that there were.
  assert.deepEqual([a.size(P), b.size(P), c.size(P)], [2, 2, 1])
  assert.equal((await taken(a)).name, 'one')
  const d = c.over(new Map())
  assert.deepEqual(d.status(P), [])
  assert.equal((await taken(b)).name, 'renamed')
  await clock.pass(0)
})
