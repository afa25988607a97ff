/** Configuration → gateway: the only place where implementations are chosen. */

import { answers } from '../cache/answers.ts'
import { flights } from '../cache/flights.ts'
import { memoryShelf, storeShelf } from '../cache/shelf.ts'
import type { Config, ProviderConfig, RouteConfig } from '../config/schema.ts'
import type { Target } from '../core/attempt.ts'
import type { Clock } from '../core/clock.ts'
import type { FaultName } from '../core/fault.ts'
import type { Store } from '../core/store.ts'
import { providers } from '../providers/registry.ts'
import { type CircuitPolicy, type CircuitState, circuits } from '../resilience/circuit.ts'
import { type KeyConfig, type KeyState, keys } from '../resilience/keys.ts'
import { levels } from '../resilience/levels.ts'
import { paces } from '../resilience/pace.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Traces } from '../telemetry/traces.ts'
import { webhooks } from '../telemetry/webhooks.ts'
import { pools } from '../upstream/pools.ts'
import { post } from '../upstream/post.ts'
import { allowance } from './allowance.ts'
import { type Choosers, choosers } from './choosers.ts'
import { clientsByKey, keyHash, openToAll } from './clients.ts'
import type { Gateway, Journey } from './gateway.ts'
import { ledger } from './ledger.ts'
import { notices } from './notices.ts'
import { cacheOf, rungsOf } from './route-tail.ts'
import { type Route, routes } from './routes.ts'
import { limitsOf, type Spending, spending } from './spending.ts'
import { sticky } from './sticky.ts'
import { type Targets, targets } from './targets.ts'

export interface Parts {
  readonly config: Config
  readonly store: Store
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Metrics
  /** Name → base URL of the simulators inside this process. */
  readonly simulators: ReadonlyMap<string, string>
  /** Takes the secrets of the configuration out of a text. */
  readonly redact: (text: string) => string
  /** Undefined: nobody wants any. */
  readonly traces: Traces | undefined
}

export interface Assembled {
  readonly gateway: Gateway
  /** Every target that the configuration names. */
  readonly targets: readonly Target[]
  readonly providerNames: readonly string[]
  readonly spending: Spending
  close(): Promise<void>
}

const CIRCUIT_STATES: Readonly<Record<CircuitState, number>> = { closed: 0, 'half-open': 1, open: 2 }
const KEY_STATES: Readonly<Record<KeyState, number>> = { ready: 0, resting: 1, retired: 2 }

/** A server that asks for no key still has a state: it can tell us to come back later. */
const NO_KEY: KeyConfig = { name: 'none', value: '', weight: 1 }

export function assemble(parts: Parts): Assembled {
  const { config, store, clock, random, log, metrics } = parts
  const known = targets(config.providers, providers, (_, provider) => addressOf(provider, parts.simulators))
  const policies = new Map(Object.entries(config.providers).map(([name, provider]) => [name, policyOf(provider)]))
  const ofProvider = (target: string) => target.slice(0, target.indexOf('/'))

  const connections = pools(clock)
  const hooks = webhooks({
    receivers: config.telemetry.webhooks.map(({ url, secret, on }) => ({ url, secret: secret?.reveal(), on })),
    send: message => post(connections, clock, message),
    clock,
    log,
  })
  const noticed = notices(hooks)

  const opened = circuits({
    store,
    clock,
    random,
    policyOf: target => policies.get(ofProvider(target))!,
    onChange(target, to) {
      metrics.count('llm_circuit_transitions_total', [ofProvider(target), labels.get(target) ?? 'other', to])
      log.warn('circuit', { target, to })
      noticed.circuit(target, to)
    },
  })
  const pooled = keys({
    store,
    clock,
    random,
    pools: new Map(Object.entries(config.providers).map(([name, provider]) => [name, poolOf(provider)])),
    onChange(provider, key, to, untilMs) {
      log.warn('key', { provider, key, to, ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }) })
      noticed.key(provider, key, to)
    },
  })
  const paced = paces(clock)
  const { ramp } = opened
  const chosenBy = choosers({ ramp, random, paces: paced })
  const all = Object.entries(config.routes).map(([name, route]) => routeOf(name, route, config, known, clock, chosenBy, ramp))
  const spent = spending({ config, store, clock, log, metrics, targets: known.all() })
  const labels = new Map(known.all().map(target => [target.id, target.label]))
  const set = levels(
    store,
    clock,
    new Map(all.filter(({ rungs }) => rungs.length > 0).map(({ name, rungs }) => [name, rungs.map(({ level }) => level)])),
    (route, to, untilMs) =>
      log.warn('level', { route, to, ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }) }),
  )

  metrics.beforeScrape(() => {
    for (const target of known.all()) {
      metrics.set('llm_circuit_state', [target.providerName, target.label], CIRCUIT_STATES[opened.state(target.id)])
      // From the first scrape on, or its first change would not be seen as one.
      for (const to of Object.keys(CIRCUIT_STATES)) {
        metrics.count('llm_circuit_transitions_total', [target.providerName, target.label, to], 0)
      }
    }
    for (const provider of policies.keys()) {
      for (const { name, state } of pooled.status(provider)) metrics.set('llm_key_state', [provider, name], KEY_STATES[state])
    }
  })

  const settle = (journey: Journey) => {
    spent.settle(journey)
    noticed.call(journey)
  }
  const gateway: Gateway = {
    clock,
    random,
    clients: clientsOf(config, spent.limits),
    routes: routes(all),
    keys: pooled,
    circuits: opened,
    paces: paced,
    levels: set,
    answers: answers(shelfOf(config, store, clock), clock, config.cache.max_entry),
    flights: flights(),
    pools: connections,
    ledger: ledger(clock, metrics, log, settle),
    prices: spent.prices,
    spend: spent.providers,
    headersShown: config.telemetry.headers,
    traces: parts.traces,
    bodies: config.telemetry.log.bodies,
    redact: parts.redact,
  }
  return {
    gateway,
    targets: known.all(),
    providerNames: [...policies.keys()],
    spending: spent,
    async close() {
      opened.close()
      pooled.close()
      set.close()
      await hooks.close()
      await connections.close()
      await spent.close()
      await store.close()
    },
  }
}

