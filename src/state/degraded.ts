/*
 * Redis, and what to do without it. While Redis is here, every operation is one command to it. A command that fails is answered from
 * memory, and after a few of them, or at once when the connection breaks or Redis says that it cannot work, Redis counts as away:
 * nothing asks it any more but one check now and then, so its absence costs a call nothing.
 *
 *   here ──(connection lost, Redis refuses to work, three commands in a row too slow)──▶ away
 *    ▲                                                                                    │
 *    └──(Redis takes a write, and has been told everything that it missed)────────────────┘
 *
 * One command that was too slow puts Redis in doubt: a check asks it at once, and until that is answered nobody else waits, or a
 * call that asks three times would wait three times. Most doubts are over within a millisecond, and nobody is told of them.
 *
 * Away, limits are this replica's share of them, sums go on from what was last known, what is written waits, and what is read is not to
 * be had: who asks keeps what he knows. When Redis is back, it is told first (backlog.ts), then asked.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Store, Taken, Want } from '../core/store.ts'
import { backlog } from './backlog.ts'
import { embeddedStore } from './embedded.ts'
import type { Failure } from './failure.ts'
import { checkTags } from './hash-tag.ts'
import type { RemoteStore } from './redis.ts'
import { share } from './share.ts'

export interface DegradedOptions {
  readonly clock: Clock
  readonly open: (listeners: { readonly onLost: (reason: string) => void; readonly onReady: () => void }) => RemoteStore
  /** Told of every change: why Redis is away, or undefined when it is back. At the start it counts as here. */
  readonly onChange: (awayBecause: string | undefined) => void
}

/** Somebody who was admitted here and not by Redis, until he settles. */
interface Alone {
  /** Redis may have admitted him, too: the reply was lost. */
  readonly unsure: boolean
  readonly atMs: number
}

const TOO_SLOW_IN_ROW = 3
/** While Redis is here: says that this replica is there, and finds out when it is not. */
const BEAT_MS = 2_000
const RETRY_MS = 200
/** Who comes and goes is asked less and less often. */
const LONGEST_RETRY_MS = 5_000
const STEADY_MS = 2_000
/** How long a start waits for a first word from Redis. */
const FIRST_MS = 1_000
const MOST_ALONE = 100_000
const ROUNDS = 5

