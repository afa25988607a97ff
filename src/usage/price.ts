/** What a call cost, from its usage and the target's prices. */
import type { Price } from '../core/attempt.ts'
import type { Usage } from '../core/chat.ts'

/** US$; undefined when the price or the usage is unknown, which is not nothing. */
export function costUsd(price: Price | undefined, usage: Usage | undefined): number | undefined {
  if (price === undefined || usage === undefined || usage.input === undefined || usage.output === undefined) return undefined
  const { input, cached = 0, cacheWrite = 0, output, reasoning = 0 } = usage
  const whole = input + cached + cacheWrite
  const rates = price.tiers?.findLast(({ above }) => whole > above)?.rates ?? price
  const perMillion =
    input * rates.input +
    cached * (rates.cachedInput ?? rates.input) +
    cacheWrite * (rates.cacheWrite ?? rates.input) +
    (output + reasoning) * rates.output
  return perMillion / 1_000_000
}
