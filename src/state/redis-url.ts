/*
 * Where Redis is, as one line of the configuration:
 *
 *   redis://[user:password@]host[:6379][/db]          rediss:// the same over TLS
 *   redis-sentinel://[user:password@]h1[:26379],h2/name[/db][?tls=true][&sentinel_password=…]
 *   redis-cluster://[user:password@]h1[:6379],h2[?tls=true]
 *
 * What is wrong with a line is told without repeating it: it may hold a password.
 */

export interface RedisHost {
  readonly host: string
  readonly port: number
}

export interface RedisAddress {
  readonly kind: 'standalone' | 'sentinel' | 'cluster'
  readonly hosts: readonly RedisHost[]
  /** What the sentinels call the master. */
  readonly name: string
  readonly user: string | undefined
  readonly password: string | undefined
  readonly sentinelPassword: string | undefined
  readonly db: number
  readonly tls: boolean
}

export const REDIS_SCHEMES = /^(rediss?|redis-sentinel|redis-cluster):\/\//

const PARTS = /^([a-z-]+):\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const DEFAULT_PORTS = { standalone: 6379, sentinel: 26379, cluster: 6379 } as const

/** The address, or what is wrong with the text. */
export function parseRedisUrl(text: string): RedisAddress | { readonly wrong: string } {
  const match = PARTS.exec(text)
  if (match === null || !REDIS_SCHEMES.test(text)) return { wrong: 'not an address of Redis' }
  const [, scheme, credentials, hostList, path = '', query = ''] = match
  const kind = scheme === 'redis-sentinel' ? 'sentinel' : scheme === 'redis-cluster' ? 'cluster' : 'standalone'

  const hosts = hostList!.split(',').map(host => hostOf(host, DEFAULT_PORTS[kind]))
  if (!hosts.every(host => host !== undefined))
    return { wrong: 'write hosts as host, host:port or [IPv6]:port, with commas between' }
  if (kind === 'standalone' && hosts.length > 1) {
    return { wrong: 'several hosts are written as redis-sentinel://h1,h2/name or redis-cluster://h1,h2' }
  }

  const parts = path === '' ? [] : path.split('/')
  const name = kind === 'sentinel' ? (parts.shift() ?? '') : ''
  if (kind === 'sentinel' && name === '') return { wrong: 'the name of the master is missing: redis-sentinel://h1,h2/name' }
  if (kind === 'cluster' && parts.length > 0) return { wrong: 'a cluster has no databases to choose from' }
  const [db = '0', ...more] = parts
  if (more.length > 0 || !/^\d{1,4}$/.test(db)) return { wrong: 'after the host there is only the number of a database' }

  const options = new URLSearchParams(query)
  const [tls, sentinelPassword] = [options.get('tls'), options.get('sentinel_password')]
  const allowed = kind === 'standalone' ? [] : kind === 'sentinel' ? ['tls', 'sentinel_password'] : ['tls']
  const unknown = [...options.keys()].find(option => !allowed.includes(option))
  if (unknown === 'tls') return { wrong: 'one Redis over TLS is written as rediss://' }
  if (unknown !== undefined) return { wrong: 'there is an option after the "?" that is not known here' }
  if (tls !== null && tls !== 'true' && tls !== 'false') return { wrong: 'tls is true or false' }

  const colon = credentials?.indexOf(':') ?? -1
  const user = decoded(colon === -1 ? credentials : credentials!.slice(0, colon))
  const password = decoded(colon === -1 ? undefined : credentials!.slice(colon + 1))
  if (user === null || password === null) return { wrong: 'a "%" in the user or the password is written as %25' }
  if (user !== undefined && password === undefined)
    return { wrong: 'a password is written as :password@host or user:password@host' }
  return {
    kind,
    hosts,
    name: decodeURIComponent(name),
    user,
    password,
    sentinelPassword: sentinelPassword ?? undefined,
    db: Number(db),
    tls: scheme === 'rediss' || tls === 'true',
  }
}

function hostOf(text: string, defaultPort: number): RedisHost | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?))(?::(\d{1,5}))?$/.exec(text)
  const port = Number(match?.[3] ?? defaultPort)
  return match === null || port < 1 || port > 65_535 ? undefined : { host: (match[1] ?? match[2])!, port }
}

/** Undefined when there is nothing, null when it cannot be read. */
function decoded(text: string | undefined): string | undefined | null {
  if (text === undefined || text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
