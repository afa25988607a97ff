/* A real Redis that is killed, frozen, slowed, filled, emptied, locked: what the store does then, what it costs, and what it adds up to. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Want } from '../../src/core/store.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { until } from '../support/running.ts'
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts'
import { type OpenedStore, opened } from './opened.ts'

const HOUR_MS = 3_600_000
const TIMEOUT_MS = 100

const sum = (name: string, amount: number, limit = 1_000_000): Want => ({
  kind: 'sum',
  key: `{${name}}:sum`,
  amount,
  limit,
  ttlMs: HOUR_MS,
})

describe('Redis in trouble', { skip: noRedis }, () => {
  let server: RedisServer
  let open: OpenedStore[] = []
  let proxies: TcpProxy[] = []
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  /** Each test is a gateway of its own: replicas of an earlier one do not count. */
  let prefix = ''
  beforeEach(() => {
    prefix = randomUUID()
  })
  afterEach(async () => {
    await Promise.all(open.map(({ store }) => store.close()))
    await Promise.all(proxies.map(proxy => proxy.close()))
    open = []
    proxies = []
  })

  async function openStore(url = server.url): Promise<OpenedStore> {
    const one = await opened(url, { prefix })
    open.push(one)
    return one
  }

  async function openThroughProxy() {
    const proxy = await tcpProxy(server.port)
    proxies.push(proxy)
    return { proxy, ...(await openStore(`redis://127.0.0.1:${proxy.port}`)) }
  }

  /** What Redis has for a sum. */
  const told = async (name: string) => Number((await server.command('get', `${prefix}:{${name}}:sum`)) ?? 0)

  /** Calls one after the other until `enough`: each takes 3, uses 2. How long each operation took, and how many calls there were. */
  async function calls(one: OpenedStore, name: string, enough: () => boolean) {
    const took: number[] = []
    let count = 0
    while (!enough()) {
      const id = randomUUID()
      const startedAt = performance.now()
      const taken = await one.store.take(id, [sum(name, 3)])
      took.push(performance.now() - startedAt)
      assert.equal(taken.ok, true)
      await one.store.settle(id, [sum(name, 2)])
      count++
      await sleep(1)
    }
    return { took, count }
  }

  /** Breaks Redis, goes on working, mends it: nothing fails, nothing waits long, and in the end Redis knows everything. */
  async function through(one: OpenedStore, breakIt: () => Promise<unknown>, mend: () => Promise<unknown>, keepsData: boolean) {
    const name = randomUUID()
    const before = await calls(one, name, ofCalls(20))
    assert.equal(await told(name), 2 * before.count)
    await breakIt()
    const while_ = await calls(one, name, ofMs(700))
    assert.equal(one.away(), true)
    const slow = while_.took.filter(ms => ms > 20)
    assert.ok(slow.length <= 4, `only the first calls are slow: ${slow}`)
    assert.ok(Math.max(...while_.took) < TIMEOUT_MS + 60, `none waits longer than the timeout: ${Math.max(...while_.took)}`)
    const quick = while_.took.slice(10).sort((a, b) => a - b)
    assert.ok(quick[Math.floor(quick.length / 2)]! < 2, `away costs nothing: ${quick[Math.floor(quick.length / 2)]}`)
    await mend()
    const mendedAt = performance.now()
    const after = await calls(one, name, () => !one.away())
    const backMs = performance.now() - mendedAt
    assert.ok(backMs < 1_000, `back within a second: ${backMs}`)
    const more = await calls(one, name, ofCalls(5))
    const all = (keepsData ? before.count : 0) + while_.count + after.count + more.count
    await until('Redis knows everything', async () => (await told(name)) === 2 * all).catch(async () =>
      assert.equal(await told(name), 2 * all),
    )
    assert.equal(one.changes.length, 2, `told once each: ${one.changes}`)
    assert.equal(one.changes[1], 'back')
    return one.changes[0]
  }

  const ofCalls = (most: number) => {
    let left = most
    return () => left-- <= 0
  }
  const ofMs = (ms: number) => {
    const end = performance.now() + ms
    return () => performance.now() > end
  }

  it('killed and started again, empty', async () => {
    await through(await openStore(), server.kill, server.start, false)
  })

  it('frozen', async () => {
    const reason = await through(
      await openStore(),
      () => server.signal('SIGSTOP'),
      () => server.signal('SIGCONT'),
      true,
    )
    assert.equal(reason, 'timeout')
  })

  it('frozen for longer than a connection may be silent', async () => {
    const one = await openStore()
    await server.signal('SIGSTOP')
    const name = randomUUID()
    const { count } = await calls(one, name, ofMs(2_600))
    await server.signal('SIGCONT')
    await until('it is back', () => !one.away(), 1_000)
    await until('it knows everything', async () => (await told(name)) === 2 * count)
  })

  it('slowed by 300 ms', async () => {
    const { proxy, ...one } = await openThroughProxy()
    await through(
      one,
      async () => proxy.delay(300),
      async () => proxy.delay(0),
      true,
    )
  })

  it('unreachable', async () => {
    const { proxy, ...one } = await openThroughProxy()
    await through(
      one,
      async () => proxy.shut(),
      async () => proxy.open(),
      true,
    )
  })

  it('made read-only', async () => {
    const reason = await through(
      await openStore(),
      async () => {
        await server.command('replicaof', '127.0.0.1', '1')
        await server.command('config', 'set', 'replica-serve-stale-data', 'yes')
      },
      () => server.command('replicaof', 'no', 'one'),
      true,
    )
    assert.equal(reason, 'READONLY')
  })

  it('out of memory', async () => {
    const reason = await through(
      await openStore(),
      () => server.command('config', 'set', 'maxmemory', '1'),
      () => server.command('config', 'set', 'maxmemory', '0'),
      true,
    )
    assert.equal(reason, 'OOM')
  })

  it('robbed of its scripts, nothing is noticed', async () => {
    const one = await openStore()
    const name = randomUUID()
    await calls(one, name, ofCalls(3))
    await server.command('script', 'flush')
    await calls(one, name, ofCalls(3))
    assert.equal(await told(name), 12)
    assert.deepEqual(one.changes, [])
  })

  it('emptied, it starts again from nothing and calls go on', async () => {
    const one = await openStore()
    const name = randomUUID()
    await one.store.take('under way', [sum(name, 5)])
    await server.command('flushall')
    await one.store.settle('under way', [sum(name, 5)])
    const { count } = await calls(one, name, ofCalls(3))
    assert.equal(await told(name), 2 * count)
    assert.deepEqual(one.changes, [])
  })

  it('asks for a password that we do not have, until it no longer does', async () => {
    const locked = await startRedis(['--requirepass', 'right'])
    try {
      const one = await openStore(`redis://:wrong@127.0.0.1:${locked.port}`)
      assert.deepEqual(one.changes, ['WRONGPASS'])
      assert.equal((await one.store.take('a', [sum('locked', 1)])).ok, true)
      assert.equal((await openStore(`redis://:right@127.0.0.1:${locked.port}`)).changes.length, 0)
      assert.deepEqual((await openStore(`redis://127.0.0.1:${locked.port}`)).changes, ['NOAUTH'])
      await locked.command('config', 'set', 'requirepass', 'wrong')
      await until('it lets us in', () => !one.away(), 2_000)
    } finally {
      await locked.stop()
    }
  })

  it('not there at the start: the store opens within a second, says so once, and has it when it comes', async () => {
    await server.kill()
    const startedAt = performance.now()
    const one = await openStore()
    assert.ok(performance.now() - startedAt < 1_200)
    assert.equal(one.changes.length, 1)
    const name = randomUUID()
    const { count } = await calls(one, name, ofCalls(5))
    await server.start()
    await until('it is back', () => !one.away(), 1_000)
    assert.equal(await told(name), 2 * count)
  })

  it('a lost reply to taking neither doubles nor loses', async () => {
    const { proxy, store, changes } = await openThroughProxy()
    const [name, id] = [randomUUID(), randomUUID()]
    await store.take('first', [sum(name, 1)])
    proxy.loseReplyTo(id)
    assert.equal((await store.take(id, [sum(name, 5)])).ok, true)
    assert.equal(proxy.lost(), 1)
    assert.equal(await told(name), 6)
    await store.settle(id, [sum(name, 3)])
    await until('it is back', () => changes.at(-1) === 'back')
    await until('what was used is known', async () => (await told(name)) === 4)
    await sleep(100)
    assert.equal(await told(name), 4)
  })

  it('a lost reply to settling neither doubles nor loses', async () => {
    const { proxy, store, changes } = await openThroughProxy()
    const [name, id] = [randomUUID(), randomUUID()]
    const lease: Want = { kind: 'lease', key: `{${name}}:lease`, limit: 1, ttlMs: HOUR_MS }
    await store.take(id, [sum(name, 5), lease])
    proxy.loseReplyTo(id)
    await store.settle(id, [sum(name, 3), lease])
    assert.equal(proxy.lost(), 1)
    await until('it is back', () => changes.at(-1) === 'back')
    await sleep(300)
    assert.equal(await told(name), 3)
    assert.deepEqual(await store.take(randomUUID(), [lease]), { ok: true, remaining: [0] })
  })

  it('a lost reply to adding neither doubles nor loses', async () => {
    const { proxy, store, changes } = await openThroughProxy()
    const name = randomUUID()
    assert.equal(await store.add(`{${name}}:sum`, 1, HOUR_MS), 1)
    proxy.loseReplyTo(name)
    assert.equal(await store.add(`{${name}}:sum`, 5, HOUR_MS), 6)
    assert.equal(proxy.lost(), 1)
    await until('it is back', () => changes.at(-1) === 'back')
    assert.equal(await store.add(`{${name}}:sum`, 1, HOUR_MS), 7)
  })

  it('what was frozen with a command in its queue does not carry it out late', async () => {
    const { store, changes } = await openStore()
    const name = randomUUID()
    await store.take('first', [sum(name, 1, 10)])
    await server.signal('SIGSTOP')
    const ids = Array.from({ length: 9 }, () => randomUUID())
    await Promise.all(ids.map(id => store.take(id, [sum(name, 1, 10)])))
    await sleep(300)
    await server.signal('SIGCONT')
    await until('it is back', () => changes.at(-1) === 'back')
    assert.equal(await told(name), 1, 'those who were admitted here have used nothing yet')
    await Promise.all(ids.map(id => store.settle(id, [sum(name, 1, 10)])))
    assert.equal(await told(name), 10)
  })

  it('written while it is away is written when it is back, and read as it was before that', async () => {
    const { proxy, store, changes } = await openThroughProxy()
    const key = randomUUID()
    await store.write(`${key}:old`, 'old', HOUR_MS)
    proxy.shut()
    await until('it is away', () => changes.length === 1)
    await store.write(`${key}:new`, 'new', HOUR_MS)
    await store.forget([`${key}:old`])
    assert.deepEqual(await store.read([`${key}:old`, `${key}:new`]), [undefined, 'new'])
    await assert.rejects(store.read([`${key}:old`, `${key}:else`]), /away/)
    proxy.open()
    await until('it is back', () => changes.at(-1) === 'back')
    assert.deepEqual(await store.read([`${key}:old`, `${key}:new`]), [undefined, 'new'])
  })

  it('away, limits are held as far as one replica can', async () => {
    const { proxy, store, changes } = await openThroughProxy()
    const name = randomUUID()
    const wants: readonly Want[] = [
      { kind: 'rate', key: `{${name}}:rate`, amount: 1, limit: 10, windowMs: 24 * HOUR_MS },
      { kind: 'lease', key: `{${name}}:lease`, limit: 8, ttlMs: HOUR_MS },
      sum(name, 1, 9),
    ]
    const take = () => store.take(randomUUID(), wants)
    for (let times = 0; times < 4; times++) assert.equal((await take()).ok, true)
    proxy.shut()
    await until('it is away', () => changes.length === 1)
    for (let times = 0; times < 4; times++) assert.equal((await take()).ok, true, String(times))
    const full = await take()
    assert.deepEqual([full.ok, !full.ok && full.want], [false, 1], 'eight leases are out')
    assert.equal((await store.take(randomUUID(), [wants[2]!])).ok, true)
    assert.equal((await store.take(randomUUID(), [wants[2]!])).ok, false, 'nine were spent, five of them here')
    assert.deepEqual(await store.read([wants[2]!.key]), ['9'], 'what was last known, and what was spent here')
    assert.equal((await store.take(randomUUID(), [wants[0]!])).ok, true)
    assert.equal((await store.take(randomUUID(), [wants[0]!])).ok, true)
    assert.equal((await store.take(randomUUID(), [wants[0]!])).ok, false)
  })

  it('of two replicas, each has its share while it is away', async () => {
    const { proxy, store, changes } = await openThroughProxy()
    await openStore()
    assert.equal(await server.command('zcard', `${prefix}:{replicas}`), 2)
    await sleep(2_200)
    proxy.shut()
    await until('it is away', () => changes.length === 1)
    const name = randomUUID()
    let granted = 0
    while ((await store.take(randomUUID(), [sum(name, 1, 60)])).ok) granted++
    assert.equal(granted, 30)
  })
})