function clientsOf({ server, clients }: Config, limits: Spending['limits']) {
  if (server.open || clients.length === 0) return openToAll
  return clientsByKey(
    clients.map(({ name, key, key_sha256, routes: allowed, require, tags }) => ({
      client: {
        name,
        routes: allowed === undefined ? undefined : new Set(allowed),
        require,
        tags: Object.keys(tags).length === 0 ? undefined : tags,
        limits: limits.get(name),
      },
      keySha256: key_sha256 ?? keyHash(key!.reveal()),
    })),
  )
}

/** Without Redis the state is in this process as well, and knows no bounds for answers. */
function shelfOf({ cache, state }: Config, store: Store, clock: Clock) {
  return cache.store === 'state' && state?.redis !== undefined ? storeShelf(store) : memoryShelf(clock, cache.max_memory)
}

function routeOf(
  name: string,
  settings: RouteConfig,
  config: Config,
  known: Targets,
  clock: Clock,
  chosenBy: Choosers,
  ramp: (target: string) => number,
): Route {
  const targetsOf = settings.targets.map(({ target, weight }) => ({ of: targetOf(target, known), weight }))
  const fallbacksOf = settings.fallbacks.map(target => targetOf(target, known))
  const { heartbeat, recover, hedge, slow, choose, sticky: to } = settings
  const otherwise = chosenBy[choose]
  const shared = {
    name,
    choose: to === 'off' ? otherwise : sticky({ to, byWeight: choose === 'weighted', ramp, otherwise }),
    deadlineMs: settings.deadline,
    require: settings.require,
    faults: new Map(Object.entries(settings.faults) as [FaultName, 'fail_over' | 'return'][]),
    allowance: allowance(clock, settings.extra_attempts),
    heartbeatMs: heartbeat === 'off' ? undefined : heartbeat,
    recover,
    slowFactor: slow?.factor,
    hedge: hedge && { afterMs: hedge.after, share: allowance(clock, hedge.share, 0) },
    cache: cacheOf(settings, config),
  }
  const rungs = rungsOf(settings, target => targetOf(target, known))
  const weigh = (carried: string) => targetsOf.map(({ of, weight }) => ({ target: of(carried), weight }))
  const list = (carried: string) => fallbacksOf.map(of => of(carried))
  if (name.includes('*')) return { ...shared, rungs, targets: weigh, fallbacks: list }
  const [once, then] = [weigh(''), list('')]
  return { ...shared, rungs, targets: () => once, fallbacks: () => then }
}

/** `*` in a target's model stands for what the star of the route stood for. */
function targetOf(text: string, known: Targets): (carried: string) => Target {
  if (!text.includes('*')) {
    const target = known.named(text)
    return () => target
  }
  const slash = text.indexOf('/')
  const [providerName, pattern] = [text.slice(0, slash), text.slice(slash + 1)]
  return carried =>
    known.carried(
      providerName,
      pattern.replace('*', () => carried),
    )
}

function policyOf({ circuit }: ProviderConfig): CircuitPolicy {
  return {
    failures: circuit.failures,
    ratio: circuit.ratio,
    minCalls: circuit.min_calls,
    windowMs: circuit.window,
    openMs: circuit.open,
    openMaxMs: circuit.open_max,
    probes: circuit.probes,
    rampMs: circuit.ramp,
  }
}

function poolOf(provider: ProviderConfig) {
  const configured = provider.keys.map(
    ({ name, value, weight, quota_group: quotaGroup, ...settings }): KeyConfig => ({
      name,
      value: value.reveal(),
      weight,
      ...limitsOf(settings),
      ...(quotaGroup !== undefined && { quotaGroup }),
    }),
  )
  return { choice: provider.key_choice, keys: configured.length === 0 ? [NO_KEY] : configured }
}

/** The base URL of a provider; `simulator:NAME/path` is one of this process. */
function addressOf(provider: ProviderConfig, simulators: ReadonlyMap<string, string>): string {
  const url = provider.base_url ?? providers.get(provider.type)!.baseUrl!
  const inside = /^simulator:([^/]+)(.*)$/.exec(url)
  return inside === null ? url : simulators.get(inside[1]!)! + inside[2]!
}
