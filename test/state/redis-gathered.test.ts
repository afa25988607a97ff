/* Takes and settles that travel together, to a real Redis: how they are gathered, and that each keeps what it was promised alone. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import type { Want } from '../../src/core/store.ts'
import type { Failure } from '../../src/state/failure.ts'
import { type RemoteStore, redisStore } from '../../src/state/redis.ts'
import { parseRedisUrl } from '../../src/state/redis-url.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { until } from '../support/running.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import { opened } from './opened.ts'

const HOUR_MS = 3_600_000
const TIMEOUT_MS = 200

const sum = (name: string, amount: number, limit = 1_000): Want => ({
  kind: 'sum',
  key: `{${name}}:s`,
  amount,
  limit,
  ttlMs: HOUR_MS,
})
const rate = (name: string, amount: number, limit = 1_000): Want => ({
  kind: 'rate',
  key: `{${name}}:r`,
  amount,
  limit,
  windowMs: 24 * HOUR_MS,
})
const lease = (name: string, limit: number): Want => ({ kind: 'lease', key: `{${name}}:l`, limit, ttlMs: HOUR_MS })

describe('gathered', { skip: noRedis }, () => {
  let server: RedisServer
  let open: RemoteStore[] = []
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(async () => {
    await Promise.all(open.map(store => store.close()))
    open = []
  })

  /** Redis alone: nothing is sent but what the test asks for, and failures are told as they are. */
  async function openRemote(prefix: string = randomUUID()): Promise<RemoteStore> {
    const address = parseRedisUrl(server.url)
    assert.ok(!('wrong' in address))
    const store = await new Promise<RemoteStore>(resolve => {
      const made = redisStore({
        address,
        prefix,
        commandTimeoutMs: TIMEOUT_MS,
        clock: systemClock,
        random: Math.random,
        onLost() {},
        onReady: () => resolve(made),
      })
    })
    open.push(store)
    // Now it knows Redis's clock, too.
    await store.present()
    return store
  }

  /** How many scripts Redis ran meanwhile. */
  async function scriptsOf(work: () => Promise<unknown>): Promise<number> {
    await server.command('config', 'resetstat')
    await work()
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await server.command('info', 'commandstats'))?.[1] ?? 0)
  }

  const failures = async (promises: Promise<unknown>[]) =>
    (await Promise.allSettled(promises)).map(result => (result.status === 'rejected' ? (result.reason as Failure) : undefined))

  it('takes and settles of one turn are one command, whoever asks for them', async () => {
    const store = await openRemote()
    const [one, other] = [randomUUID(), randomUUID()]
    const takers = Array.from({ length: 10 }, () => randomUUID())
    const wants = (at: number) => [lease(at % 2 ? one : other, 10), rate(at % 2 ? one : other, 1), sum(at % 2 ? one : other, 2)]
    assert.equal(await scriptsOf(() => Promise.all(takers.map((id, at) => store.take(id, wants(at))))), 1)
    const next = async () => {
      const settling = takers.map((id, at) => store.settle(id, wants(at)))
      const taken = await store.take(randomUUID(), wants(0))
      await Promise.all(settling)
      assert.deepEqual(taken, { ok: true, remaining: [9, 994, 988] })
    }
    assert.equal(await scriptsOf(next), 1)
  })

  it('so many that Redis would be kept from other work are several commands', async () => {
    const store = await openRemote()
    const name = randomUUID()
    const scripts = await scriptsOf(() =>
      Promise.all(Array.from({ length: 200 }, () => store.take(randomUUID(), [sum(name, 1, 150)]))),
    )
    assert.equal(scripts, 4)
    assert.deepEqual(await store.take(randomUUID(), [sum(name, 0, 150)]), { ok: true, remaining: [0] })
  })

  it('one after the other, in the order in which they were asked for', async () => {
    const store = await openRemote()
    const name = randomUUID()
    const wants = [lease(name, 1), rate(name, 4, 10), sum(name, 3, 10)]
    const used = [lease(name, 1), rate(name, 1, 10), sum(name, 1, 10)]
    const answers = await Promise.all([
      store.take('a', wants),
      store.take('b', wants),
      store.take('a', wants),
      store.settle('a', used),
      store.take('b', wants),
      store.settle('a', wants),
      store.settle('b', []),
      store.take('b', wants),
      store.settle('b', wants),
      store.take('c', [rate(name, 5, 10), sum(name, 6, 10)]),
      store.take('d', [sum(name, 1, 10)]),
    ])
    const first = { ok: true, remaining: [0, 6, 7] }
    assert.deepEqual([answers[0], answers[2]], [first, first])
    const busy = answers[1]!
    assert.ok(!busy.ok && busy.want === 0 && busy.retryAfterMs > HOUR_MS - 60_000 && busy.retryAfterMs <= HOUR_MS)
    assert.deepEqual(
      [answers[4], answers[7]],
      [
        { ok: true, remaining: [0, 5, 6] },
        { ok: true, remaining: [0, 5, 6] },
      ],
    )
    assert.deepEqual(answers[9], { ok: true, remaining: [0, 0] })
    assert.ok(!answers[10]!.ok)
  })

  it('one that Redis refuses fails alone, and says why', async () => {
    const store = await openRemote('odd')
    const [name, odd] = [randomUUID(), randomUUID()]
    await server.command('set', `odd:{${odd}}:r`, 'no hash')
    await server.command('set', `odd:{${odd}}:s`, 'no number')
    const failed = await failures([
      store.take('a', [sum(name, 1)]),
      store.take('b', [sum(odd, 1)]),
      store.take('c', [sum(name, 1), rate(name, 1)]),
      store.take('d', [lease(odd, 1), rate(odd, 1)]),
      store.settle('a', [sum(name, 1)]),
      store.settle('e', [sum(odd, 1)], { takenMsAgo: 0 }),
    ])
    assert.deepEqual(
      failed.map(failure => failure && [failure.executed, failure.away]),
      [undefined, ['no', false], undefined, ['no', false], undefined, ['no', false]],
    )
    assert.equal(failed[3]!.reason, 'WRONGTYPE')
    assert.deepEqual(await store.take('f', [sum(name, 1), rate(name, 1)]), { ok: true, remaining: [997, 998] })
    assert.equal(await server.command('exists', `odd:{${odd}}:l`), 0, 'none of what did not fit together was taken')
  })

  it('where Redis takes no writes, all of them fail and nothing has changed', async () => {
    const store = await openRemote('full')
    const name = randomUUID()
    await store.take('first', [sum(name, 5), rate(name, 1)])
    const errors = [
      ['OOM', () => server.command('config', 'set', 'maxmemory', '1'), () => server.command('config', 'set', 'maxmemory', '0')],
      ['NOREPLICAS', ...[1, 0].map(least => () => server.command('config', 'set', 'min-replicas-to-write', least))],
    ] as [string, () => Promise<unknown>, () => Promise<unknown>][]
    for (const [reason, breakIt, mend] of errors) {
      await breakIt()
      const asked = [store.take('a', [rate(name, 2)]), store.settle('nobody', [rate(name, 1)]), store.take('b', [sum(name, 1)])]
      const failed = await failures(asked)
      await mend()
      assert.deepEqual(
        failed.map(failure => failure && [failure.reason, failure.executed, failure.away]),
        Array(3).fill([reason, 'no', true]),
      )
      assert.deepEqual(await store.take(randomUUID(), [sum(name, 0), rate(name, 0)]), { ok: true, remaining: [995, 999] })
    }
  })

  it('a command whose deadline has passed takes nothing more, and settles all the same', async () => {
    const store = await openRemote('late')
    const name = randomUUID()
    await store.take('early', [sum(name, 5)])
    await server.signal('SIGSTOP')
    const failed = await failures([
      store.take('a', [sum(name, 1)]),
      store.settle('early', [sum(name, 2)]),
      store.take('b', [sum(name, 1)]),
    ])
    assert.deepEqual(
      failed.map(failure => failure?.reason),
      ['timeout', 'timeout', 'timeout'],
    )
    await new Promise(resolve => setTimeout(resolve, 100))
    await server.signal('SIGCONT')
    const told = async () => Number(await server.command('get', `late:{${name}}:s`))
    await until('it has settled', async () => (await told()) !== 5)
    assert.equal(await told(), 2)
  })

  it('what is read after a settle knows of it', async () => {
    const store = await openRemote()
    const name = randomUUID()
    await store.take('a', [sum(name, 5)])
    const settling = store.settle('a', [sum(name, 3)])
    assert.deepEqual(await store.read([`{${name}}:s`]), ['3'])
    await settling
  })

  it('Redis knows of a settle that was asked for right before the end', async () => {
    const { store } = await opened(server.url, { prefix: 'ending' })
    const name = randomUUID()
    await store.take('a', [sum(name, 5), lease(name, 1)])
    void store.settle('a', [sum(name, 3), lease(name, 1)])
    await store.close()
    assert.equal(await server.command('get', `ending:{${name}}:s`), '3')
    assert.equal(await server.command('exists', `ending:{${name}}:l`), 0)
  })

  it('a connection that dies with many of them under way neither doubles nor loses one', async () => {
    const proxy = await tcpProxy(server.port)
    const { store, changes } = await opened(`redis://127.0.0.1:${proxy.port}`, { prefix: 'dying' })
    const name = randomUUID()
    const wants = [sum(name, 5), lease(name, 50)]
    const ids = Array.from({ length: 20 }, () => randomUUID())
    await Promise.all(ids.slice(0, 10).map(id => store.take(id, wants)))
    proxy.loseReplyTo(ids[15]!)
    const settling = ids.slice(0, 5).map(id => store.settle(id, [sum(name, 3), lease(name, 50)]))
    const taken = await Promise.all(ids.slice(10).map(id => store.take(id, wants)))
    await Promise.all(settling)
    assert.equal(proxy.lost(), 1)
    assert.ok(taken.every(({ ok }) => ok))
    await Promise.all(ids.slice(5).map(id => store.settle(id, [sum(name, 2), lease(name, 50)])))
    await until('it is back', () => changes.at(-1) === 'back')
    const told = async () => Number(await server.command('get', `dying:{${name}}:s`))
    await until('Redis knows everything', async () => (await told()) === 5 * 3 + 15 * 2)
    assert.deepEqual(await store.take(randomUUID(), [lease(name, 50)]), { ok: true, remaining: [49] })
    await store.close()
    await proxy.close()
    assert.equal(await told(), 5 * 3 + 15 * 2)
  })
})
