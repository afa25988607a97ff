/* The same store where Redis is more than one process: a master that fails over, a cluster whose slots move, a connection over TLS. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Want } from '../../src/core/store.ts'
import { noRedis } from '../support/redis-server.ts'
import { type RedisCluster, startCluster, startWatched, type WatchedRedis } from '../support/redis-topologies.ts'
import { until } from '../support/running.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { type OpenedStore, opened } from './opened.ts'
import { storeSuite } from './store-suite.ts'

const HOUR_MS = 3_600_000
const sum = (name: string, amount: number): Want => ({
  kind: 'sum',
  key: `{${name}}:sum`,
  amount,
  limit: 1_000_000,
  ttlMs: HOUR_MS,
})

let open: OpenedStore[] = []
afterEach(async () => {
  await Promise.all(open.map(({ store }) => store.close()))
  open = []
})
async function openStore(url: string): Promise<OpenedStore> {
  const one = await opened(url)
  open.push(one)
  return one
}

if (!noRedis) describeCluster()
else test('a cluster of three', { skip: noRedis }, () => {})

function describeCluster() {
  let cluster: RedisCluster
  before(async () => {
    cluster = await startCluster()
  })
  after(() => cluster.stop())

  storeSuite('cluster', async () => {
    const { store, changes } = await opened(cluster.url)
    if (changes.length > 0) await store.close()
    assert.deepEqual(changes, [])
    return { store, passMs: ms => sleep(ms) }
  })

  test('cluster: values of many slots are read and forgotten together', async () => {
    const { store, changes } = await openStore(cluster.url)
    const keys = Array.from({ length: 200 }, () => randomUUID())
    await Promise.all(keys.map((key, at) => store.write(key, String(at), HOUR_MS)))
    assert.deepEqual(
      await store.read(keys),
      keys.map((_, at) => String(at)),
    )
    await store.forget(keys)
    assert.ok((await store.read(keys)).every(value => value === undefined))
    assert.deepEqual(changes, [])
  })

  test('cluster: what many slots are asked for in one turn is asked of each, and answered to who asked', async () => {
    const { store, changes } = await openStore(cluster.url)
    const names = Array.from({ length: 50 }, () => randomUUID())
    const taken = await Promise.all(names.flatMap((name, at) => [1, 2].map(() => store.take(randomUUID(), [sum(name, at)]))))
    assert.deepEqual(
      taken,
      names.flatMap((_, at) => [1, 2].map(times => ({ ok: true, remaining: [1_000_000 - times * at] }))),
    )
    assert.deepEqual(changes, [])
  })

  test('cluster: an announcement made at one node is heard at the others', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => openStore(cluster.url)))
    const heard: number[] = []
    for (const [at, { store }] of all.entries()) store.hear('topic', () => heard.push(at))
    all[0]!.store.announce('topic', 'hello')
    await until('all have heard', () => heard.length === all.length)
  })

  test('cluster: while a slot moves to another node, every count arrives once', async () => {
    const { store, changes } = await openStore(cluster.url)
    const name = randomUUID()
    let [calls, moved] = [0, false]
    const working = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!moved || calls < 200) {
          const id = randomUUID()
          assert.equal((await store.take(id, [sum(name, 3)])).ok, true)
          await store.settle(id, [sum(name, 2)])
          calls++
          await sleep(1)
        }
      }),
    )
    await cluster.moveSlotOf(`test:{${name}}:sum`)
    moved = true
    await working
    await until(
      'every call is counted',
      async () => (await store.read([`{${name}}:sum`]).catch(() => []))[0] === String(2 * calls),
    )
    assert.ok(changes.length === 0 || changes.at(-1) === 'back', String(changes))
  })
}

describe('a master with sentinels', { skip: noRedis }, () => {
  let redis: WatchedRedis
  before(async () => {
    redis = await startWatched()
  })
  after(() => redis.stop())

  it('killed, its replica takes over, and the store goes on with that one', async () => {
    const { store, changes } = await openStore(redis.url)
    assert.deepEqual(changes, [])
    const name = randomUUID()
    let calls = 0
    const call = async () => {
      const id = randomUUID()
      assert.equal((await store.take(id, [sum(name, 3)])).ok, true)
      await store.settle(id, [sum(name, 2)])
      calls++
    }
    for (let times = 0; times < 10; times++) await call()
    await sleep(200)
    await redis.master.kill()
    let takenOverAtMs = Number.POSITIVE_INFINITY
    void redis.takenOver().then(() => {
      takenOverAtMs = performance.now()
    })
    const end = performance.now() + 20_000
    // Before its sentinels agree, the name may lead it to the old master once more.
    while ((changes.at(-1) !== 'back' || takenOverAtMs === Number.POSITIVE_INFINITY) && performance.now() < end) {
      await call()
      await sleep(5)
    }
    const backAfterMs = performance.now() - takenOverAtMs
    assert.equal(changes.at(-1), 'back', String(changes))
    assert.ok(backAfterMs < 1_000, `back ${backAfterMs} ms after the replica took over`)
    for (let times = 0; times < 5; times++) await call()
    await until('it knows everything', async () => Number(await redis.replica.command('get', `test:{${name}}:sum`)) === 2 * calls)
  })
  it('named anew while its sentinel is being asked for it, it is asked for again', async () => {
    const one = await startWatched(1)
    const sentinel = await tcpProxy(one.sentinelPorts[0]!)
    try {
      const { changes } = await openStore(`redis-sentinel://127.0.0.1:${sentinel.port}/lead`)
      assert.deepEqual(changes, [])
      // Longer, there and back, than a sentinel is waited for: from now on it is being asked all the time.
      sentinel.delay(700)
      await one.master.kill()
      await one.takenOver()
      await sleep(1_500)
      sentinel.delay(0)
      await until('it is back', () => changes.at(-1) === 'back', 5_000)
    } finally {
      await sentinel.close()
      await one.stop()
    }
  })
})
