/*
 * What lives on when the configuration changes: circuits, keys at rest, what has been seen of targets' speed, levels set by hand, money
 * spent, kept answers, connections, and the last calls. Everything else is made anew from each configuration and forgotten with it.
 */
import { type Flights, flights } from '../cache/flights.ts'
import { memoryShelf, type Shelf, storeShelf } from '../cache/shelf.ts'
import type { Config } from '../config/schema.ts'
import type { Target } from '../core/attempt.ts'
import { type CircuitPolicy, type CircuitState, type Circuits, circuits } from '../resilience/circuit.ts'
import { type KeyPools, type KeyState, type Keys, keys } from '../resilience/keys.ts'
import { type Levels, levels, type RungLevels } from '../resilience/levels.ts'
import { type Paces, paces } from '../resilience/pace.ts'
import { webhooks } from '../telemetry/webhooks.ts'
import { type Pools, pools } from '../upstream/pools.ts'
import { post } from '../upstream/post.ts'
import { type Allowance, allowance } from './allowance.ts'
import type { Parts } from './assemble.ts'
import { type Notices, notices } from './notices.ts'
import { type Probing, probing } from './probing.ts'
import { type Recent, recent } from './recent.ts'
import { type Spending, spending } from './spending.ts'
import type { Targets } from './targets.ts'

/** What a configuration amounts to by itself. */
export interface Drawn {
  readonly config: Config
  readonly known: Targets
  /** By the provider's name. */
  readonly policies: ReadonlyMap<string, CircuitPolicy>
  readonly keyPools: KeyPools
  readonly rungs: RungLevels
}

export interface Kept {
  readonly circuits: Circuits
  readonly keys: Keys
  readonly paces: Paces
  readonly levels: Levels
  readonly flights: Flights
  readonly pools: Pools
  readonly shelf: Shelf
  readonly spending: Spending
  readonly recent: Recent
  readonly probing: Probing
  readonly notices: Notices
  /**
   * The allowance of a route for this purpose, as it was used up or saved under the configuration before, if its share is the same.
   * @param perSecond what time brings
   */
  allowanceOf(route: string, purpose: 'extra' | 'hedge', share: number, perSecond?: number): Allowance
  /** The same under another configuration, which counts from now on. */
  over(drawn: Drawn): Kept
  close(): Promise<void>
}

const CIRCUIT_STATES: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 }
const KEY_STATES: Readonly<Record<KeyState, number>> = { ready: 0, resting: 1, retired: 2 }

const providerOf = (target: string) => target.slice(0, target.indexOf('/'))

