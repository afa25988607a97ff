/*
 * A client's budget: so many US$ an hour, a day or a month, in UTC. What a call may cost at most is reserved before it and settled by what
 * it did cost, so that calls in parallel cannot overrun it. The period is part of the sum's key: a call that ends in the next period is
 * settled in its own.
 *
 * A call that says how long its answer may be has one price at most, and passes when all of that is left. One that does not say would have
 * to reserve the longest answer that the model can give, and the last dollars of a budget could never be spent: such a call reserves
 * what is left when that is less. It has it to itself then, so at most one answer goes beyond the budget, by its own cost. What is left
 * is known from the last call; near the edge, where other replicas make the difference, the store is asked for it, which is a second trip.
 */
import type { Clock } from '../core/clock.ts'
import { Fault } from '../core/fault.ts'
import { limitKey } from '../core/limits.ts'
import type { Store, Want } from '../core/store.ts'
import { type Allotment, KEPT_AFTER_MS, nanosOf, type Period, periodAt, usdOf } from './periods.ts'

/** What a call can cost, US$. */
export interface Reservation {
  /** With the longest answer. */
  readonly mostUsd: number
  /** Below this the call is refused: as much as `mostUsd` when the call says how long its answer may be. */
  readonly leastUsd: number
}

export type SumWant = Want & { readonly kind: 'sum' }

export interface BudgetStatus extends Allotment {
  /** As in `2026-11-27`. */
  readonly period: string
  /** What calls under way have reserved included; more than the budget when the last of them cost more than it had reserved. */
  readonly usedUsd: number
  /** Never below 0. What calls under way have reserved is not left. */
  readonly remainingUsd: number
  readonly renewsAtMs: number
}

export interface Budget {
  /** What to take for a call now. */
  want(reservation: Reservation): SumWant
  /** Whether, as far as this replica knows, the whole reservation does not fit. */
  isShort(reservation: Reservation): boolean
  /** It was taken, and so much remains, where the store said so. */
  taken(want: SumWant, remaining: number | undefined): void
  /** What was taken, as it is to be settled. */
  used(want: SumWant, usd: number): SumWant
  refusal(): Fault
  /** As this replica knows it. */
  status(): BudgetStatus
  /** Asks the store what is left. Never rejects. */
  refresh(): Promise<void>
}

export function budget(store: Store, clock: Clock, holder: string, { usd, per }: Allotment): Budget {
  const limit = nanosOf(usd)
  const keyOf = ({ name }: Period) => limitKey(holder, `budget:${name}`)
  let period = periodAt(per, clock.now())
  /** Of the period's sum. */
  let key = keyOf(period)
  /** What is left of the period as far as this replica knows. */
  let left = limit

  function current(now = clock.now()): Period {
    if (now >= period.endsAtMs) {
      period = periodAt(per, now)
      key = keyOf(period)
      left = limit
    }
    return period
  }

  function wantOf({ mostUsd, leastUsd }: Reservation): SumWant {
    const now = clock.now()
    const { endsAtMs } = current(now)
    const amount = Math.max(nanosOf(leastUsd), Math.min(nanosOf(mostUsd), left))
    return { kind: 'sum', key, amount, limit, ttlMs: endsAtMs - now + KEPT_AFTER_MS }
  }

  async function refresh(): Promise<void> {
    current()
    const asked = key
    const found = await store.read([asked]).catch(() => undefined)
    if (found !== undefined && key === asked) left = limit - Number(found[0] ?? 0)
  }

  function status(): BudgetStatus {
    const { name, endsAtMs } = current()
    return { usd, per, period: name, usedUsd: usdOf(limit - left), remainingUsd: usdOf(Math.max(0, left)), renewsAtMs: endsAtMs }
  }

  return {
    want: wantOf,
    isShort({ mostUsd }) {
      current()
      return left < nanosOf(mostUsd)
    },
    taken(want, remaining) {
      if (want.key === key) left = remaining ?? left - want.amount
    },
    used(want, spentUsd) {
      const amount = nanosOf(spentUsd)
      current()
      if (want.key === key) left += want.amount - amount
      return { kind: 'sum', key: want.key, amount, limit, ttlMs: want.ttlMs }
    },
    refusal() {
      const { endsAtMs } = current()
      const renews = new Date(endsAtMs).toISOString().replace('.000Z', 'Z')
      return new Fault('over-budget', {
        message: `The budget of this API key, US$ ${usd} a ${per}, does not have enough left for this request. It is renewed at ${renews}.`,
        retryAfterMs: endsAtMs - clock.now(),
      })
    },
    status,
    refresh,
  }
}
