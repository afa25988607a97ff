/* The same store where Redis is more than one process: a master that fails over, a cluster whose slots move, a connection over TLS. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Want } from '../../src/core/store.ts'
import { noRedis, type RedisServer, redisPrograms, startRedis } from '../support/redis-server.ts'
import { until } from '../support/running.ts'
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
  const nodes: RedisServer[] = []
  before(async () => {
    const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000']
    nodes.push(...(await Promise.all([0, 1, 2].map(() => startRedis(args)))))
    const [first, ...others] = nodes as [RedisServer, ...RedisServer[]]
    await Promise.all(
      nodes.map((node, at) => node.command('cluster', 'addslotsrange', [0, 5461, 10923][at]!, [5460, 10922, 16383][at]!)),
    )
    await Promise.all(nodes.map((node, at) => node.command('cluster', 'set-config-epoch', at + 1)))
    for (const other of others) await first.command('cluster', 'meet', '127.0.0.1', other.port)
    await until(
      'the cluster is whole',
      async () =>
        (await Promise.all(nodes.map(node => node.command('cluster', 'info')))).every(said => said.includes('cluster_state:ok')),
      15_000,
    )
  })
  after(() => Promise.all(nodes.map(node => node.stop())))
  const url = () => `redis-cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`

  storeSuite('cluster', async () => {
    const { store, changes } = await opened(url())
    if (changes.length > 0) await store.close()
    assert.deepEqual(changes, [])
    return { store, passMs: ms => sleep(ms) }
  })

  test('cluster: values of many slots are read and forgotten together', async () => {
    const { store, changes } = await openStore(url())
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

  test('cluster: an announcement made at one node is heard at the others', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => openStore(url())))
    const heard: number[] = []
    for (const [at, { store }] of all.entries()) store.hear('topic', () => heard.push(at))
    all[0]!.store.announce('topic', 'hello')
    await until('all have heard', () => heard.length === all.length)
  })

  test('cluster: while a slot moves to another node, every count arrives once', async () => {
    const { store, changes } = await openStore(url())
    const name = randomUUID()
    const slot: number = await nodes[0]!.command('cluster', 'keyslot', `test:{${name}}:sum`)
    const from = nodes[Math.min(2, Math.floor(slot / 5461))]!
    const to = nodes.find(node => node !== from)!
    const [fromId, toId] = await Promise.all([from, to].map(node => node.command('cluster', 'myid')))
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
    await to.command('cluster', 'setslot', slot, 'importing', fromId)
    await from.command('cluster', 'setslot', slot, 'migrating', toId)
    for (;;) {
      const keys: string[] = await from.command('cluster', 'getkeysinslot', slot, 100)
      if (keys.length === 0) break
      await from.command('migrate', '127.0.0.1', to.port, '', 0, 1_000, 'KEYS', ...keys)
    }
    for (const node of [to, from, ...nodes]) await node.command('cluster', 'setslot', slot, 'node', toId)
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
  let [master, replica] = [] as unknown as [RedisServer, RedisServer]
  const sentinels: RedisServer[] = []
  before(async () => {
    master = await startRedis()
    replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)])
    await until(
      'the replica follows',
      async () => (await replica.command('info', 'replication')).includes('master_link_status:up'),
      10_000,
    )
    for (let count = 0; count < 3; count++) {
      sentinels.push(
        await startRedis(
          [],
          redisPrograms[0],
          `sentinel monitor lead 127.0.0.1 ${master.port} 2
sentinel down-after-milliseconds lead 500
sentinel failover-timeout lead 1000
`,
        ),
      )
    }
    await until(
      'the sentinels know each other',
      async () => (await sentinels[0]!.command('sentinel', 'sentinels', 'lead')).length === 2,
      10_000,
    )
  })
  after(() => Promise.all([master, replica, ...sentinels].map(one => one.stop())))

  it('killed, its replica takes over, and the store goes on with that one', async () => {
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
    const { store, changes } = await openStore(`redis-sentinel://${hosts}/lead`)
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
    await master.kill()
    const leads = async (sentinel: RedisServer) =>
      Number((await sentinel.command('sentinel', 'get-master-addr-by-name', 'lead'))[1]) === replica.port
    const takenOver = until(
      'the sentinels name the replica',
      async () => (await Promise.all(sentinels.map(leads))).every(yes => yes),
      20_000,
    ).then(() => performance.now())
    const end = performance.now() + 20_000
    while (changes.at(-1) !== 'back' && performance.now() < end) {
      await call()
      await sleep(5)
    }
    const backAfterMs = performance.now() - (await takenOver)
    assert.equal(changes.at(-1), 'back', String(changes))
    assert.ok(backAfterMs < 1_000, `back ${backAfterMs} ms after the replica took over`)
    for (let times = 0; times < 5; times++) await call()
    await until('it knows everything', async () => Number(await replica.command('get', `test:{${name}}:sum`)) === 2 * calls)
  })
})
