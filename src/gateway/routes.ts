/*
 * Call → plan. A plan is made before the first try, from the configuration and the call: the route's targets in the order that its
 * chooser gives, then its fallbacks, each followed by its own retries, then its rungs. What the call or the operator rules out is in the plan too,
 * with its reason, so that the log can tell why nobody asked it.
 */
import type { Terms } from '../cache/answers.ts'
import type { Feature, Level, PassedOver, Plan, ReducedStep, StandIn, Step, Target } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import { Fault, type FaultName } from '../core/fault.ts'
import { estimatedInputTokens } from '../usage/estimate.ts'
import type { Allowance } from './allowance.ts'
import type { Chooser, ClientHeaders, Weighted } from './choosers.ts'
import type { Client } from './clients.ts'
import type { Gateway, Journey } from './gateway.ts'
import { type Reduction, reducedCall } from './reduced-call.ts'

/** What a route does when all before it has failed, or when it is set to this level by hand. */
export type Rung = ReducedRung | StandIn

export interface ReducedRung extends Reduction {
  readonly level: 'reduced' | 'minimal'
  readonly targets: (carried: string) => readonly Target[]
}

export interface RouteCache extends Terms {
  /** Of everything in the configuration that decides an answer: another one, other answers. */
  readonly version: string
  /** Whether clients see each other's answers. */
  readonly isShared: boolean
}

export interface Route {
  /** As configured; a pattern such as `claude-*` keeps its star. */
  readonly name: string
  readonly choose: Chooser
  /** `carried`: what the star of the route stood for. */
  readonly targets: (carried: string) => readonly Weighted[]
  readonly fallbacks: (carried: string) => readonly Target[]
  readonly deadlineMs: number
  readonly require: readonly string[]
  /** Overrides of the fault table's "next target". */
  readonly faults: ReadonlyMap<FaultName, 'fail_over' | 'return'>
  readonly allowance: Allowance
  /** Undefined: never. */
  readonly heartbeatMs: number | undefined
  /** What becomes of a stream that breaks off after content. */
  readonly recover: 'off' | 'splice' | 'prefill' | 'hold'
  /** A first content later than this times the target's median is a soft failure; undefined: none is. */
  readonly slowFactor: number | undefined
  /** Undefined: a slow target is waited for. `share`: how many calls may have a second attempt beside the first. */
  readonly hedge: { readonly afterMs: number; readonly share: Allowance } | undefined
  readonly cache: RouteCache | undefined
  /** In the order in which they are come down to; at most one of each level. */
  readonly rungs: readonly Rung[]
}

export interface Routes {
  /** Throws a Fault: unknown-route, or forbidden-route. The second element is what the star stood for. */
  find(model: string, client: Client): readonly [route: Route, carried: string]
  /** As configured. */
  all(): readonly Route[]
  /** By its name as configured. */
  named(name: string): Route | undefined
  /** The route names that this client may ask for, as configured. */
  visibleTo(client: Client): readonly string[]
}

export function routes(all: readonly Route[]): Routes {
  const byName = new Map(all.map(route => [route.name, route]))
  const exact = new Map(all.filter(route => !route.name.includes('*')).map(route => [route.name, route]))
  // Of several patterns that fit, the one with the most letters before its star says most.
  const patterns = all
    .filter(route => route.name.includes('*'))
    .map(route => {
      const [before, after] = route.name.split('*') as [string, string]
      return { route, before, after }
    })
    .sort((a, b) => b.before.length - a.before.length || b.after.length - a.after.length)

  function lookUp(model: string): readonly [Route, string] | undefined {
    const route = exact.get(model)
    if (route !== undefined) return [route, '']
    const fits = patterns.find(
      ({ before, after }) => model.length > before.length + after.length && model.startsWith(before) && model.endsWith(after),
    )
    return fits && [fits.route, model.slice(fits.before.length, model.length - fits.after.length)]
  }

  const mayAsk = (client: Client, route: Route) => client.routes === undefined || client.routes.has(route.name)

  return {
    find(model, client) {
      const found = lookUp(model)
      if (found === undefined) {
        throw new Fault('unknown-route', {
          message: `The model "${model}" does not exist. GET /v1/models lists those that do.`,
          param: 'model',
        })
      }
      if (!mayAsk(client, found[0])) {
        throw new Fault('forbidden-route', { message: `This API key may not use the model "${model}".`, param: 'model' })
      }
      return found
    },
    all: () => all,
    named: name => byName.get(name),
    visibleTo: client => all.filter(route => mayAsk(client, route)).map(route => route.name),
  }
}

/** The plan of a journey, from the level at which its route stands. */
export function planOf(gateway: Gateway, { route, call, client, level }: Journey, carried: string, headers: ClientHeaders): Plan {
  return planFor(route!, carried, call!, client!, headers, retriesOf(gateway), level, gateway.probing.behind())
}

