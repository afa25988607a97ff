/*
 * The two connections to Redis: one for commands, one for hearing what is announced. How ioredis is set up here is measured, not
 * guessed: left to itself it keeps commands in a queue while Redis is away, sends them again when it is back (so that counters count
 * twice), and may leave a promise unsettled for ever. So there is no queue, nothing is sent twice, and who sends a command bounds its
 * time by himself. It reconnects for ever and quickly, and a connection that has gone silent with commands under way is given up.
 */
import { Cluster, type ClusterOptions, Redis, type RedisOptions, SentinelConnector } from 'ioredis'
import standalone from 'ioredis/built/connectors/StandaloneConnector.js'
import type { Clock } from '../core/clock.ts'
import type { RedisAddress } from './redis-url.ts'

/*
 * ioredis has a class that extends String. V8 makes String.prototype a dictionary for that, as it does with every prototype that is still
 * being set up, until something is read through an object that inherits from it. Texts are no objects: in the whole process each
 * `text.charCodeAt(at)` would be a lookup from then on, five times as slow. So something is read through one, a few times more than it takes.
 */
const text: object = Object('')
const read = (from: { readonly charCodeAt?: unknown }) => from.charCodeAt
for (let times = 0; times < 1_000; times++) read(text)

export interface Connection {
  readonly client: Redis | Cluster
  /** Whether keys lie on several nodes, so that one command reaches keys of one slot only. */
  readonly spread: boolean
  ready(): boolean
  /** Has every node know these scripts, so that the first calls need not bring them. */
  load(scripts: readonly string[]): Promise<unknown>
  /** Hears on this channel from now on; called again it makes sure, and that the connection lives. */
  subscribe(channel: string): Promise<unknown>
  close(): void
}

export interface ConnectionListeners {
  /** The connection for commands broke, or could not be made. `reason` has no address in it. */
  readonly lost: (reason: string) => void
  readonly ready: () => void
  readonly message: (message: string) => void
}

const CONNECT_TIMEOUT_MS = 1_000
/** Commands under way and not a byte for so long: the other side is gone without having said so. */
const SILENT_MS = 2_000
const RECONNECT_MOST_MS = 300

/** Quick enough to be back within a second, and not all replicas at once. */
const reconnectAfterMs = (times: number, random: () => number) => Math.min(50 * times, RECONNECT_MOST_MS) * (0.5 + random())

export function connect(
  address: RedisAddress,
  clock: Clock,
  random: () => number,
  { lost, ready, message }: ConnectionListeners,
): Connection {
  const delay = (times: number) => reconnectAfterMs(times, random)
  let reason = 'unreachable'
  const note = (error: Error) => {
    reason = reasonOf(error)
  }
  const onClose = () => lost(reason)
  const shared = {
    ...(address.user !== undefined && { username: address.user }),
    ...(address.password !== undefined && { password: address.password }),
    ...(address.tls && { tls: {}, Connector: connectorFor(address.kind) }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENT_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectionName: 'understudy',
    disableClientInfo: true,
  } satisfies RedisOptions

  if (address.kind === 'cluster') {
    const options = {
      redisOptions: shared,
      // Without it, the first command for a node would be refused while that node is being connected to. Nothing is sent to a cluster that
      // is not ready, so hardly anything ever waits in it.
      enableOfflineQueue: true,
      clusterRetryStrategy: delay,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      slotsRefreshInterval: 5_000,
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      // While a slot moves, keys of one script may lie on both sides for a moment.
      retryDelayOnTryAgain: 20,
      maxRedirections: 4,
    } satisfies ClusterOptions
    const cluster = new Cluster([...address.hosts], options)
    cluster.on('error', note)
    cluster.on('node error', note)
    cluster.on('close', onClose)
    cluster.on('+node', (node: Redis) => void (node.status === 'wait' && node.connect().catch(() => undefined)))
    cluster.on('ready', ready)
    cluster.on('message', (_channel: string, text: string) => message(text))
    return {
      client: cluster,
      spread: true,
      ready: () => cluster.status === 'ready',
      load: scripts => Promise.all(cluster.nodes('master').flatMap(node => scripts.map(lua => node.script('LOAD', lua)))),
      subscribe: channel => cluster.subscribe(channel),
      close: () => cluster.disconnect(),
    }
  }

  // The sentinels tell of a new master; the old one may still answer, as a replica that takes no writes. Many commands may find that out
  // at once, and one new connection is enough.
  let renewing = false
  const renewsOnce = (error: Error) => {
    if (renewing || !error.message.startsWith('READONLY')) return false
    renewing = true
    return 1
  }
  const options = { ...shared, db: address.db, enableOfflineQueue: false, retryStrategy: delay } satisfies RedisOptions
  const client =
    address.kind === 'sentinel'
      ? new Redis({ ...options, ...sentinelOptions(address, delay), reconnectOnError: renewsOnce })
      : new Redis({ ...options, ...address.hosts[0] })
  // It may wait in a queue for its connection: to hear twice is to hear once.
  const subscriber = client.duplicate({ enableOfflineQueue: true })
  client.on('error', note)
  client.on('close', () => {
    renewing = false
    onClose()
  })
  client.on('ready', ready)
  subscriber.on('error', () => undefined)
  subscriber.on('message', (_channel, text) => message(text))
  // When the sentinels name a new master in the moment in which they are being asked for one, ioredis gives up, and for good.
  let closed = false
  for (const one of [client, subscriber]) {
    const again = () => void (closed || one.connect().catch(() => undefined))
    one.on('end', () => void clock.after(delay(1), again))
  }
  return {
    client,
    spread: false,
    ready: () => client.status === 'ready',
    load: scripts => Promise.all(scripts.map(lua => client.script('LOAD', lua))),
    subscribe: channel => subscriber.subscribe(channel),
    close() {
      closed = true
      client.disconnect()
      subscriber.disconnect()
    },
  }
}

/**
 * ioredis listens for one error of a socket. Over TLS a second may follow, such as an alert of the other side when the connection is
 * given up during the handshake, and an error that nobody listens for would end the process.
 */
function connectorFor(kind: RedisAddress['kind']): NonNullable<RedisOptions['Connector']> {
  // Called with `new`; what it returns is what that gives.
  function Listening(options: never) {
    const connector = kind === 'sentinel' ? new SentinelConnector(options) : new standalone.default(options)
    const connectOnce = connector.connect.bind(connector)
    connector.connect = async emit => (await connectOnce(emit)).on('error', () => undefined)
    return connector
  }
  return Listening as never
}

function sentinelOptions(address: RedisAddress, delay: (times: number) => number) {
  return {
    sentinels: [...address.hosts],
    name: address.name,
    ...(address.sentinelPassword !== undefined && { sentinelPassword: address.sentinelPassword }),
    ...(address.tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    sentinelRetryStrategy: delay,
    failoverDetector: true,
    sentinelReconnectStrategy: delay,
  } satisfies RedisOptions
}

/** Why Redis is away, in a word of its own or of the network's; never with an address. */
export function reasonOf(error: Error): string {
  const { code } = error as { code?: unknown }
  const word = /^[A-Z]{3,}(?= )/.exec(error.message)?.[0]
  if (word !== undefined && word !== 'ERR') return word
  return typeof code === 'string' ? code : 'unreachable'
}
