/*
 * What every store keeps, whatever it is made of. A store in this process may move a held clock in `passMs`; one outside of it really
 * waits, so times here are short and nothing depends on a single millisecond. Keys are new in each test: what an earlier run left behind
 * does not matter.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Store, Want } from '../../src/core/store.ts'

export interface OpenStore {
  readonly store: Store
  /** Lets time pass for the store, and messages arrive. */
  passMs(ms: number): Promise<void>
}

/** Long enough for a few round trips, short enough to wait for. */
const SHORT_MS = 60
const LONG_MS = 60_000
const WINDOW_MS = 500
/** So long that hardly ever one ends in the middle of a test. */
const DAY_MS = 86_400_000

export function storeSuite(name: string, open: () => Promise<OpenStore>): void {
  const keep = (promise: string, check: (opened: OpenStore & { key: (name: string) => string }) => Promise<void>) =>
    test(`${name}: ${promise}`, async () => {
      const opened = await open()
      const prefix = randomUUID()
      try {
        await check({ ...opened, key: part => `{${prefix}}:${part}` })
      } finally {
        await opened.store.close()
      }
    })

  const rate = (key: string, amount: number, limit: number, windowMs = DAY_MS): Want => ({
    kind: 'rate',
    key,
    amount,
    limit,
    windowMs,
  })
  const lease = (key: string, limit: number, ttlMs = LONG_MS): Want => ({ kind: 'lease', key, limit, ttlMs })
  const sum = (key: string, amount: number, limit: number, ttlMs = LONG_MS): Want => ({ kind: 'sum', key, amount, limit, ttlMs })
  const id = () => randomUUID()

  keep('values are read in the order of the keys, and undefined where there is none', async ({ store, key }) => {
    await store.write(key('a'), '1', LONG_MS)
    await store.write(key('b'), '2', LONG_MS)
    assert.deepEqual(await store.read([key('b'), key('none'), key('a'), key('b')]), ['2', undefined, '1', '2'])
    assert.deepEqual(await store.read([]), [])
  })

  keep('a value is kept as it is, the empty one too', async ({ store, key }) => {
    for (const value of ['', ' a b ', '{"ä":"☂\\n"}', 'x'.repeat(100_000)]) {
      await store.write(key('a'), value, LONG_MS)
      assert.deepEqual(await store.read([key('a')]), [value])
    }
  })

  keep('a value expires, and writing again replaces value and time', async ({ store, key, passMs }) => {
    await store.write(key('short'), 'old', SHORT_MS)
    await store.write(key('again'), 'old', SHORT_MS)
    await store.write(key('again'), 'new', LONG_MS)
    assert.deepEqual(await store.read([key('short'), key('again')]), ['old', 'new'])
    await passMs(SHORT_MS + 20)
    assert.deepEqual(await store.read([key('short'), key('again')]), [undefined, 'new'])
  })

  keep('a claim succeeds only where nothing is', async ({ store, key, passMs }) => {
    await store.write(key('written'), 'theirs', LONG_MS)
    assert.equal(await store.claim(key('written'), 'mine', LONG_MS), false)
    assert.deepEqual(await store.read([key('written')]), ['theirs'])
    assert.equal(await store.claim(key('free'), 'mine', SHORT_MS), true)
    assert.equal(await store.claim(key('free'), 'other', SHORT_MS), false)
    assert.deepEqual(await store.read([key('free')]), ['mine'])
    await passMs(SHORT_MS + 20)
    assert.equal(await store.claim(key('free'), 'other', LONG_MS), true)
    await store.forget([key('free')])
    assert.equal(await store.claim(key('free'), 'third', LONG_MS), true)
  })

  keep('of many claims at once one succeeds', async ({ store, key }) => {
    const claims = await Promise.all(Array.from({ length: 20 }, (_, at) => store.claim(key('a'), String(at), LONG_MS)))
    assert.equal(claims.filter(mine => mine).length, 1)
    assert.deepEqual(await store.read([key('a')]), [String(claims.indexOf(true))])
  })

  keep('a counter starts at nothing, goes both ways and is read like any value', async ({ store, key }) => {
    assert.equal(await store.add(key('a'), 3, LONG_MS), 3)
    assert.equal(await store.add(key('a'), -5, LONG_MS), -2)
    assert.equal(await store.add(key('a'), 0.5, LONG_MS), -1.5)
    assert.deepEqual(await store.read([key('a')]), ['-1.5'])
  })

  keep('a counter expires so long after its first addition, whatever is added later', async ({ store, key, passMs }) => {
    await store.add(key('a'), 1, 2 * SHORT_MS)
    await passMs(SHORT_MS + 20)
    assert.equal(await store.add(key('a'), 1, 2 * SHORT_MS), 2)
    await passMs(SHORT_MS)
    assert.equal(await store.add(key('a'), 1, LONG_MS), 1)
  })

  keep('what is forgotten is gone, and forgetting what is not there is nothing', async ({ store, key }) => {
    await store.write(key('a'), '1', LONG_MS)
    await store.add(key('b'), 1, LONG_MS)
    await store.forget([key('a'), key('b'), key('none')])
    assert.deepEqual(await store.read([key('a'), key('b')]), [undefined, undefined])
  })

  keep('limits tell what remains, in the order of the wants', async ({ store, key }) => {
    const taken = await store.take(id(), [rate(key('r'), 3, 10), lease(key('l'), 4), sum(key('s'), 2.5, 5)])
    assert.deepEqual(taken, { ok: true, remaining: [7, 3, 2.5] })
  })

  keep('a limit can be used up to the last of it and no further', async ({ store, key }) => {
    for (const want of [rate(key('r'), 5, 10), lease(key('l'), 2), sum(key('s'), 5, 10)]) {
      assert.equal((await store.take(id(), [want])).ok, true)
      assert.deepEqual(await store.take(id(), [want]), { ok: true, remaining: [0] })
      const refused = await store.take(id(), [want])
      assert.ok(!refused.ok, want.kind)
      assert.equal(refused.want, 0)
      assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 2 * DAY_MS, `${want.kind}: ${refused.retryAfterMs}`)
    }
  })

  keep('all wants are taken or none, and the first that does not fit is named', async ({ store, key }) => {
    await store.take(id(), [sum(key('full'), 10, 10)])
    const first = [rate(key('r'), 5, 10), lease(key('l'), 1), sum(key('s'), 10, 10)]
    for (let times = 0; times < 3; times++) {
      const refused = await store.take(id(), [...first, sum(key('full'), 1, 10), rate(key('r2'), 11, 10)])
      assert.ok(!refused.ok)
      assert.equal(refused.want, 3)
    }
    assert.deepEqual(await store.take(id(), first), { ok: true, remaining: [5, 0, 0] })
  })

  keep('nothing wanted fits even where nothing is left', async ({ store, key }) => {
    await store.take(id(), [sum(key('s'), 10, 10), rate(key('r'), 10, 10)])
    assert.equal((await store.take(id(), [sum(key('s'), 0, 10)])).ok, true)
    assert.deepEqual(await store.take(id(), []), { ok: true, remaining: [] })
  })

  keep('what is taken together carries one hash tag, or is refused as the mistake that it is', async ({ store, key }) => {
    await assert.rejects(store.take(id(), [sum(key('s'), 1, 10), sum('{another}:s', 1, 10)]), /hash tag/)
    await assert.rejects(store.take(id(), [sum('untagged', 1, 10), sum('untagged', 1, 10)]), /hash tag/)
    await assert.rejects(store.take(id(), [sum('odd}brace', 1, 10)]), /hash tag/)
    assert.equal((await store.take(id(), [sum(`untagged ${key('s').replace(/[{}]/g, '')}`, 1, 10)])).ok, true)
  })

  keep('many at once never take more than the limit', async ({ store, key }) => {
    for (const want of [rate(key('r'), 2, 11), lease(key('l'), 5), sum(key('s'), 2, 10)]) {
      const taken = await Promise.all(Array.from({ length: 30 }, () => store.take(id(), [want])))
      assert.equal(taken.filter(({ ok }) => ok).length, 5, want.kind)
    }
  })

  keep('the same taker taken twice counts once and hears the same', async ({ store, key }) => {
    const wants = [rate(key('r'), 2, 10), lease(key('l'), 2), sum(key('s'), 2, 10)]
    const taker = id()
    const first = await store.take(taker, wants)
    assert.deepEqual(await store.take(taker, wants), first)
    assert.deepEqual(await store.take(id(), wants), { ok: true, remaining: [6, 0, 6] })
  })

  keep('a taker that was refused may ask again', async ({ store, key }) => {
    const [holder, taker] = [id(), id()]
    await store.take(holder, [lease(key('l'), 1)])
    assert.equal((await store.take(taker, [lease(key('l'), 1)])).ok, false)
    await store.settle(holder, [lease(key('l'), 1)])
    assert.equal((await store.take(taker, [lease(key('l'), 1)])).ok, true)
  })

  keep('settling gives back what was not used, and a lease in any case', async ({ store, key }) => {
    const taker = id()
    const wants = (amount: number) => [rate(key('r'), amount, 10), lease(key('l'), 1), sum(key('s'), amount, 10)]
    await store.take(taker, wants(8))
    await store.settle(taker, wants(3))
    assert.deepEqual(await store.take(id(), wants(1)), { ok: true, remaining: [6, 0, 6] })
  })

  keep('settling with nothing gives back everything', async ({ store, key }) => {
    const taker = id()
    const wants = (amount: number) => [rate(key('r'), amount, 10), sum(key('s'), amount, 10)]
    await store.take(taker, wants(10))
    await store.settle(taker, wants(0))
    assert.deepEqual(await store.take(id(), wants(10)), { ok: true, remaining: [0, 0] })
  })

  keep('settling may say that more was used than was taken, and the limit holds it against the next', async ({ store, key }) => {
    const taker = id()
    const wants = (amount: number) => [rate(key('r'), amount, 10), sum(key('s'), amount, 10)]
    await store.take(taker, wants(1))
    await store.settle(taker, wants(15))
    for (const [at, want] of wants(1).entries()) {
      assert.equal((await store.take(id(), [want])).ok, false, String(at))
    }
  })

  keep('settling twice is once, and by an unknown taker nothing', async ({ store, key }) => {
    const [taker, other] = [id(), id()]
    const wants = (amount: number) => [rate(key('r'), amount, 20), lease(key('l'), 5), sum(key('s'), amount, 20)]
    await store.take(taker, wants(5))
    await store.take(other, wants(5))
    await store.settle(taker, wants(2))
    await store.settle(taker, wants(2))
    await store.settle(taker, wants(0))
    await store.settle(id(), wants(0))
    assert.deepEqual(await store.take(id(), wants(1)), { ok: true, remaining: [12, 3, 12] })
  })

  keep('what a rate refused fits after the time it told', async ({ store, key, passMs }) => {
    for (const amount of [1, 4]) {
      const want = rate(key(`r${amount}`), amount, 4, WINDOW_MS)
      while ((await store.take(id(), [want])).ok);
      const refused = await store.take(id(), [want])
      assert.ok(!refused.ok)
      assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 2 * WINDOW_MS, String(refused.retryAfterMs))
      await passMs(refused.retryAfterMs + 5)
      assert.equal((await store.take(id(), [want])).ok, true)
    }
  })

  keep('a rate is whole again after two windows', async ({ store, key, passMs }) => {
    await store.take(id(), [rate(key('r'), 10, 10, SHORT_MS)])
    await passMs(2 * SHORT_MS)
    assert.deepEqual(await store.take(id(), [rate(key('r'), 10, 10, SHORT_MS)]), { ok: true, remaining: [0] })
  })

  keep('a lease whose holder died is free again after its time, and no sooner', async ({ store, key, passMs }) => {
    await store.take(id(), [lease(key('l'), 2, 4 * SHORT_MS)])
    await store.take(id(), [lease(key('l'), 2, LONG_MS)])
    const refused = await store.take(id(), [lease(key('l'), 2, LONG_MS)])
    assert.ok(!refused.ok)
    assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 4 * SHORT_MS, String(refused.retryAfterMs))
    await passMs(4 * SHORT_MS + 20)
    assert.equal((await store.take(id(), [lease(key('l'), 2, LONG_MS)])).ok, true)
    assert.equal((await store.take(id(), [lease(key('l'), 2, LONG_MS)])).ok, false)
  })

  keep('who settles a lease that has expired takes nobody else’s', async ({ store, key, passMs }) => {
    const late = id()
    await store.take(late, [lease(key('l'), 1, SHORT_MS)])
    await passMs(SHORT_MS + 20)
    await store.take(id(), [lease(key('l'), 1)])
    await store.settle(late, [lease(key('l'), 1)])
    assert.equal((await store.take(id(), [lease(key('l'), 1)])).ok, false)
  })

  keep('a sum starts again when its time is over', async ({ store, key, passMs }) => {
    await store.take(id(), [sum(key('s'), 10, 10, SHORT_MS)])
    const refused = await store.take(id(), [sum(key('s'), 1, 10, SHORT_MS)])
    assert.ok(!refused.ok)
    assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= SHORT_MS, String(refused.retryAfterMs))
    await passMs(SHORT_MS + 20)
    assert.deepEqual(await store.take(id(), [sum(key('s'), 4, 10, SHORT_MS)]), { ok: true, remaining: [6] })
  })

  keep('an announcement reaches all who listen to its topic, in order, and nobody else', async ({ store, key, passMs }) => {
    const heard: string[] = []
    const stop = store.hear(key('topic'), message => heard.push(`1 ${message}`))
    store.hear(key('topic'), message => heard.push(`2 ${message}`))
    store.hear(key('other'), message => heard.push(`other ${message}`))
    await passMs(100)
    store.announce(key('topic'), 'a b')
    store.announce(key('topic'), 'ü')
    await passMs(100)
    assert.deepEqual(
      heard.filter(line => line.startsWith('1')),
      ['1 a b', '1 ü'],
    )
    assert.deepEqual(
      heard.filter(line => !line.startsWith('1')),
      ['2 a b', '2 ü'],
    )
    stop()
    store.announce(key('topic'), 'c')
    await passMs(100)
    assert.deepEqual(heard.slice(4), ['2 c'])
  })
}
