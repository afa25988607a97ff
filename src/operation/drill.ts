/*
 * A drill: simulators stand in for every provider of a configuration and are broken, one after the other and two at a time. What is
 * measured is what clients of each route would have seen. Times are those of the configuration; waiting that would show nothing, for a
 * provider that says nothing or a circuit to try again, is skipped and counted.
 */
import type { Config } from '../config/schema.ts'
import { systemClock } from '../core/clock.ts'
import { assemble } from '../gateway/assemble.ts'
import type { Route } from '../gateway/routes.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { embeddedStore } from '../state/embedded.ts'
import { log } from '../telemetry/log.ts'
import { metrics } from '../telemetry/metrics.ts'
import { type Called, called, candidatesOf, type Scene } from './drill-calls.ts'
import { simulators } from './simulators.ts'
import { skippingClock } from './skipping-clock.ts'

export type Break = 'down' | 'silent'

export interface Scenario {
  readonly broken: readonly string[]
  /** `down`: nothing listens. `silent`: a call is taken, and nothing is ever said. */
  readonly how: Break
}

/** What a route showed in a scenario that it has to do with. */
export interface Finding {
  readonly route: string
  readonly scenario: Scenario
  readonly calls: number
  readonly answered: number
  /** Whether somebody who was not broken could have answered. */
  readonly hadOthers: boolean
  /** Beyond what a call took before; of those that were answered. */
  readonly addedP50Ms: number | undefined
  readonly addedP99Ms: number | undefined
  /** By target, or as the client was told, how many calls it answered. */
  readonly served: ReadonlyMap<string, number>
  /** When the first circuit opened: after so many calls, and so long after the break; undefined: none did. */
  readonly opened: { readonly calls: number; readonly ms: number } | undefined
  /** How long after the repair one that had been broken answered again; undefined: it did not, or had not before. */
  readonly backMs: number | undefined
  /** Whether one that was broken answers for this route when all is well. */
  readonly servesUsually: boolean
}

export interface Drill {
  readonly findings: readonly Finding[]
  /** Not run for want of time. */
  readonly left: readonly Scenario[]
}

const CALLS_BEFORE = 20
const CALLS = 20
/** While traffic comes back, somebody calls so often. */
const CALL_EVERY_MS = 1_000
/** Real time, after which no scenario is begun any more. */
const LONGEST_MS = 50_000

/** @param config with simulators in the place of its providers, each named like its provider */
export async function drill(config: Config): Promise<Drill> {
  const startedTicks = systemClock.ticks()
  // While everything is down, nothing else keeps the process alive that waits to try again.
  const alive = setInterval(() => {}, LONGEST_MS)
  const inside = simulators()
  const prepared = await inside.prepare(config)
  inside.use(prepared)
  const byName = new Map([...prepared.running].map(([name, { simulator }]) => [name, simulator]))
  const findings: Finding[] = []
  const left: Scenario[] = []
  try {
    for (const scenario of scenariosOf(config)) {
      if (systemClock.ticks() - startedTicks > LONGEST_MS) left.push(scenario)
      else findings.push(...(await play(config, scenario, byName, prepared.addresses)))
    }
  } finally {
    await inside.close()
    clearInterval(alive)
  }
  return { findings, left }
}

/** Each provider by itself, in both ways; then every two that some route has to do with. */
function scenariosOf({ routes, providers }: Config): readonly Scenario[] {
  const ofRoutes = Object.values(routes).map(
    ({ targets, fallbacks, degrade }) =>
      new Set(
        [
          ...targets.map(({ target }) => target),
          ...fallbacks,
          ...degrade.flatMap(rung => ('targets' in rung ? rung.targets : [])),
        ].map(target => target.slice(0, target.indexOf('/'))),
      ),
  )
  const names = Object.keys(providers).filter(name => ofRoutes.some(used => used.has(name)))
  const pairs = names.flatMap((one, at) =>
    names
      .slice(at + 1)
      .filter(other => ofRoutes.some(used => used.has(one) && used.has(other)))
      .map(other => [one, other]),
  )
  return [
    ...names.map(name => ({ broken: [name], how: 'down' as const })),
    ...names.map(name => ({ broken: [name], how: 'silent' as const })),
    ...pairs.map(broken => ({ broken, how: 'down' as const })),
  ]
}

/** Its keys are made up. */
const unchanged = (text: string) => text

