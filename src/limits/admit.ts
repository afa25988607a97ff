/*
 * Lets a client's call pass its limits: requests and tokens a minute, calls in flight and the budget, all or none, in one trip to the
 * store. What passed holds a permit, and the permit is settled once, when the journey ends, by what was really used.
 *
 * The store answers even while what it stands on is away; should it fail all the same, the call passes. A gateway that refuses everybody
 * because it cannot count would be the outage that it is there to prevent. It is settled nevertheless: the store may have counted it, and
 * only its answer was lost.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Fault } from '../core/fault.ts'
import { type LimitName, type Limits, limitOf, limitsUsed, limitWants } from '../core/limits.ts'
import type { Store, Taken, Want } from '../core/store.ts'
import { type BudgetStatus, budget, type Reservation, type SumWant } from './budgets.ts'
import type { Allotment } from './periods.ts'
import { limitHeaders, limitRefusal, type Remaining } from './rate.ts'

/** What a call asks of its client's limits. */
export interface Ask {
  /** The estimate of its tokens. */
  readonly tokens: number
  /** What it can cost; made only for clients that have a budget. */
  readonly cost: () => Reservation
  /** How long the call may last. */
  readonly deadlineMs: number
}

/** A call that has passed. */
export interface Permit {
  /** Pays what is owed; the first time counts. Never waits and never throws. */
  settle(tokens: number, usd: number): void
}

/** The headers tell the client of its limits either way. */
export type Admission =
  | { readonly permit: Permit; readonly headers: Readonly<Record<string, string>> }
  | { readonly fault: Fault; readonly headers: Readonly<Record<string, string>> }

export interface ClientLimits {
  admit(ask: Ask): Promise<Admission>
  /** Of the budget, if there is one, as this replica knows it. */
  budget(): BudgetStatus | undefined
  /** Asks the store what is left of the budget. Never rejects. */
  refresh(): Promise<void>
}

export interface ClientLimitsOptions {
  readonly store: Store
  readonly clock: Clock
  /** The client's name. */
  readonly client: string
  readonly limits: Limits
  readonly budget: Allotment | undefined
  /** Told of every call that did not pass, with the limit that it met. */
  readonly onLimited: (limit: LimitName | 'budget') => void
}

/** A call may outlast its deadline by the time that its last words take. */
const LEASE_BEYOND_MS = 60_000

/** Where the store does not know. */
const letPass = (): Taken => ({ ok: true, remaining: [] })

export function clientLimits(options: ClientLimitsOptions): ClientLimits {
  const { store, clock, client, limits, budget: allotment, onLimited } = options
  const holder = `client:${client}`
  const purse = allotment === undefined ? undefined : budget(store, clock, holder, allotment)
  const wantsOf = limitWants(holder, limits)
  const headersOf = limitHeaders(limits)
  // Never the id of the call: a client may choose that, and two calls of one id would be counted once. It is short, as it goes to the
  // store with every call.
  const replica = randomBytes(12).toString('base64url')
  let takers = 0
  /** What remained after the call that passed last. */
  const remaining: Remaining = { rpm: limits.rpm ?? 0, tpm: limits.tpm ?? 0 }

  async function admit(ask: Ask): Promise<Admission> {
    const wants = wantsOf(ask.tokens, ask.deadlineMs + LEASE_BEYOND_MS)
    const taker = nextTaker()
    if (purse === undefined) return admitted(taker, wants, undefined, await take(taker, wants))
    const cost = ask.cost()
    const mayTakeLess = cost.leastUsd < cost.mostUsd
    const isNearTheEdge = mayTakeLess && purse.isShort(cost)
    if (isNearTheEdge) await purse.refresh()
    const sum = purse.want(cost)
    const taken = await take(taker, [...wants, sum])
    const budgetRefused = !taken.ok && taken.want === wants.length
    if (!budgetRefused || !mayTakeLess || isNearTheEdge) return admitted(taker, wants, sum, taken)
    await purse.refresh()
    const rest = purse.want(cost)
    const second = nextTaker()
    return admitted(second, wants, rest, await take(second, [...wants, rest]))
  }

  const nextTaker = () => `${replica}:${++takers}`

  const take = (taker: string, wants: readonly Want[]): Promise<Taken> => store.take(taker, wants).catch(letPass)

  function admitted(taker: string, wants: readonly Want[], sum: SumWant | undefined, taken: Taken): Admission {
    const now = clock.now()
    if (!taken.ok) {
      const name = wants[taken.want] === undefined ? undefined : limitOf(wants[taken.want]!)
      const headers = headersOf(name === 'rpm' ? { rpm: 0, tpm: remaining.tpm } : remaining, now)
      onLimited(name ?? 'budget')
      return { fault: name === undefined ? purse!.refusal() : limitRefusal(name, limits, taken.retryAfterMs), headers }
    }
    for (let at = 0; at < wants.length; at++) {
      const name = limitOf(wants[at]!)
      const left = taken.remaining[at]
      if (left !== undefined && (name === 'rpm' || name === 'tpm')) remaining[name] = left
    }
    if (sum !== undefined) purse!.taken(sum, taken.remaining[wants.length])
    return { permit: permit(taker, wants, sum), headers: headersOf(remaining, now) }
  }

  function permit(taker: string, wants: readonly Want[], sum: SumWant | undefined): Permit {
    let isSettled = false
    return {
      settle(tokens, usd) {
        if (isSettled) return
        isSettled = true
        const used = limitsUsed(wants, tokens)
        if (sum !== undefined) used.push(purse!.used(sum, usd))
        store.settle(taker, used).catch(() => undefined)
      },
    }
  }

  // Of what is left after a restart, or beside other replicas, nothing is known yet.
  void purse?.refresh()

  return {
    admit,
    budget: () => purse?.status(),
    refresh: async () => purse?.refresh(),
  }
}
