/*
 * The plan that a call would get now, with what each of its steps would meet. Nothing is sent, nothing is taken of any limit, and where a
 * lot is drawn, the next call may draw another.
 */
import type { Feature, PassedOver, StandIn, Step, Target } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import { estimatedInputTokens } from '../usage/estimate.ts'
import type { ClientHeaders } from './choosers.ts'
import type { Client } from './clients.ts'
import type { Gateway } from './gateway.ts'
import { needsOf, planFor, type Route, retriesOf } from './routes.ts'
import { type Standing, standingOf } from './standing.ts'

export interface Explained {
  readonly route: Route
  /** Where the plan begins. */
  readonly level: string
  readonly inputTokens: number
  readonly steps: readonly ExplainedStep[]
}

export type ExplainedStep =
  | StandIn
  | {
      readonly target: Target
      readonly level: string
      /** Tries of it at most, if the first ones fail in a way that allows another. */
      readonly tries: number
      /** Why it would be passed over; undefined: it would be tried when its turn comes. */
      readonly passedOver: PassedOver | undefined
      readonly because: string | undefined
      readonly standing: Standing
    }

/** Throws a Fault: unknown-route, or forbidden-route. */
export function explain(gateway: Gateway, call: ChatCall, client: Client, headers: ClientHeaders): Explained {
  const [route, carried] = gateway.routes.find(call.model, client)
  const level = route.rungs.length > 0 ? gateway.levels.of(route.name) : 'normal'
  const plan = planFor(route, carried, call, client, headers, retriesOf(gateway), level, gateway.probing.behind())
  const steps: ExplainedStep[] = []
  for (const step of plan) {
    if (!('target' in step)) steps.push(step)
    else if (step.again === 0)
      steps.push(explained(gateway, step, plan.filter(each => isTryOf(each, step)).length, route, client, call))
  }
  return { route, level, inputTokens: estimatedInputTokens(call), steps }
}

const isTryOf = (each: Step | StandIn, { target, rung }: Step) => 'target' in each && each.target === target && each.rung === rung

function explained(gateway: Gateway, step: Step, tries: number, route: Route, client: Client, call: ChatCall): ExplainedStep {
  const { target, rung } = step
  const standing = standingOf(gateway, target.providerName, target.id)
  const passedOver = step.passedOver ?? standing.passedOver
  return {
    target,
    level: rung?.level ?? 'normal',
    tries,
    passedOver,
    because: passedOver && because(passedOver, target, standing, route, client, rung?.call ?? call),
    standing,
  }
}

function because(
  reason: PassedOver,
  target: Target,
  { opensAtMs, isForced, keys }: Standing,
  route: Route,
  client: Client,
  call: ChatCall,
): string | undefined {
  switch (reason) {
    case 'tag':
      return `lacks ${[...route.require, ...client.require].filter(tag => !target.tags.has(tag)).join(', ')}`
    case 'incapable':
      return incapable(target, call)
    case 'circuit-open':
      if (isForced) return 'held open by an operator'
      return opensAtMs === undefined ? undefined : `until ${new Date(opensAtMs).toISOString()}`
    case 'no-key':
      return keys === 1 ? 'its key rests or is retired' : `all ${keys} keys rest or are retired`
    case 'spend-cap':
      return 'its provider is at its spend cap'
    default:
      return undefined
  }
}

function incapable(target: Target, call: ChatCall): string | undefined {
  const { context, supports } = target.abilities
  const { features, inputTokens } = needsOf(call)
  if (context !== undefined && inputTokens > 2 * context) return `about ${inputTokens} tokens, and its context has ${context}`
  const missing = features.filter((feature: Feature) => supports !== undefined && !supports.has(feature))
  return missing.length > 0 ? `does not do ${missing.join(', ')}` : target.provider.refuses(call, target)
}