/** A gateway of its own for each scenario: what one leaves behind is not the next one's. */
async function play(
  config: Config,
  { broken: names, how }: Scenario,
  byName: ReadonlyMap<string, Simulator>,
  addresses: ReadonlyMap<string, string>,
): Promise<readonly Finding[]> {
  const clock = skippingClock()
  const assembled = assemble({
    config,
    store: embeddedStore(clock),
    clock,
    random: Math.random,
    log: log('silent', unchanged),
    metrics: metrics('drill'),
    simulators: addresses,
    redact: unchanged,
    traces: undefined,
  })
  const broken = new Set(names)
  const scene: Scene = {
    clock,
    assembled,
    broken,
    breaking: names.map(name => byName.get(name)!),
    well: [...byName].filter(([name]) => !broken.has(name)).map(([, simulator]) => simulator),
  }
  const routes = assembled.gateway.routes.all().filter(route => candidatesOf(route).some(each => broken.has(each.providerName)))
  try {
    const before = new Map<Route, readonly Called[]>()
    for (const route of routes) before.set(route, await called(scene, route, CALLS_BEFORE))
    for (const simulator of scene.breaking) simulator.script([how === 'down' ? { down: true } : { never_answer: true }])
    const during = new Map<Route, Outage>()
    for (const route of routes) during.set(route, await outage(scene, route))
    for (const simulator of scene.breaking) simulator.script([])
    const back = await comeback(
      scene,
      routes.filter(route => servesUsually(scene, before.get(route)!)),
      config,
    )
    return routes.map(route =>
      finding(scene, route, { broken: names, how }, before.get(route)!, during.get(route)!, back.get(route)),
    )
  } finally {
    for (const simulator of scene.breaking) simulator.script([])
    await assembled.close()
  }
}

const servesUsually = ({ broken }: Scene, calls: readonly Called[]) => calls.some(({ provider }) => broken.has(provider ?? ''))

interface Outage {
  readonly calls: readonly Called[]
  readonly opened: Finding['opened']
}

async function outage(scene: Scene, route: Route): Promise<Outage> {
  const { clock, assembled, broken } = scene
  const targets = candidatesOf(route).filter(({ providerName }) => broken.has(providerName))
  const startedTicks = clock.ticks()
  const calls: Called[] = []
  let opened: Finding['opened']
  while (calls.length < CALLS) {
    calls.push(...(await called(scene, route, 1)))
    const isOpen = targets.some(({ id }) => assembled.gateway.circuits.state(id) === 'open')
    if (isOpen) opened ??= { calls: calls.length, ms: clock.ticks() - startedTicks }
  }
  return { calls, opened }
}

/** Calls now and then until each route is answered again by one that had been broken; when that was, after the repair. */
async function comeback(scene: Scene, routes: readonly Route[], { providers }: Config): Promise<ReadonlyMap<Route, number>> {
  const { clock, broken } = scene
  const longestMs = 1.2 * Math.max(...[...broken].map(name => providers[name]!.circuit.open_max + providers[name]!.circuit.ramp))
  const startedTicks = clock.ticks()
  const back = new Map<Route, number>()
  while (back.size < routes.length && clock.ticks() - startedTicks < longestMs) {
    for (const route of routes) {
      if (back.has(route)) continue
      const [call] = await called(scene, route, 1)
      if (broken.has(call!.provider ?? '')) back.set(route, clock.ticks() - startedTicks)
    }
    clock.skip(CALL_EVERY_MS)
  }
  return back
}

function finding(
  scene: Scene,
  route: Route,
  scenario: Scenario,
  before: readonly Called[],
  { calls, opened }: Outage,
  backMs: number | undefined,
): Finding {
  const usualMs =
    quantile(
      before.map(({ ms }) => ms),
      0.5,
    ) ?? 0
  const answered = calls.filter(({ isAnswered }) => isAnswered)
  const served = new Map<string, number>()
  for (const { by } of answered) if (by !== undefined) served.set(by, (served.get(by) ?? 0) + 1)
  const added = (share: number) => {
    const ms = quantile(
      answered.map(({ ms }) => ms),
      share,
    )
    return ms === undefined ? undefined : Math.max(0, ms - usualMs)
  }
  return {
    route: route.name,
    scenario,
    calls: calls.length,
    answered: answered.length,
    hadOthers:
      candidatesOf(route).some(({ providerName }) => !scene.broken.has(providerName)) ||
      route.rungs.some(({ level }) => level === 'offline'),
    addedP50Ms: added(0.5),
    addedP99Ms: added(0.99),
    served,
    opened,
    backMs,
    servesUsually: servesUsually(scene, before),
  }
}

function quantile(values: readonly number[], share: number): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)]
}