/** How often at most a target can be tried again: with patience, or with another key. */
export function retriesOf({ keys }: Gateway): (target: Target) => number {
  return target => Math.max(target.retry.attempts, keys.size(target.providerName) - 1)
}

/**
 * The ordered tries for one call.
 * @param retriesOf how often at most the same target can be tried again, other keys included
 * @param from the level that the route was set to by hand: the plan begins there
 * @param behind which targets step behind the others, fallbacks included; undefined: none does
 */
export function planFor(
  route: Route,
  carried: string,
  call: ChatCall,
  client: Client,
  headers: ClientHeaders,
  retriesOf: (target: Target) => number,
  from: Level = 'normal',
  behind?: (target: Target) => boolean,
): Plan {
  const needs = needsOf(call)
  const planning = new Planning(route, call, client, retriesOf)
  const first = from === 'normal' ? -1 : route.rungs.findIndex(({ level }) => level === from)
  if (first === -1) {
    const chosen = route.choose(route.targets(carried), call, client, headers)
    const fallbacks = route.fallbacks(carried)
    if (behind === undefined) {
      for (const target of chosen) planning.add(target, needs)
      for (const target of fallbacks) planning.add(target, needs)
    } else {
      const all = [...chosen, ...fallbacks]
      for (const target of all) if (!behind(target)) planning.add(target, needs)
      for (const target of all) if (behind(target)) planning.add(target, needs)
    }
  }
  for (let at = Math.max(0, first); at < route.rungs.length; at++) {
    const rung = route.rungs[at]!
    if (!('targets' in rung)) {
      planning.steps.push(rung)
      continue
    }
    const reduced = { level: rung.level, ...reducedCall(call, rung) }
    const needed = reduced.leftOut.length === 0 ? needs : needsOf(reduced.call)
    for (const target of rung.targets(carried)) planning.add(target, needed, reduced)
  }
  return planning.steps
}

class Planning {
  readonly steps: (Step | StandIn)[] = []
  private readonly route: Route
  private readonly call: ChatCall
  private readonly client: Client
  private readonly retriesOf: (target: Target) => number

  constructor(route: Route, call: ChatCall, client: Client, retriesOf: (target: Target) => number) {
    this.route = route
    this.call = call
    this.client = client
    this.retriesOf = retriesOf
  }

  /** @param needs of the call as the rung makes it */
  add(target: Target, needs: Needs, rung?: ReducedStep): void {
    if (this.has(target, rung)) return
    const passedOver = ruledOut(target, this.route, this.client, rung?.call ?? this.call, needs)
    if (passedOver !== undefined) return this.push({ target, again: 0, passedOver }, rung)
    const retries = this.retriesOf(target)
    for (let again = 0; again <= retries; again++) this.push({ target, again }, rung)
  }

  /** Whether it is in the plan already, be it ruled out for this rung; with less in the call it may not be. */
  private has(target: Target, rung: ReducedStep | undefined): boolean {
    for (const step of this.steps)
      if ('target' in step && step.target === target && (step.passedOver === undefined || step.rung === rung)) return true
    return false
  }

  private push(step: Step, rung: ReducedStep | undefined): void {
    this.steps.push(rung === undefined ? step : { ...step, rung })
  }
}

/** Every target that a call may come to, whoever goes first. */
export function candidates(route: Route, carried: string, client: Client): readonly Target[] {
  const rungs = route.rungs.flatMap(rung => ('targets' in rung ? rung.targets(carried) : []))
  const all = [...route.targets(carried).map(({ target }) => target), ...route.fallbacks(carried), ...rungs]
  return all.filter(target => hasTags(target, route, client))
}

function hasTags({ tags }: Target, route: Route, client: Client): boolean {
  for (const tag of route.require) if (!tags.has(tag)) return false
  for (const tag of client.require) if (!tags.has(tag)) return false
  return true
}

export interface Needs {
  readonly features: readonly Feature[]
  readonly inputTokens: number
}

export function needsOf(call: ChatCall): Needs {
  const { shape } = call
  const features: Feature[] = []
  if ((shape.tools?.length ?? 0) > 0) features.push('tools')
  if (shape.response_format?.type === 'json_schema') features.push('json_schema')
  const hasImage = shape.messages.some(
    ({ content }) => Array.isArray(content) && content.some((part: { type: string }) => part.type === 'image_url'),
  )
  if (hasImage) features.push('vision')
  return { features, inputTokens: estimatedInputTokens(call) }
}

function ruledOut(target: Target, route: Route, client: Client, call: ChatCall, needs: Needs): PassedOver | undefined {
  if (!hasTags(target, route, client)) return 'tag'
  const { context, supports } = target.abilities
  // The estimate is rough: only a call that is far too long is not worth a try.
  if (context !== undefined && needs.inputTokens > 2 * context) return 'incapable'
  if (supports !== undefined && needs.features.some(feature => !supports.has(feature))) return 'incapable'
  return target.provider.refuses(call, target) === undefined ? undefined : 'incapable'
}
