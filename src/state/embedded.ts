/*
 * The store of one process, in memory. It keeps the promises of the interface to the letter, ids of takers included, so that the
 * policies above it cannot tell it from Redis. What has expired is dropped when it is met, and by a sweep now and then, so that keys
 * that nobody asks for again do not stay for ever.
 *
 * With a file, sums and counters that live for hours (budgets, spend) survive the process. They are written behind: what has changed
 * goes to the file a few times a second, all of it at once, and no call waits for it. Who kills the process loses the last batch. What
 * takers that were under way had set aside is not written, so that it is free again when they have died with the process.
 */
import type { Clock } from '../core/clock.ts'
import { Passing } from '../core/passing.ts'
import type { Store, Taken, Want } from '../core/store.ts'
import { checkTags } from './hash-tag.ts'
import type { SumsFile } from './sums-file.ts'
import { correct, moveOn, newWindows, type RateWant, rateRetryAfter, usedOf, type Windows } from './windows.ts'

/** A `Store` that also knows what was taken elsewhere. */
export interface EmbeddedStore extends Store {
  /** As a `take` that fits in any case, of the rates and leases among the wants. Sums are left alone. */
  note(id: string, wants: readonly Want[]): void
}

interface Entry {
  /** A counter is a number until it is read. */
  value: string | number
  expiresAt: number
  /** Of a sum: what takers have taken and not settled. */
  held: number
  /** Whether it belongs in the file. */
  readonly lasting: boolean
}

interface Leases {
  /** Taker's id → when it is forgotten. */
  readonly holders: Passing<number>
  /** No holder is to be forgotten before this. */
  soonestAt: number
  expiresAt: number
}

/** What a taker took, until it settles: for taking and settling twice. */
interface Holding {
  readonly taken: Taken
  /** Where each amount was counted (a rate's window, a sum's expiry), so that settling corrects that one and no later one. */
  readonly counted: readonly number[]
  readonly wants: readonly Want[]
  expiresAt: number
}

const SWEEP_EVERY_MS = 10_000
/** How long a taker that never settles is remembered; longer than any call lives. */
const HOLDING_TTL_MS = 3_600_000
/** Counters that live longer are worth keeping; others are forgotten in a restart anyway. */
const LASTING_MS = 3_600_000
/** What has changed is written to the file after so long: the most that a killed process loses. */
const WRITE_AFTER_MS = 200
/** Of a sum that was taken elsewhere; no sum expires then. */
const NOWHERE = -1
const NOTED: Taken = { ok: true, remaining: [] }

