/** Redis as more than one process: a cluster whose slots can be moved, and a master with a replica that sentinels watch. */
import { type RedisServer, redisPrograms, startRedis } from './redis-server.ts'
import { until } from './running.ts'

export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  readonly url: string
  /** Moves the slot of this key, whole name, from the node that has it to another one. */
  moveSlotOf(key: string): Promise<void>
  stop(): Promise<void>
}

/** Three nodes, each with a third of the slots. */
export async function startCluster(): Promise<RedisCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000']
  const nodes = await Promise.all([0, 1, 2].map(() => startRedis(args)))
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
  return {
    nodes,
    url: `redis-cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    async moveSlotOf(key) {
      const slot: number = await first.command('cluster', 'keyslot', key)
      const from = nodes[Math.min(2, Math.floor(slot / 5461))]!
      const to = nodes.find(node => node !== from)!
      const [fromId, toId] = await Promise.all([from, to].map(node => node.command('cluster', 'myid')))
      await to.command('cluster', 'setslot', slot, 'importing', fromId)
      await from.command('cluster', 'setslot', slot, 'migrating', toId)
      for (;;) {
        const keys: string[] = await from.command('cluster', 'getkeysinslot', slot, 100)
        if (keys.length === 0) break
        await from.command('migrate', '127.0.0.1', to.port, '', 0, 1_000, 'KEYS', ...keys)
      }
      for (const node of [to, from, ...nodes]) await node.command('cluster', 'setslot', slot, 'node', toId)
    },
    async stop() {
      await Promise.all(nodes.map(node => node.stop()))
    },
  }
}

export interface WatchedRedis {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly url: string
  readonly sentinelPorts: readonly number[]
  /** Resolves when all sentinels call the replica the master. */
  takenOver(): Promise<void>
  stop(): Promise<void>
}

const NAME = 'lead'

/** @param watching how many sentinels; more than half of them have to agree */
export async function startWatched(watching = 3): Promise<WatchedRedis> {
  const master = await startRedis()
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(master.port)])
  await until(
    'the replica follows',
    async () => (await replica.command('info', 'replication')).includes('master_link_status:up'),
    10_000,
  )
  // Its link is up before it is sent what is written from then on.
  await master.command('set', 'written', 'later')
  await until('the replica has what is written', async () => (await replica.command('get', 'written')) === 'later', 10_000)
  const settings = `sentinel monitor ${NAME} 127.0.0.1 ${master.port} ${Math.floor(watching / 2) + 1}
sentinel down-after-milliseconds ${NAME} 500
sentinel failover-timeout ${NAME} 1000
`
  const sentinels = await Promise.all(Array.from({ length: watching }, () => startRedis([], redisPrograms[0], settings)))
  await until(
    'the sentinels know each other',
    async () =>
      (await Promise.all(sentinels.map(one => one.command('sentinel', 'sentinels', NAME)))).every(
        others => others.length === watching - 1,
      ),
    10_000,
  )
  const leads = async (sentinel: RedisServer) =>
    Number((await sentinel.command('sentinel', 'get-master-addr-by-name', NAME))[1]) === replica.port
  return {
    master,
    replica,
    url: `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${NAME}`,
    sentinelPorts: sentinels.map(({ port }) => port),
    takenOver: () =>
      until('the sentinels name the replica', async () => (await Promise.all(sentinels.map(leads))).every(yes => yes), 20_000),
    async stop() {
      await Promise.all([master, replica, ...sentinels].map(one => one.stop()))
    },
  }
}
