/** Rules of `clients`, of who can reach the two listeners, and of the processes behind them. */
import { createHash } from 'node:crypto'
import { asObject } from '../../core/json.ts'
import { type Address, isLoopback, parseAddress } from '../notation.ts'
import type { Path } from '../problem.ts'
import { didYouMean } from '../suggest.ts'
import { type Ground, listOf, textOf } from './ground.ts'

export function clientRules(ground: Ground): void {
  const routes = Object.keys(asObject(ground.tree.routes) ?? {})
  const known = new Set(routes)
  const names = new Set<string>()
  const keys = new Map<string, number>()
  listOf(ground.tree.clients).forEach((value, index) => {
    const client = asObject(value)
    if (client === undefined) return
    const path = ['clients', index]
    const name = textOf(client.name)
    if (name !== undefined) {
      if (names.has(name)) ground.report([...path, 'name'], `two clients have the name ${ground.quote([...path, 'name'], name)}`)
      names.add(name)
    }
    hasOneKey(ground, path, client, keys, index)
    listOf(client.routes).forEach((route, at) => {
      const place = [...path, 'routes', at]
      if (typeof route !== 'string' || known.has(route)) return
      ground.report(place, `there is no route ${ground.quote(place, route)}${didYouMean(route, routes)}`)
    })
  })
}

function hasOneKey(
  ground: Ground,
  path: Path,
  client: Readonly<Record<string, unknown>>,
  keys: Map<string, number>,
  index: number,
): void {
  const { key, key_sha256: hash } = client
  if (key !== undefined && hash !== undefined) {
    ground.report([...path, 'key_sha256'], 'either key or key_sha256, not both', 'key')
    return
  }
  if (key === undefined && hash === undefined) {
    ground.report([...path, 'key'], 'is missing: a client has a key or a key_sha256')
    return
  }
  const digest = typeof key === 'string' ? createHash('sha256').update(key).digest('hex') : textOf(hash)?.toLowerCase()
  if (digest === undefined) return
  const first = keys.get(digest)
  const place = [...path, key === undefined ? 'key_sha256' : 'key']
  if (first === undefined) keys.set(digest, index)
  else ground.report(place, `clients[${first}] has the same key; each client needs its own`)
}

/** A listener that others can reach must know whom it serves. */
export function listenerRules(ground: Ground): void {
  const server = asObject(ground.tree.server)
  const admin = asObject(ground.tree.admin)
  const forClients = parseAddress(textOf(server?.listen) ?? '127.0.0.1:8080')
  const forOperators = parseAddress(textOf(admin?.listen) ?? '127.0.0.1:9090')
  const isClosed = server?.open === undefined || server.open === false
  const hasClients = ground.tree.clients !== undefined && !isEmptyList(ground.tree.clients)
  if (isReachable(forClients) && isClosed && !hasClients) {
    ground.report(
      ['server', 'listen'],
      'others can reach this address and there are no clients: list them under clients, listen on 127.0.0.1, or say open: true',
    )
  }
  if (isReachable(forOperators) && admin?.token === undefined) {
    ground.report(
      ['admin', 'listen'],
      'others can reach this address and there is no token: set the variable UNDERSTUDY_ADMIN_TOKEN or admin.token, or listen on 127.0.0.1',
    )
  }
  const isSamePort = forClients !== undefined && forClients.port !== 0 && forClients.port === forOperators?.port
  if (isSamePort && forClients.host === forOperators.host) {
    const place = ['admin', 'listen']
    if (admin?.listen === undefined) ground.report(['server', 'listen'], 'the admin listener has this address')
    else ground.report(place, 'server.listen has the same address')
  }
}

/** Workers know nothing of each other but what is in Redis: without it each would have limits, budgets and circuits of its own. */
export function workerRules({ tree, report }: Ground): void {
  const { workers } = asObject(tree.server) ?? {}
  const isNumber = typeof workers === 'number' || typeof workers === 'string'
  if (workers !== 'auto' && !(isNumber && Number(workers) > 1)) return
  if (asObject(tree.state)?.redis !== undefined) return
  report(
    ['server', 'workers'],
    'more than one process needs state.redis, where they share circuits, limits and budgets: set it, or leave workers at 1',
  )
}

function isReachable(address: Address | undefined): boolean {
  return address !== undefined && !isLoopback(address.host)
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}
