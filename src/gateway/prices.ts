/*
 * What a target costs, for budgets and caps. An unknown price is not taken as nothing: it is taken to be the dearest that the
 * configuration knows, column by column, or that of a large model where it knows none. So a budget errs on the side of being used up too
 * soon, and the operator is told what to write to put it right, `price: {input: 0, output: 0}` for a model that costs nothing included.
 */
import type { Price, Target } from '../core/attempt.ts'
import { labelOf } from './targets.ts'

export interface Prices {
  /** Known or assumed. */
  of(target: Target): Price
}

/** US$ per million tokens of a large model of these years. */
const LARGE: Price = { input: 15, output: 75 }

/**
 * @param targets all that the configuration names
 * @param onUnknown told once of each target whose price had to be assumed, by its metric label
 */
export function prices(targets: readonly Target[], onUnknown: (target: string, assumed: Price) => void): Prices {
  const known = targets.flatMap(({ abilities: { price } }) => (price === undefined ? [] : [price]))
  const dearest = known.reduce<Price>(
    (most, { input, output }) => ({ input: Math.max(most.input, input), output: Math.max(most.output, output) }),
    { input: 0, output: 0 },
  )
  const assumed = known.length === 0 ? LARGE : dearest
  const told = new Set<string>()
  return {
    of(target) {
      const { price } = target.abilities
      if (price !== undefined) return price
      const label = labelOf(target)
      if (!told.has(label)) onUnknown(label, assumed)
      told.add(label)
      return assumed
    },
  }
}