export function kept(parts: Parts, first: Drawn): Kept {
  const { store, clock, random, log, metrics } = parts
  let current = first
  /** Of providers that are gone, too: their last calls still tell their circuits how they went. */
  const policies = new Map(first.policies)
  let labels = labelsOf(first)
  let allowances = new Map<string, Allowance>()
  let allowancesBefore = new Map<string, Allowance>()

  const connections = pools(clock)
  const hooks = webhooks({
    receivers: first.config.telemetry.webhooks.map(({ url, secret, on }) => ({ url, secret: secret?.reveal(), on })),
    send: message => post(connections, clock, message),
    clock,
    log,
  })
  const noticed = notices(hooks)

  const opened = circuits({
    store,
    clock,
    random,
    policyOf: target => policies.get(providerOf(target))!,
    onChange(target, to) {
      metrics.count('llm_circuit_transitions_total', [providerOf(target), labels.get(target) ?? 'other', to])
      log.warn('circuit', { target, to })
      noticed.circuit(target, to)
    },
  })
  const set = levels(store, clock, first.rungs, (route, to, untilMs) =>
    log.warn('level', { route, to, ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }) }),
  )
  let pooled = keys({
    store,
    clock,
    random,
    pools: first.keyPools,
    onChange(provider, key, to, untilMs) {
      log.warn('key', { provider, key, to, ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }) })
      noticed.key(provider, key, to)
      if (to === 'retired') parts.onKeyRefused?.()
    },
  })
  const paced = paces(clock)
  const calls = recent()
  const asking = probing(connections, clock, log)
  asking.replace(first.config, first.known, pooled)

  metrics.beforeScrape(() => {
    for (const { id, providerName, label } of current.known.all()) {
      metrics.set('llm_circuit_state', [providerName, label], CIRCUIT_STATES[opened.state(id)])
      // From the first scrape on, or its first change would not be seen as one.
      for (const to of Object.keys(CIRCUIT_STATES)) metrics.count('llm_circuit_transitions_total', [providerName, label, to], 0)
    }
    for (const provider of current.policies.keys()) {
      for (const { name, state } of pooled.status(provider)) metrics.set('llm_key_state', [provider, name], KEY_STATES[state])
    }
  })

  /** From now on this configuration counts. */
  function replace(next: Drawn): void {
    const before = current
    for (const [name, policy] of next.policies) policies.set(name, policy)
    forgetSeries(before, next)
    for (const name of moved(before.config, next.config)) {
      for (const { id, providerName } of before.known.all()) if (providerName === name) opened.renew(id)
    }
    pooled = pooled.over(next.keyPools)
    asking.replace(next.config, next.known, pooled)
    set.offer(next.rungs)
    labels = labelsOf(next)
    allowancesBefore = allowances
    allowances = new Map()
    current = next
  }

  /** What is no longer configured has no state. */
  function forgetSeries(before: Drawn, next: Drawn): void {
    const targets = new Set(next.known.all().map(({ id }) => id))
    for (const { id, providerName, label } of before.known.all()) {
      if (!targets.has(id)) metrics.forget('llm_circuit_state', [providerName, label])
    }
    for (const [provider, pool] of before.keyPools) {
      const names = new Set(next.keyPools.get(provider)?.keys.map(({ name }) => name))
      for (const { name } of pool.keys) if (!names.has(name)) metrics.forget('llm_key_state', [provider, name])
    }
  }

  function of(drawn: Drawn, shelf: Shelf, spent: Spending): Kept {
    return {
      circuits: opened,
      keys: pooled,
      paces: paced,
      levels: set,
      flights: landing,
      pools: connections,
      shelf,
      spending: spent,
      recent: calls,
      probing: asking,
      notices: noticed,
      allowanceOf(route, purpose, share, perSecond) {
        const name = `${purpose} ${share} ${route}`
        const its = allowancesBefore.get(name) ?? allowance(clock, share, perSecond)
        allowances.set(name, its)
        return its
      },
      over(next) {
        replace(next)
        const isSameShelf = JSON.stringify(shelfSettings(drawn.config)) === JSON.stringify(shelfSettings(next.config))
        return of(next, isSameShelf ? shelf : shelfOf(next.config, parts), spent.over(next.config, next.known.all()))
      },
      async close() {
        opened.close()
        pooled.close()
        set.close()
        asking.close()
        await hooks.close()
        await connections.close()
        await spent.close()
        await store.close()
      },
    }
  }

  const landing = flights()
  const { config, known } = first
  return of(first, shelfOf(config, parts), spending({ config, store, clock, log, metrics, targets: known.all() }))
}

const labelsOf = ({ known }: Drawn) => new Map(known.all().map(({ id, label }: Target) => [id, label]))

const shelfSettings = ({ cache, state }: Config) => [cache.store, cache.max_memory, state?.redis]

/** Without Redis the state is in this process as well, and knows no bounds for answers. */
function shelfOf({ cache, state }: Config, { store, clock }: Parts): Shelf {
  return cache.store === 'state' && state?.redis !== undefined ? storeShelf(store) : memoryShelf(clock, cache.max_memory)
}

/** The providers that live at another address now: what was learnt of the old one says nothing about it. */
function moved(before: Config, next: Config): readonly string[] {
  const addressOf = ({ providers }: Config, name: string) => JSON.stringify([providers[name]?.type, providers[name]?.base_url])
  return Object.keys(before.providers).filter(
    name => next.providers[name] !== undefined && addressOf(before, name) !== addressOf(next, name),
  )
}
