/*
 * Who goes first among a route's targets, and who follows. Choosers know nothing of circuits; but a target that is coming back gets its
 * share of the traffic, no more: for the calls that it is not to have yet, it steps behind the others.
 */
import type { Target } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import type { Paces } from '../resilience/pace.ts'
import { estimatedAnswerTokens, estimatedInputTokens } from '../usage/estimate.ts'
import { costUsd } from '../usage/price.ts'
import type { Client } from './clients.ts'

export interface Weighted {
  readonly target: Target
  readonly weight: number
}

/** The headers of a client's request as HTTP gave them: handed on unread, for the routes that want one of them. */
export type ClientHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** All the targets, each once, in the order in which this call is to try them. */
export type Chooser = (targets: readonly Weighted[], call: ChatCall, client: Client, headers: ClientHeaders) => readonly Target[]

export interface ChooserParts {
  /** The share of its traffic, from 0.1 to 1, that a target gets at present. */
  readonly ramp: (target: string) => number
  readonly random: () => number
  readonly paces: Paces
}

/** How a route chooses, under the name that the configuration has for it. */
export type Choosers = Readonly<Record<'order' | 'weighted' | 'latency' | 'cost' | 'least_busy', Chooser>>

export function choosers({ ramp, random, paces }: ChooserParts): Choosers {
  /** A chooser that is asked for an order of those that may go first, and for one of those that step behind. */
  function ramped(arrange: (targets: readonly Target[], call: ChatCall) => readonly Target[]): Chooser {
    return (targets, call) => {
      if (targets.length === 1) return [targets[0]!.target]
      const now: Target[] = []
      const later: Target[] = []
      for (const { target } of targets) {
        const part = ramp(target.id)
        ;(part >= 1 || random() < part ? now : later).push(target)
      }
      return later.length === 0 ? arrange(now, call) : [...arrange(now, call), ...arrange(later, call)]
    }
  }

  /** The first is drawn by weight, ramped where the target is in its ramp; the others follow, the heavier first. */
  function weighted(targets: readonly Weighted[]): readonly Target[] {
    if (targets.length === 1) return [targets[0]!.target]
    const weights = targets.map(({ target, weight }) => weight * ramp(target.id))
    let point = random() * weights.reduce((sum, weight) => sum + weight, 0)
    let drawn = 0
    for (const [at, weight] of weights.entries()) {
      drawn = at
      point -= weight
      if (point < 0) break
    }
    const others = targets.map((_, at) => at).filter(at => at !== drawn)
    others.sort((a, b) => weights[b]! - weights[a]!)
    return [drawn, ...others].map(at => targets[at]!.target)
  }

  /**
   * The cheaper of two that are drawn, by time to first content and calls in flight; the others follow, the quicker first. Two and not
   * all, so that replicas and calls of one moment do not all run to the same target. Whoever is unknown goes first for one call.
   */
  function quickest(targets: readonly Target[], call: ChatCall): readonly Target[] {
    if (targets.length < 2) return targets
    const kind = call.stream ? 'stream' : 'whole'
    // Of the unknown nothing good is assumed, or one that never answers would be asked again and again.
    let slowestMs = 1
    for (const { id } of targets) slowestMs = Math.max(slowestMs, paces.answerMs(id, kind) ?? 0)
    const costs = targets.map(({ id }) => paces.costMs(id, kind, 2 * slowestMs))
    costs[cheaperOfTwo(costs)] = -1
    const onTrial = targets.findIndex(({ id }) => paces.wantsTrial(id, kind))
    if (onTrial !== -1) costs[onTrial] = Number.NEGATIVE_INFINITY
    return inOrderOf(costs, targets)
  }

  function cheaperOfTwo(costs: readonly number[]): number {
    const one = Math.floor(random() * costs.length)
    const other = (one + 1 + Math.floor(random() * (costs.length - 1))) % costs.length
    return costs[other]! < costs[one]! ? other : one
  }

  /** The one with the fewest calls in flight first; equals by lot. */
  function leastBusy(targets: readonly Target[]): readonly Target[] {
    // A lot is less than one call.
    const loads = targets.map(({ id }) => paces.inFlight(id) + random())
    return inOrderOf(loads, targets)
  }

  return {
    order: ramped(targets => targets),
    weighted,
    latency: ramped(quickest),
    cost: ramped(cheapest),
    least_busy: ramped(leastBusy),
  }
}

/** By what the call is about to cost; those whose price nobody knows come last. Equals stay in the order in which they are written. */
function cheapest(targets: readonly Target[], call: ChatCall): readonly Target[] {
  if (targets.length < 2) return targets
  const usage = { input: estimatedInputTokens(call), output: estimatedAnswerTokens(call) }
  const costs = targets.map(({ abilities }) => costUsd(abilities.price, usage) ?? Number.POSITIVE_INFINITY)
  return inOrderOf(costs, targets)
}

/** The smallest first; equals stay as they are. */
function inOrderOf(costs: readonly number[], targets: readonly Target[]): readonly Target[] {
  const places = targets.map((_, at) => at)
  // Not by their difference: that of two infinite ones is no number.
  places.sort((a, b) => (costs[a]! < costs[b]! ? -1 : costs[a]! > costs[b]! ? 1 : 0))
  return places.map(at => targets[at]!)
}
