/*
 * Call → plan. A plan is made before the first try, from the configuration and the call: the route's targets in the order that its
 * chooser gives, then its fallbacks, each followed by its own retries. What the call or the operator rules out is in the plan too,
 * with its reason, so that the log can tell why nobody asked it.
 */
import type { Feature, PassedOver, Plan, Step, Target } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import { Fault, type FaultName } from '../core/fault.ts'
import { estimatedInputTokens } from '../usage/estimate.ts'
import type { Allowance } from './allowance.ts'
import type { Chooser, Weighted } from './choosers.ts'
import type { Client } from './clients.ts'

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
}

export interface Routes {
  /** Throws a Fault: unknown-route, or forbidden-route. The second element is what the star stood for. */
  find(model: string, client: Client): readonly [route: Route, carried: string]
  /** The route names that this client may ask for, as configured. */
  visibleTo(client: Client): readonly string[]
}

export function routes(all: readonly Route[]): Routes {
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
    visibleTo: client => all.filter(route => mayAsk(client, route)).map(route => route.name),
  }
}

/**
 * The ordered tries for one call.
 * @param retriesOf how often at most the same target can be tried again, other keys included
 */
export function planFor(
  route: Route,
  carried: string,
  call: ChatCall,
  client: Client,
  ramp: (target: string) => number,
  random: () => number,
  retriesOf: (target: Target) => number,
): Plan {
  const steps: Step[] = []
  const seen = new Set<Target>()
  const needs = needsOf(call)
  const add = (target: Target) => {
    if (seen.has(target)) return
    seen.add(target)
    const passedOver = ruledOut(target, route, client, call, needs)
    if (passedOver !== undefined) {
      steps.push({ target, again: 0, passedOver })
      return
    }
    const retries = retriesOf(target)
    for (let again = 0; again <= retries; again++) steps.push({ target, again })
  }
  for (const target of route.choose(route.targets(carried), ramp, random)) add(target)
  for (const target of route.fallbacks(carried)) add(target)
  return steps
}

/** Every target that a call may come to, whoever goes first. */
export function candidates(route: Route, carried: string, client: Client): readonly Target[] {
  const all = [...route.targets(carried).map(({ target }) => target), ...route.fallbacks(carried)]
  return all.filter(target => hasTags(target, route, client))
}

function hasTags({ tags }: Target, route: Route, client: Client): boolean {
  for (const tag of route.require) if (!tags.has(tag)) return false
  for (const tag of client.require) if (!tags.has(tag)) return false
  return true
}

interface Needs {
  readonly features: readonly Feature[]
  readonly inputTokens: number
}

function needsOf(call: ChatCall): Needs {
  const { body } = call
  const features: Feature[] = []
  if ((body.tools?.length ?? 0) > 0) features.push('tools')
  if (body.response_format?.type === 'json_schema') features.push('json_schema')
  const hasImage = body.messages.some(
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
