/*
 * How many extra attempts a route may make: retries, second and later failovers and hedges together, so that an outage is not
 * multiplied. Each call brings its share, and time brings ten a second; neither can be saved up for more than a few seconds. Hedges have
 * a share of their own beside it, to which time adds nothing.
 */
import type { Clock } from '../core/clock.ts'

export interface Allowance {
  /** A call has come: its share is added. */
  called(): void
  /** Whether one more extra attempt may be made; if so, it counts. */
  take(): boolean
  /** It was not made after all. */
  giveBack(): void
}

const PER_SECOND = 10
/** The share of so many calls can be saved up. */
const SAVED_CALLS = 1_000

/** @param perSecond what time brings, and how much of that can be saved up */
export function allowance(clock: Clock, share: number, perSecond = PER_SECOND): Allowance {
  let ofCalls = 0
  let ofTime = perSecond
  let at = clock.ticks()
  return {
    called() {
      ofCalls = Math.min(ofCalls + share, SAVED_CALLS * share)
    },
    take() {
      const now = clock.ticks()
      ofTime = Math.min(perSecond, ofTime + ((now - at) / 1000) * perSecond)
      at = now
      if (ofTime >= 1) ofTime--
      // Shares are fractions whose sum is a little off; 5 × 0.2 must buy one.
      else if (ofCalls >= 1 - 1e-9) ofCalls--
      else return false
      return true
    },
    giveBack() {
      // Time is asked first, so it is given back first; neither grows past what can be saved up.
      if (ofTime + 1 <= perSecond) ofTime++
      else ofCalls = Math.min(ofCalls + 1, SAVED_CALLS * share)
    },
  }
}