export function embeddedStore(clock: Clock, file?: SumsFile): EmbeddedStore {
  const entries = new Map<string, Entry>()
  const rates = new Map<string, Windows>()
  const leases = new Map<string, Leases>()
  const holdings = new Passing<Holding>()
  const listeners = new Map<string, Set<(message: string) => void>>()
  /** Keys whose row in the file is not as it should be. */
  const changed = new Set<string>()
  let closed = false
  let stopSweep = clock.after(SWEEP_EVERY_MS, sweep)
  let stopWrite: (() => void) | undefined
  for (const { key, value, expiresAt } of file?.load(clock.now()) ?? []) {
    entries.set(key, { value, expiresAt, held: 0, lasting: true })
  }

  function sweep(): void {
    const now = clock.now()
    for (const [, { expiresAt, wants }] of holdings) {
      // Nobody will settle it any more: what it took counts as used.
      if (expiresAt <= now) for (const want of wants) if (want.kind === 'sum') hold(want.key, -want.amount)
    }
    for (const map of [rates, leases, holdings]) {
      for (const [key, { expiresAt }] of map) if (expiresAt <= now) map.delete(key)
    }
    for (const [key, { expiresAt }] of entries) if (expiresAt <= now) drop(key)
    if (!closed) stopSweep = clock.after(SWEEP_EVERY_MS, sweep)
  }

  function drop(key: string): void {
    if (entries.get(key)?.lasting) writeLater(key)
    entries.delete(key)
  }

  function writeLater(key: string): void {
    changed.add(key)
    stopWrite ??= clock.after(WRITE_AFTER_MS, writeOut)
  }

  function writeOut(): void {
    stopWrite?.()
    stopWrite = undefined
    const rows = [...changed].map(key => {
      const entry = entries.get(key)
      const row = entry?.lasting ? { value: Number(entry.value) - entry.held, expiresAt: entry.expiresAt } : undefined
      return { key, row }
    })
    changed.clear()
    // What could not be written is tried again with the next batch.
    if (rows.length > 0 && !file!.save(rows)) for (const { key } of rows) changed.add(key)
  }

  function live(key: string): Entry | undefined {
    const entry = entries.get(key)
    if (entry === undefined || entry.expiresAt > clock.now()) return entry
    drop(key)
    return undefined
  }

  function put(key: string, value: string, ttlMs: number): void {
    drop(key)
    entries.set(key, { value, expiresAt: clock.now() + ttlMs, held: 0, lasting: false })
  }

  function add(key: string, amount: number, ttlMs: number): number {
    const entry = live(key)
    const sum = Number(entry?.value ?? 0) + amount
    if (entry === undefined) {
      const lasting = file !== undefined && ttlMs > LASTING_MS
      entries.set(key, { value: sum, expiresAt: clock.now() + ttlMs, held: 0, lasting })
      if (lasting) writeLater(key)
      return sum
    }
    entry.value = sum
    if (entry.lasting) writeLater(key)
    return sum
  }

  /** Counts what takers of a sum have not settled. */
  function hold(key: string, amount: number): void {
    const entry = live(key)
    if (entry === undefined) return
    entry.held += amount
    if (entry.lasting) writeLater(key)
  }

  function windowsOf(want: RateWant, now: number): Windows {
    let windows = rates.get(want.key)
    if (windows === undefined) {
      windows = newWindows()
      rates.set(want.key, windows)
    }
    moveOn(windows, want, now)
    return windows
  }

  function holdersOf(want: Want & { kind: 'lease' }, now: number): Leases {
    let found = leases.get(want.key)
    if (found === undefined) {
      found = { holders: new Passing(), soonestAt: Number.POSITIVE_INFINITY, expiresAt: 0 }
      leases.set(want.key, found)
    }
    if (found.soonestAt <= now) forgetHolders(found, now)
    return found
  }

  /** Lets go of the holders whose time is over. There may be thousands of others, so it is not done at every call. */
  function forgetHolders(found: Leases, now: number): void {
    found.soonestAt = Number.POSITIVE_INFINITY
    for (const [id, expiresAt] of found.holders) {
      if (expiresAt <= now) found.holders.delete(id)
      else found.soonestAt = Math.min(found.soonestAt, expiresAt)
    }
  }

  /** What remains of a want's limit before it is taken, and when there could be enough. */
  function remaining(want: Want, now: number): { left: number; retryAfterMs: number } {
    if (want.kind === 'lease') {
      const found = holdersOf(want, now)
      const left = want.limit - found.holders.size()
      // One that has settled may have been the soonest.
      if (left < 1) forgetHolders(found, now)
      return { left, retryAfterMs: found.soonestAt - now }
    }
    if (want.kind === 'sum') {
      const entry = live(want.key)
      return {
        left: want.limit - Number(entry?.value ?? 0),
        retryAfterMs: entry === undefined ? want.ttlMs : entry.expiresAt - now,
      }
    }
    const windows = windowsOf(want, now)
    return { left: want.limit - usedOf(windows, want, now), retryAfterMs: rateRetryAfter(want, windows, now) }
  }

  function take(id: string, wants: readonly Want[]): Taken {
    checkTags(wants)
    const held = holdings.get(id)
    if (held !== undefined) return held.taken
    const now = clock.now()
    const left: number[] = []
    for (let at = 0; at < wants.length; at++) {
      const want = wants[at]!
      const amount = want.kind === 'lease' ? 1 : want.amount
      const { left: before, retryAfterMs } = remaining(want, now)
      if (before < amount) return { ok: false, want: at, retryAfterMs: Math.ceil(retryAfterMs) }
      left.push(before - amount)
    }
    const counted = wants.map(want => {
      if (want.kind !== 'sum') return count(id, want, now)
      add(want.key, want.amount, want.ttlMs)
      hold(want.key, want.amount)
      return live(want.key)!.expiresAt
    })
    const taken: Taken = { ok: true, remaining: left }
    holdings.set(id, { taken, counted, wants, expiresAt: now + HOLDING_TTL_MS })
    return taken
  }

  /** Where it was counted. */
  function count(id: string, want: Exclude<Want, { kind: 'sum' }>, now: number): number {
    if (want.kind === 'rate') {
      const windows = windowsOf(want, now)
      windows.current += want.amount
      return windows.index
    }
    const found = holdersOf(want, now)
    found.holders.set(id, now + want.ttlMs)
    found.soonestAt = Math.min(found.soonestAt, now + want.ttlMs)
    found.expiresAt = Math.max(found.expiresAt, now + want.ttlMs)
    return found.expiresAt
  }

  function note(id: string, wants: readonly Want[]): void {
    if (holdings.has(id)) return
    const now = clock.now()
    const counted: number[] = []
    for (const want of wants) counted.push(want.kind === 'sum' ? NOWHERE : count(id, want, now))
    holdings.set(id, { taken: NOTED, counted, wants, expiresAt: now + HOLDING_TTL_MS })
  }

  function settle(id: string, wants: readonly Want[]): void {
    const held = holdings.get(id)
    if (held === undefined) return
    holdings.delete(id)
    const now = clock.now()
    for (let at = 0; at < held.wants.length; at++) {
      const want = held.wants[at]!
      if (want.kind === 'lease') {
        leases.get(want.key)?.holders.delete(id)
        continue
      }
      const final = wants.find(other => other.key === want.key && other.kind === want.kind)
      const difference = (final !== undefined && final.kind !== 'lease' ? final.amount : 0) - want.amount
      if (want.kind === 'sum') {
        if (live(want.key)?.expiresAt !== held.counted[at]) continue
        add(want.key, difference, want.ttlMs)
        hold(want.key, -want.amount)
        continue
      }
      correct(windowsOf(want, now), held.counted[at]!, difference)
    }
  }

  return {
    read: async keys => keys.map(key => live(key)?.value.toString()),
    write: async (key, value, ttlMs) => put(key, value, ttlMs),
    async claim(key, value, ttlMs) {
      if (live(key) !== undefined) return false
      put(key, value, ttlMs)
      return true
    },
    add: async (key, amount, ttlMs) => add(key, amount, ttlMs),
    take: async (id, wants) => take(id, wants),
    note,
    settle: async (id, wants) => settle(id, wants),
    async forget(keys) {
      for (const key of keys) drop(key)
    },
    announce(topic, message) {
      for (const listener of listeners.get(topic) ?? []) queueMicrotask(() => listener(message))
    },
    hear(topic, listener) {
      const all = listeners.get(topic) ?? new Set()
      listeners.set(topic, all.add(listener))
      return () => all.delete(listener)
    },
    async close() {
      closed = true
      stopSweep()
      listeners.clear()
      writeOut()
      file?.close()
    },
  }
}
