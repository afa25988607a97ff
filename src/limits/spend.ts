/*
 * What was spent, name by name: providers, which may have a cap, and clients that have no budget. Whether a provider is at its cap is asked
 * at every step of every call, so each replica has the sum at hand. What an attempt cost is added here at once and to the store soon,
 * one addition at a time with all that has gathered meanwhile; the store's answer brings what other replicas have spent, and so do
 * their announcements (at most one a second, but at once when the cap is reached) and a reading every few seconds.
 *
 * A cap is looked at before an attempt and not reserved. It can be overrun by the attempts that are under way when it is reached, and by
 * what the other replicas have spent within the last second or, when an announcement is lost, within the last four.
 *
 * Without a cap there is nothing to decide, and the store is not asked: then the sum is that of this process, for today.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { asObject, tryParse } from '../core/json.ts'
import type { Store } from '../core/store.ts'
import { type Allotment, KEPT_AFTER_MS, nanosOf, type Per, periodAt, usdOf } from './periods.ts'

export interface SpendStatus {
  readonly name: string
  readonly per: Per
  /** As in `2026-11-27`. */
  readonly period: string
  readonly usd: number
  readonly capUsd: number | undefined
  readonly renewsAtMs: number
}

export interface Spend {
  /** What an attempt cost. Never waits and never throws. */
  add(name: string, usd: number): void
  isCapped(name: string): boolean
  /** When the period that counts now is over; milliseconds since 1970. */
  renewsAtMs(name: string): number
  /** As this replica knows it. */
  status(): readonly SpendStatus[]
  /** Asks the store for every sum that it has. Never rejects. */
  refresh(): Promise<void>
  /** From now on these names and caps count. What was spent under a name lives on, unless its cap has another period, or is new or gone. */
  replace(caps: Caps): void
  /** Hands on what is not in the store yet. */
  close(): Promise<void>
}

/** Every name, with its cap if it has one. */
export type Caps = ReadonlyMap<string, Allotment | undefined>

interface Account {
  readonly name: string
  readonly per: Per
  /** Billionths of a US$, like all amounts here. */
  cap: number | undefined
  period: string
  endsAtMs: number
  /** The key in the store; the period is part of it. */
  key: string
  /** What the store has, by its last word. */
  known: number
  /** On the way to the store. */
  sent: number
  /** Not on the way yet. */
  pending: number
  sending: Promise<void> | undefined
  announcedAtTicks: number
}

const TOPIC = 'spend'
const REFRESH_EVERY_MS = 4_000
const ANNOUNCE_EVERY_MS = 1_000
const WITHOUT_CAP: Per = 'day'