/** Resolves when Redis has answered, or is known to be away. */
export async function degradedStore({ clock, open, onChange }: DegradedOptions): Promise<Store> {
  const memory = embeddedStore(clock)
  const own = share(memory, clock)
  const pending = backlog(clock)
  const alone = new Map<string, Alone>()
  let away: string | undefined = 'starting'
  let doubted = false
  let told: string | undefined
  let tooSlow = 0
  let replicas = 1
  let checking = false
  let closed = false
  let retryMs = RETRY_MS
  let backAt = Number.NEGATIVE_INFINITY
  let stopTimer = () => {}
  let firstWord = () => {}

  const remote = open({ onLost: leave, onReady: () => void check() })

  function leave(reason: string): void {
    if (closed) return
    if (away === undefined) {
      retryMs = clock.ticks() - backAt < STEADY_MS ? Math.min(2 * retryMs, LONGEST_RETRY_MS) : RETRY_MS
    }
    away = reason
    if (told === undefined) {
      told = reason
      onChange(reason)
      schedule()
    }
    firstWord()
  }

  function comeBack(): void {
    away = undefined
    doubted = false
    if (told !== undefined) {
      backAt = clock.ticks()
      onChange(undefined)
    }
    told = undefined
    firstWord()
  }

  /** Whether a call is to be answered without asking Redis. */
  const isSilent = () => doubted || away !== undefined

  /** What a failure tells of Redis as a whole. Anything but a failure of Redis is a mistake of ours, and not to be hidden. */
  function learn(error: unknown): Failure {
    const failure = error as Failure
    if (failure.executed === undefined) throw error
    if (failure.away) leave(failure.reason)
    else if (failure.reason === 'timeout') {
      if (++tooSlow >= TOO_SLOW_IN_ROW) leave(failure.reason)
      else if (away === undefined && !doubted) {
        doubted = true
        void check()
      }
    }
    return failure
  }

  async function asked<Reply>(reply: Promise<Reply>): Promise<Reply> {
    const value = await reply
    tooSlow = 0
    return value
  }

  /** Asks Redis whether it works, and tells it what it missed. */
  async function check(): Promise<void> {
    if (checking || closed) return
    checking = true
    try {
      if (remote.connected()) {
        replicas = Math.max(1, await asked(remote.present()))
        for (let round = 0; round < ROUNDS && !pending.empty(); round++) await pending.flush(remote)
        if (isSilent() && !closed) comeBack()
      }
    } catch (error) {
      // A Redis that cannot do this much (an old one, say) is as good as none.
      const { reason } = learn(error)
      if (reason !== 'timeout') leave(reason)
    } finally {
      checking = false
      schedule()
    }
  }

  function schedule(): void {
    stopTimer()
    if (closed) return
    const quick = isSilent()
    stopTimer = clock.after(quick ? retryMs : BEAT_MS, () => void check())
  }

  /** Sums and what waits to be written are known here. Of anything else, nothing is not the same as not knowing. */
  function readAlone(keys: readonly string[]): readonly (string | undefined)[] {
    return keys.map(key => {
      const waiting = pending.waiting(key)
      const value = waiting === undefined ? own.sum(key)?.toString() : waiting
      if (value === undefined) throw new Error(`Redis is away: ${away ?? 'too slow'}`)
      return value ?? undefined
    })
  }

  async function takeAlone(id: string, wants: readonly Want[], unsure: boolean): Promise<Taken> {
    const taken = await own.take(id, wants, replicas)
    if (taken.ok) {
      if (!alone.has(id)) alone.set(id, { unsure, atMs: clock.now() })
      if (alone.size > MOST_ALONE) alone.delete(alone.keys().next().value!)
    } else if (unsure) void tellSettled(id, wants.map(nothing), clock.now())
    return taken
  }

  /** Tells Redis of an end: now, if it is here, and until it has heard. */
  async function tellSettled(id: string, wants: readonly Want[], takenAt: number | undefined): Promise<void> {
    if (isSilent()) return pending.settled(id, wants, takenAt)
    const unasked = takenAt === undefined ? undefined : { takenMsAgo: Math.max(0, clock.now() - takenAt) }
    try {
      await remote.settle(id, wants, unasked)
      tooSlow = 0
    } catch (error) {
      learn(error)
      pending.settled(id, wants, takenAt)
    }
  }

  const store: Store = {
    async read(keys) {
      if (isSilent()) return readAlone(keys)
      const found = await asked(remote.read(keys)).catch(error => {
        throw learn(error)
      })
      if (pending.empty()) return found
      return found.map((value, at) => {
        const waiting = pending.waiting(keys[at]!)
        return waiting === undefined ? value : (waiting ?? undefined)
      })
    },

    async write(key, value, ttlMs) {
      if (isSilent()) return pending.written(key, value, ttlMs)
      await asked(remote.write(key, value, ttlMs)).then(
        () => pending.overtaken(key),
        error => {
          learn(error)
          pending.written(key, value, ttlMs)
        },
      )
    },

    async claim(key, value, ttlMs) {
      if (isSilent()) return memory.claim(key, value, ttlMs)
      return asked(remote.claim(key, value, ttlMs)).catch(error => {
        learn(error)
        return memory.claim(key, value, ttlMs)
      })
    },

    async add(key, amount, ttlMs) {
      let id: string | undefined
      if (!isSilent()) {
        const adder = randomUUID()
        try {
          const sum = await asked(remote.add(key, amount, ttlMs, adder))
          own.noteSum(key, sum, ttlMs)
          return sum
        } catch (error) {
          if (learn(error).executed === 'unknown') id = adder
        }
      }
      pending.added(key, amount, ttlMs, id)
      return own.add(key, amount, ttlMs)
    },

    async take(id, wants) {
      checkTags(wants)
      if (wants.length === 0) return { ok: true, remaining: [] }
      if (isSilent()) return takeAlone(id, wants, false)
      let taken: Taken
      try {
        taken = await remote.take(id, wants)
      } catch (error) {
        return takeAlone(id, wants, learn(error).executed === 'unknown')
      }
      tooSlow = 0
      if (taken.ok) own.note(id, wants, taken)
      return taken
    },

    settle(id, wants) {
      const mine = alone.get(id)
      alone.delete(id)
      own.settle(id, wants)
      if (mine === undefined) return tellSettled(id, wants, undefined)
      if (!isSilent() || mine.unsure) return tellSettled(id, wants, mine.atMs)
      pending.spent(wants, mine.atMs)
      return Promise.resolve()
    },

    async forget(keys) {
      const wait = () => {
        for (const key of keys) pending.written(key, undefined, 0)
      }
      if (isSilent()) return wait()
      await asked(remote.forget(keys)).then(
        () => {
          for (const key of keys) pending.overtaken(key)
        },
        error => {
          learn(error)
          wait()
        },
      )
    },

    announce(topic, message) {
      if (away === undefined) remote.announce(topic, message)
      else memory.announce(topic, message)
    },
    hear(topic, listener) {
      const stops = [remote.hear(topic, listener), memory.hear(topic, listener)]
      return () => {
        for (const stop of stops) stop()
      }
    },
    async close() {
      if (away === undefined && !pending.empty()) await pending.flush(remote).catch(() => undefined)
      closed = true
      stopTimer()
      await Promise.all([remote.close(), memory.close()])
    },
  }

  await new Promise<void>(resolve => {
    firstWord = resolve
    if (away !== 'starting') resolve()
    else clock.after(FIRST_MS, () => (away === 'starting' ? leave('unreachable') : resolve()))
  })
  return store
}

const nothing = (want: Want): Want => (want.kind === 'lease' ? want : { ...want, amount: 0 })
