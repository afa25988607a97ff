/*
 * The store of one process, in memory. It keeps the promises of the interface to the letter, ids of takers included, so that the
 * policies above it cannot tell it from Redis. What has expired is dropped when it is met, and by a sweep now and then, so that keys
 * that nobody asks for again do not stay for ever.
 */
import type { Clock } from '../core/clock.ts'
import type { Store, Taken, Want } from '../core/store.ts'
import { checkTags } from './hash-tag.ts'

interface Entry {
  value: string
  expiresAt: number
}

/** Two neighbouring windows of a rate: what was used in the current one and in the one before it. */
interface Windows {
  index: number
  current: number
  previous: number
  expiresAt: number
}

interface Leases {
  /** Taker's id → when it is forgotten. */
  readonly holders: Map<string, number>
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

export function embeddedStore(clock: Clock): Store {
  const entries = new Map<string, Entry>()
  const rates = new Map<string, Windows>()
  const leases = new Map<string, Leases>()
  const holdings = new Map<string, Holding>()
  const listeners = new Map<string, Set<(message: string) => void>>()
  let closed = false
  let stopSweep = clock.after(SWEEP_EVERY_MS, sweep)

  function sweep(): void {
    const now = clock.now()
    for (const map of [entries, rates, leases, holdings]) {
      for (const [key, { expiresAt }] of map) if (expiresAt <= now) map.delete(key)
    }
    if (!closed) stopSweep = clock.after(SWEEP_EVERY_MS, sweep)
  }

  function live(key: string): Entry | undefined {
    const entry = entries.get(key)
    if (entry === undefined || entry.expiresAt > clock.now()) return entry
    entries.delete(key)
    return undefined
  }

  function add(key: string, amount: number, ttlMs: number): number {
    const entry = live(key)
    const sum = Number(entry?.value ?? 0) + amount
    if (entry === undefined) entries.set(key, { value: String(sum), expiresAt: clock.now() + ttlMs })
    else entry.value = String(sum)
    return sum
  }

  /** The windows of a rate, moved on to the present. */
  function windowsOf(want: Want & { kind: 'rate' }): Windows {
    const index = Math.floor(clock.now() / want.windowMs)
    let windows = rates.get(want.key)
    if (windows === undefined) {
      windows = { index, current: 0, previous: 0, expiresAt: 0 }
      rates.set(want.key, windows)
    } else if (windows.index !== index) {
      windows.previous = windows.index === index - 1 ? windows.current : 0
      windows.current = 0
      windows.index = index
    }
    windows.expiresAt = (index + 2) * want.windowMs
    return windows
  }

  function holdersOf(want: Want & { kind: 'lease' }): Leases {
    let found = leases.get(want.key)
    if (found === undefined) {
      found = { holders: new Map(), expiresAt: 0 }
      leases.set(want.key, found)
    }
    for (const [id, expiresAt] of found.holders) if (expiresAt <= clock.now()) found.holders.delete(id)
    return found
  }

  /** What remains of a want's limit before it is taken, and when there could be enough. */
  function remaining(want: Want): { left: number; retryAfterMs: number } {
    if (want.kind === 'lease') {
      const { holders } = holdersOf(want)
      const soonest = Math.min(...holders.values())
      return { left: want.limit - holders.size, retryAfterMs: Math.max(0, soonest - clock.now()) }
    }
    if (want.kind === 'sum') {
      const entry = live(want.key)
      return {
        left: want.limit - Number(entry?.value ?? 0),
        retryAfterMs: entry === undefined ? want.ttlMs : entry.expiresAt - clock.now(),
      }
    }
    const windows = windowsOf(want)
    const passed = clock.now() - windows.index * want.windowMs
    const used = windows.current + windows.previous * (1 - passed / want.windowMs)
    return { left: want.limit - used, retryAfterMs: rateRetryAfter(want, windows, passed) }
  }

  function take(id: string, wants: readonly Want[]): Taken {
    checkTags(wants)
    const held = holdings.get(id)
    if (held !== undefined) return held.taken
    const left: number[] = []
    for (const [at, want] of wants.entries()) {
      const amount = want.kind === 'lease' ? 1 : want.amount
      const { left: before, retryAfterMs } = remaining(want)
      if (before < amount) return { ok: false, want: at, retryAfterMs: Math.ceil(retryAfterMs) }
      left.push(before - amount)
    }
    const now = clock.now()
    const counted = wants.map(want => {
      if (want.kind === 'rate') {
        const windows = windowsOf(want)
        windows.current += want.amount
        return windows.index
      }
      if (want.kind === 'sum') {
        add(want.key, want.amount, want.ttlMs)
        return live(want.key)!.expiresAt
      }
      const found = holdersOf(want)
      found.holders.set(id, now + want.ttlMs)
      found.expiresAt = Math.max(found.expiresAt, now + want.ttlMs)
      return found.expiresAt
    })
    const taken: Taken = { ok: true, remaining: left }
    holdings.set(id, { taken, counted, wants, expiresAt: now + HOLDING_TTL_MS })
    return taken
  }

  function settle(id: string, wants: readonly Want[]): void {
    const held = holdings.get(id)
    if (held === undefined) return
    holdings.delete(id)
    for (const [at, want] of held.wants.entries()) {
      if (want.kind === 'lease') {
        leases.get(want.key)?.holders.delete(id)
        continue
      }
      const final = wants.find(other => other.key === want.key && other.kind === want.kind)
      const difference = (final !== undefined && final.kind !== 'lease' ? final.amount : 0) - want.amount
      if (want.kind === 'sum') {
        if (live(want.key)?.expiresAt === held.counted[at]) add(want.key, difference, want.ttlMs)
        continue
      }
      const windows = windowsOf(want)
      const age = windows.index - held.counted[at]!
      if (age === 0) windows.current = Math.max(0, windows.current + difference)
      else if (age === 1) windows.previous = Math.max(0, windows.previous + difference)
    }
  }

  return {
    read: async keys => keys.map(key => live(key)?.value),
    async write(key, value, ttlMs) {
      entries.set(key, { value, expiresAt: clock.now() + ttlMs })
    },
    async claim(key, value, ttlMs) {
      if (live(key) !== undefined) return false
      entries.set(key, { value, expiresAt: clock.now() + ttlMs })
      return true
    },
    add: async (key, amount, ttlMs) => add(key, amount, ttlMs),
    take: async (id, wants) => take(id, wants),
    settle: async (id, wants) => settle(id, wants),
    async forget(keys) {
      for (const key of keys) entries.delete(key)
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
    },
  }
}

/** How long until `want.amount` fits: the previous window fades linearly, then the current one becomes the previous. */
function rateRetryAfter(want: Want & { kind: 'rate' }, windows: Windows, passedMs: number): number {
  const { limit, amount, windowMs } = want
  const free = limit - amount
  const untilNext = windowMs - passedMs
  if (free < 0) return windowMs
  if (windows.current <= free && windows.previous > 0) {
    return Math.max(0, windowMs * (1 - (free - windows.current) / windows.previous) - passedMs)
  }
  if (windows.current <= free) return 0
  return untilNext + Math.max(0, windowMs * (1 - free / windows.current))
}
