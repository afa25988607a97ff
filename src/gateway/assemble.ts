/** Configuration → gateway: the only place where implementations are chosen. */

import { answers } from '../cache/answers.ts'
import type { Config, ProviderConfig, RouteConfig } from '../config/schema.ts'
import type { Target } from '../core/attempt.ts'
import type { Clock } from '../core/clock.ts'
import type { FaultName } from '../core/fault.ts'
import type { Store } from '../core/store.ts'
import { providers } from '../providers/registry.ts'
import type { CircuitPolicy } from '../resilience/circuit.ts'
import type { KeyConfig } from '../resilience/keys.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Traces } from '../telemetry/traces.ts'
import { type Choosers, choosers } from './choosers.ts'
import { clientsByKey, keyHash, openToAll } from './clients.ts'
import type { Gateway, Journey } from './gateway.ts'
import { type Drawn, type Kept, kept } from './kept.ts'
import { ledger } from './ledger.ts'
import type { Recent } from './recent.ts'
import { cacheOf, levelsOf, rungsOf } from './route-tail.ts'
import { type Route, routes } from './routes.ts'
import { limitsOf, type Spending } from './spending.ts'
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
  readonly simulators: Addresses
  /** Takes the secrets of the configuration out of a text. */
  readonly redact: (text: string) => string
  /** Undefined: nobody wants any. */
  readonly traces: Traces | undefined
  /** Told of every key that this process has seen refused. */
  readonly onKeyRefused?: () => void
}

export type Addresses = ReadonlyMap<string, string>

export interface Assembled {
  readonly config: Config
  readonly gateway: Gateway
  /** Every target that the configuration names. */
  readonly targets: readonly Target[]
  readonly providerNames: readonly string[]
  readonly spending: Spending
  readonly recent: Recent
  /**
   * A gateway for another configuration, around what lives on. From now on that configuration counts; a call that is under way goes on
   * with the gateway that it began with. Throws, and has changed nothing, when it cannot be made.
   */
  over(config: Config, simulators: Addresses): Assembled
  /** To be called when the last call is over that began before this configuration: closes what nobody needs any more. */
  settle(): void
  /** Of all that came out of each other. */
  close(): Promise<void>
}

/** A server that asks for no key still has a state: it can tell us to come back later. */
const NO_KEY: KeyConfig = { name: 'none', value: '', weight: 1 }

export function assemble(parts: Parts): Assembled {
  const drawn = draw(parts.config, parts.simulators)
  return built(drawn, kept(parts, drawn), parts)
}

/** What a configuration amounts to by itself. To draw it changes nothing, and it may throw. */
function draw(config: Config, simulators: Addresses) {
  const known = targets(config.providers, providers, (_, provider) => addressOf(provider, simulators))
  for (const { targets: first, fallbacks, degrade } of Object.values(config.routes)) {
    const later = degrade.flatMap(rung => ('targets' in rung ? rung.targets : []))
    for (const target of [...first.map(one => one.target), ...fallbacks, ...later]) targetOf(target, known)
  }
  return {
    config,
    known,
    policies: new Map(Object.entries(config.providers).map(([name, provider]) => [name, policyOf(provider)])),
    keyPools: new Map(Object.entries(config.providers).map(([name, provider]) => [name, poolOf(provider)])),
    rungs: new Map(
      Object.entries(config.routes)
        .map(([name, route]) => [name, levelsOf(route)] as const)
        .filter(([, levels]) => levels.length > 0),
    ),
  }
}

function built(drawn: Drawn, lasting: Kept, parts: Parts): Assembled {
  const { config, known, policies } = drawn
  const { clock, random, log, metrics } = parts
  const { circuits, keys, paces, levels, flights, pools, shelf, spending, recent, probing, notices } = lasting
  const chosenBy = choosers({ ramp: circuits.ramp, random, paces })
  const all = Object.entries(config.routes).map(([name, route]) => routeOf(name, route, config, known, chosenBy, lasting))
  const settle = (journey: Journey) => {
    spending.settle(journey)
    notices.call(journey)
  }
  const gateway: Gateway = {
    clock,
    random,
    clients: clientsOf(config, spending.limits),
    routes: routes(all),
    keys,
    circuits,
    paces,
    levels,
    answers: answers(shelf, clock, config.cache.max_entry),
    flights,
    pools,
    ledger: ledger(clock, metrics, log, settle, recent),
    prices: spending.prices,
    spend: spending.providers,
    probing,
    headersShown: config.telemetry.headers,
    traces: parts.traces,
    bodies: config.telemetry.log.bodies,
    redact: parts.redact,
  }
  return {
    config,
    gateway,
    targets: known.all(),
    providerNames: [...policies.keys()],
    spending,
    recent,
    over(next, simulators) {
      const another = draw(next, simulators)
      return built(another, lasting.over(another), parts)
    },
    settle: () => pools.keepOnly(known.origins()),
    close: lasting.close,
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

function routeOf(
  name: string,
  settings: RouteConfig,
  config: Config,
  known: Targets,
  chosenBy: Choosers,
  { circuits: { ramp }, allowanceOf }: Kept,
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
    allowance: allowanceOf(name, 'extra', settings.extra_attempts),
    heartbeatMs: heartbeat === 'off' ? undefined : heartbeat,
    recover,
    slowFactor: slow?.factor,
    hedge: hedge && { afterMs: hedge.after, share: allowanceOf(name, 'hedge', hedge.share, 0) },
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
