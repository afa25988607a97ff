/*
 * What Redis has to be told when it is back. What was spent without it is added up by key, so that a long outage leaves no more than
 * its keys; what Redis may already know (the reply was lost) keeps the id of its taker, so that it counts once. Values that were to be
 * written wait, too, the last one of each key. Everything here is bounded: beyond that, the oldest is let go.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Want } from '../core/store.ts'
import type { Failure } from './failure.ts'
import type { RemoteStore } from './redis.ts'

export interface Backlog {
  /** A taker's end that Redis did not confirm. `takenAt` when Redis may not know that it was taken. */
  settled(id: string, wants: readonly Want[], takenAt?: number): void
  /** What a taker used of whom Redis has never heard. */
  spent(wants: readonly Want[], takenAt: number): void
  /** An addition that failed; with its id when Redis may have made it. */
  added(key: string, amount: number, ttlMs: number, id?: string): void
  /** A value that could not be written; undefined when it is to be forgotten. */
  written(key: string, value: string | undefined, ttlMs: number): void
  /** The value that waits to be written; null when the key waits to be forgotten, undefined when nothing waits. */
  waiting(key: string): string | null | undefined
  /** Redis has been told something newer of this key. */
  overtaken(key: string): void
  empty(): boolean
  /** Tells Redis what waits now; rejects when Redis goes away over it, and keeps what was not told. */
  flush(remote: RemoteStore): Promise<void>
}

interface Writing {
  readonly value: string | undefined
  readonly expiresAt: number
}

/** Tells Redis one thing; as often as need be, to the same effect. */
type Telling = (remote: RemoteStore) => Promise<unknown>

const MOST = 50_000
/** Longer values are answers for the cache, and those may be missed. */
const LONGEST_VALUE = 10_000
const FORGET_MS = 3_600_000
const AT_ONCE = 200

export function backlog(clock: Clock): Backlog {
  const writings = new Map<string, Writing>()
  const tellings = new Map<string, Telling>()
  /** By key and, for rates, window: what was spent of it, and when first. */
  const spendings = new Map<string, { readonly want: Want & { amount: number }; readonly takenAt: number }>()
  const additions = new Map<string, { amount: number; readonly ttlMs: number; readonly expiresAt: number }>()

  function keep<Kept>(map: Map<string, Kept>, key: string, kept: Kept): void {
    map.set(key, kept)
    if (map.size > MOST) map.delete(map.keys().next().value!)
  }

  function settled(id: string, wants: readonly Want[], takenAt?: number): void {
    keep(tellings, id, remote => {
      if (takenAt === undefined) return remote.settle(id, wants)
      return remote.settle(id, wants, { takenMsAgo: Math.max(0, clock.now() - takenAt) })
    })
  }

  function added(key: string, amount: number, ttlMs: number, id?: string): void {
    const expiresAt = clock.now() + ttlMs
    if (id !== undefined) {
      return keep(tellings, id, async remote => {
        const leftMs = expiresAt - clock.now()
        if (leftMs > 0) await remote.add(key, amount, leftMs, id)
      })
    }
    const before = additions.get(key)
    if (before === undefined || before.expiresAt <= clock.now()) keep(additions, key, { amount, ttlMs, expiresAt })
    else before.amount += amount
  }

  /** Gives what was added up an id, under which it can be told again and again. */
  function closeSums(): void {
    for (const { want, takenAt } of spendings.values()) settled(randomUUID(), [want], takenAt)
    spendings.clear()
    for (const [key, { amount, expiresAt }] of additions) added(key, amount, expiresAt - clock.now(), randomUUID())
    additions.clear()
  }

  /** Many at a time, and what was told is forgotten here, unless there is something newer in its place. */
  async function tell<Kept>(map: Map<string, Kept>, send: (key: string, kept: Kept) => Promise<unknown>): Promise<void> {
    const all = [...map]
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const told = all.slice(at, at + AT_ONCE).map(async ([key, kept]) => {
        await send(key, kept).catch((failure: Failure) => {
          // What Redis refuses for a reason of its own, it would refuse for ever.
          if (failure.away || failure.reason === 'timeout' || failure.executed === 'unknown') throw failure
        })
        if (map.get(key) === kept) map.delete(key)
      })
      const failed = (await Promise.allSettled(told)).find(result => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }
  }

  return {
    settled,
    added,
    spent(wants, takenAt) {
      for (const want of wants) {
        // A lease was only ever held here.
        if (want.kind === 'lease' || want.amount === 0) continue
        const place = want.kind === 'rate' ? `${want.key} ${Math.floor(takenAt / want.windowMs)}` : want.key
        const before = spendings.get(place)
        if (before === undefined) keep(spendings, place, { want: { ...want }, takenAt })
        else before.want.amount += want.amount
      }
    },
    written(key, value, ttlMs) {
      if (value !== undefined && value.length > LONGEST_VALUE) return
      keep(writings, key, { value, expiresAt: clock.now() + (value === undefined ? FORGET_MS : ttlMs) })
    },
    waiting(key) {
      const writing = writings.get(key)
      if (writing === undefined || writing.expiresAt <= clock.now()) return undefined
      return writing.value ?? null
    },
    overtaken: key => void writings.delete(key),
    empty: () => writings.size + tellings.size + spendings.size + additions.size === 0,
    async flush(remote) {
      closeSums()
      await tell(writings, async (key, { value, expiresAt }) => {
        const leftMs = expiresAt - clock.now()
        if (value === undefined) await remote.forget([key])
        else if (leftMs > 0) await remote.write(key, value, leftMs)
      })
      await tell(tellings, (_, telling) => telling(remote))
    },
  }
}
