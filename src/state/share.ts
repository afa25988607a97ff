/*
 * What this replica may do alone while Redis is away. Of each limit it has its share: the limit divided by the replicas that were there
 * when Redis was last heard. For rates and leases, what counts is what this replica took itself, also before Redis went away, so
 * everything that Redis granted is noted here, too. Sums go on from the last value that Redis told: of what was then left, each replica may
 * spend its share.
 */
import type { Clock } from '../core/clock.ts'
import { Passing } from '../core/passing.ts'
import type { Taken, Want } from '../core/store.ts'
import type { EmbeddedStore } from './embedded.ts'

export interface Share {
  /** What Redis granted. */
  note(id: string, wants: readonly Want[], taken: Taken & { readonly ok: true }): void
  take(id: string, wants: readonly Want[], replicas: number): Promise<Taken>
  settle(id: string, wants: readonly Want[]): void
  /** The value that Redis told of a counter. */
  noteSum(key: string, value: number, ttlMs: number): void
  /** What is known here of a sum or a counter. */
  sum(key: string): number | undefined
  /** Adds to a counter as far as it is known here; the new value. */
  add(key: string, amount: number, ttlMs: number): number
}

type SumWant = Want & { readonly kind: 'sum' }

interface Sum {
  /** The value when Redis last told it, corrected by what we know of it since. */
  known: number
  /** Spent here without Redis knowing of it. */
  spent: number
  readonly expiresAt: number
}

/** What a taker took of sums, until it settles. */
interface Reserved {
  /** The sums among them count. */
  readonly wants: readonly Want[]
  readonly alone: boolean
  readonly taken: Taken
  readonly expiresAt: number
}

const RESERVED_MS = 3_600_000
const MOST_SUMS = 100_000

/** @param memory keeps the rates and the leases */
export function share(memory: EmbeddedStore, clock: Clock): Share {
  const sums = new Map<string, Sum>()
  const reserved = new Passing<Reserved>()

  function sumOf(key: string, ttlMs: number): Sum {
    const found = sums.get(key)
    if (found !== undefined && found.expiresAt > clock.now()) return found
    const sum = { known: 0, spent: 0, expiresAt: clock.now() + ttlMs }
    sums.delete(key)
    sums.set(key, sum)
    if (sums.size > MOST_SUMS) sums.delete(sums.keys().next().value!)
    return sum
  }

  function hold(id: string, wants: readonly Want[], alone: boolean, taken: Taken): void {
    const now = clock.now()
    for (const [oldest, { expiresAt }] of reserved) {
      if (expiresAt > now) break
      reserved.delete(oldest)
    }
    reserved.set(id, { wants, alone, taken, expiresAt: now + RESERVED_MS })
  }

  return {
    note(id, wants, taken) {
      for (let at = 0; at < wants.length; at++) {
        const want = wants[at]!
        if (!isSum(want)) continue
        const sum = sumOf(want.key, want.ttlMs)
        sum.known = want.limit - taken.remaining[at]!
        sum.spent = 0
      }
      memory.note(id, wants)
      hold(id, wants, false, taken)
    },

    async take(id, wants, replicas) {
      const before = reserved.get(id)
      if (before !== undefined) return before.taken
      const left: number[] = []
      for (const [at, want] of wants.entries()) {
        if (!isSum(want)) continue
        const { known, spent, expiresAt } = sumOf(want.key, want.ttlMs)
        left[at] = (want.limit - known) / replicas - spent - want.amount
        if (left[at]! < 0) return { ok: false, want: at, retryAfterMs: Math.ceil(expiresAt - clock.now()) }
      }
      const limited = wants.filter(want => !isSum(want))
      const taken = await memory.take(
        id,
        limited.map(want => ({ ...want, limit: shareOf(want, replicas) })),
      )
      if (!taken.ok) return { ...taken, want: wants.indexOf(limited[taken.want]!) }
      for (const want of wants.filter(isSum)) sumOf(want.key, want.ttlMs).spent += want.amount
      let next = 0
      const all: Taken = {
        ok: true,
        remaining: wants.map((want, at) => (isSum(want) ? Math.max(0, left[at]!) : taken.remaining[next++]!)),
      }
      hold(id, wants, true, all)
      return all
    },

    settle(id, wants) {
      void memory.settle(id, wants)
      const held = reserved.get(id)
      reserved.delete(id)
      for (const want of held?.wants ?? []) {
        if (!isSum(want)) continue
        const sum = sums.get(want.key)
        const final = wants.find(other => other.key === want.key && isSum(other)) as SumWant | undefined
        const difference = (final?.amount ?? 0) - want.amount
        if (sum === undefined) continue
        // Redis may have told a new value meanwhile, which makes up for what was spent here before.
        if (held!.alone) sum.spent = Math.max(0, sum.spent + difference)
        else sum.known += difference
      }
    },

    noteSum(key, value, ttlMs) {
      const sum = sumOf(key, ttlMs)
      sum.known = value
      sum.spent = 0
    },
    sum(key) {
      const found = sums.get(key)
      return found === undefined || found.expiresAt <= clock.now() ? undefined : found.known + found.spent
    },
    add(key, amount, ttlMs) {
      const sum = sumOf(key, ttlMs)
      sum.spent += amount
      return sum.known + sum.spent
    },
  }
}

const isSum = (want: Want): want is SumWant => want.kind === 'sum'
/** One call that is larger than the whole share may pass when nothing else does. */
function shareOf(want: Want, replicas: number): number {
  const part = Math.floor(want.limit / replicas)
  if (want.kind === 'lease') return want.alone ?? Math.max(1, part)
  return Math.max(want.amount, part)
}