export function spend(store: Store, clock: Clock, caps: Caps): Spend {
  let accounts = new Map([...caps].map(([name, cap]) => [name, opened(name, cap)]))
  let capped: Account[] = []
  const byKey = (key: unknown) => capped.find(account => account.key === key)
  const ourselves = randomUUID()
  let closed = false
  let stopRefresh = () => {}
  let unhear: (() => void) | undefined
  begin()

  /** Where something has a cap, the store is asked and listened to. */
  function begin(): void {
    capped = [...accounts.values()].filter(({ cap }) => cap !== undefined)
    if (capped.length === 0) return
    if (unhear === undefined) void refresh().then(refreshLater)
    else void refresh()
    unhear ??= store.hear(TOPIC, message => {
      const { from, key, total } = asObject(tryParse(message)) ?? {}
      const account = byKey(key)
      if (from !== ourselves && account !== undefined && typeof total === 'number') learn(account, total)
    })
  }

  function replace(caps: Caps): void {
    const before = accounts
    accounts = new Map(
      [...caps].map(([name, cap]) => {
        const known = before.get(name)
        if (known === undefined || known.per !== (cap?.per ?? WITHOUT_CAP) || (known.cap === undefined) !== (cap === undefined))
          return [name, opened(name, cap)]
        known.cap = cap === undefined ? undefined : nanosOf(cap.usd)
        return [name, known]
      }),
    )
    for (const account of before.values()) {
      if (account.cap !== undefined && accounts.get(account.name) !== account) void handOnAll(account)
    }
    begin()
  }

  async function handOnAll(account: Account): Promise<void> {
    await account.sending
    if (account.pending > 0) handOn(account)
    await account.sending
  }

  function opened(name: string, cap: Allotment | undefined): Account {
    return {
      name,
      per: cap?.per ?? WITHOUT_CAP,
      cap: cap === undefined ? undefined : nanosOf(cap.usd),
      period: '',
      endsAtMs: Number.NEGATIVE_INFINITY,
      key: '',
      known: 0,
      sent: 0,
      pending: 0,
      sending: undefined,
      announcedAtTicks: Number.NEGATIVE_INFINITY,
    }
  }

  /** The account in the period that counts now. */
  function current(account: Account): Account {
    const now = clock.now()
    if (now < account.endsAtMs) return account
    if (account.pending > 0 && account.cap !== undefined) handOn(account)
    const { name, endsAtMs } = periodAt(account.per, now)
    Object.assign(account, { period: name, endsAtMs, key: `${TOPIC}:${account.name}:${name}`, known: 0, sent: 0, pending: 0 })
    return account
  }

  const totalOf = ({ known, sent, pending }: Account) => known + sent + pending

  /** Sums only grow: of two words about one, the larger is the later. */
  function learn(account: Account, total: number): void {
    account.known = Math.max(account.known, total)
  }

  function handOn(account: Account): void {
    const { key, endsAtMs, pending } = account
    account.sent += pending
    account.pending = 0
    account.sending = store
      .add(key, pending, endsAtMs - clock.now() + KEPT_AFTER_MS)
      .then(
        total => {
          if (account.key !== key) return
          account.sent -= pending
          learn(account, total)
          tell(account)
          return true
        },
        () => {
          if (account.key !== key) return
          // It is tried again with the next addition, or the next reading.
          account.sent -= pending
          account.pending += pending
        },
      )
      .then(taken => {
        account.sending = undefined
        if (taken && account.pending > 0) handOn(account)
      })
  }

  function tell(account: Account): void {
    const now = clock.ticks()
    if (now - account.announcedAtTicks < ANNOUNCE_EVERY_MS && account.known < account.cap!) return
    account.announcedAtTicks = now
    store.announce(TOPIC, JSON.stringify({ from: ourselves, key: account.key, total: account.known }))
  }

  async function refresh(): Promise<void> {
    if (capped.length === 0) return
    const keys = capped.map(account => current(account).key)
    const found = await store.read(keys).catch(() => [])
    for (const [at, account] of capped.entries()) {
      if (account.key === keys[at] && found[at] !== undefined) learn(account, Number(found[at]))
      if (account.pending > 0 && account.sending === undefined) handOn(account)
    }
  }

  function refreshLater(): void {
    if (!closed) stopRefresh = clock.after(REFRESH_EVERY_MS, () => void refresh().then(refreshLater))
  }

  return {
    add(name, usd) {
      const account = accounts.get(name)
      if (account === undefined || !(usd > 0)) return
      current(account).pending += nanosOf(usd)
      if (account.cap !== undefined && account.sending === undefined) handOn(account)
    },
    isCapped(name) {
      const account = accounts.get(name)
      return account?.cap !== undefined && totalOf(current(account)) >= account.cap
    },
    renewsAtMs: name => current(accounts.get(name)!).endsAtMs,
    status: () =>
      [...accounts.values()].map(account => {
        const { name, per, period, endsAtMs, cap } = current(account)
        const capUsd = cap === undefined ? undefined : usdOf(cap)
        return { name, per, period, usd: usdOf(totalOf(account)), capUsd, renewsAtMs: endsAtMs }
      }),
    refresh,
    replace,
    async close() {
      closed = true
      stopRefresh()
      unhear?.()
      for (const account of capped) await handOnAll(account)
    },
  }
}
