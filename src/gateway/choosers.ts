/** Who goes first among a route's targets. Choosers know nothing of faults; a target that is coming back gets its share of the traffic, no more. */
import type { Target } from '../core/attempt.ts'

export interface Weighted {
  readonly target: Target
  readonly weight: number
}

/** @param ramp the share of its traffic, from 0.1 to 1, that a target gets at present */
export type Chooser = (targets: readonly Weighted[], ramp: (target: string) => number, random: () => number) => readonly Target[]

/** As written. A target in its ramp steps behind the others for the calls that it is not to have yet. */
const order: Chooser = (targets, ramp, random) => {
  const now: Target[] = []
  const later: Target[] = []
  for (const { target } of targets) {
    const part = ramp(target.id)
    ;(part >= 1 || random() < part ? now : later).push(target)
  }
  return later.length === 0 ? now : [...now, ...later]
}

/** The first is drawn by weight; the others follow, the heavier first. */
const weighted: Chooser = (targets, ramp, random) => {
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

export const CHOOSERS = { order, weighted } as const satisfies Record<string, Chooser>
