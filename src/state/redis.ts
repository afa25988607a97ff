/*
 * Redis as a store, without the Redis that is away: every command here is bounded, and rejects with a `Failure` that says whether Redis
 * may have carried it out all the same. What to do then is decided above, in degraded.ts.
 *
 * A key of the store is kept under `prefix:key`; what belongs to a taker, under a key in the same slot. One channel carries all
 * announcements, so that hearing one more topic costs Redis nothing.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Store, Want } from '../core/store.ts'
import { connect } from './connection.ts'
import { failure, failureOf } from './failure.ts'
import { type Answer, gathered, LATE, type Operation, type Unasked, wholeMs } from './gathered.ts'
import { besides } from './hash-tag.ts'
import type { RedisAddress } from './redis-url.ts'
import { ADD, ANNOUNCE, COUNT, PRESENT, type Script } from './scripts.ts'

export interface RemoteStore extends Omit<Store, 'add' | 'settle'> {
  /** As in `Store`; the same id adds once. */
  add(key: string, amount: number, ttlMs: number, id: string): Promise<number>
  /** As in `Store`. With `unasked`, what was used counts although Redis was never asked for it (or is not known to have been). */
  settle(id: string, wants: readonly Want[], unasked?: Unasked): Promise<void>
  /** Says that this replica is there, and is told how many there are. Fails where Redis takes no writes. */
  present(): Promise<number>
  connected(): boolean
}

export interface RemoteOptions {
  readonly address: RedisAddress
  /** The beginning of every key. */
  readonly prefix: string
  readonly commandTimeoutMs: number
  readonly clock: Clock
  readonly random: () => number
  readonly onLost: (reason: string) => void
  readonly onReady: () => void
}

/** A taker that never settles is forgotten after this; longer than any call lives. */
const RECORD_MS = 3_600_000
/** So long a count that failed may be sent again without counting twice. */
const ADDED_MS = 600_000
const REPLICA_STALE_MS = 10_000
/** A reading of Redis's clock this old is replaced by any newer one, also by a less exact one. */
const CLOCK_STALE_MS = 10_000
/** How far the clocks of a cluster's nodes may be apart: we know that of the last one which answered. */
const NODES_APART_MS = 1_000
const KEYS_AT_ONCE = 500
const SCRIPTS = [COUNT, ADD, PRESENT, ANNOUNCE].map(({ lua }) => lua)

export function redisStore(options: RemoteOptions): RemoteStore {
  const { address, prefix, commandTimeoutMs, clock } = options
  const replica = randomUUID()
  const channel = `${prefix}:announcements`
  const replicas = `${prefix}:{replicas}`
  const listeners = new Map<string, Set<(message: string) => void>>()
  /** Redis's clock is ours (`ticks`) plus `offset`, give or take half of `trip`. */
  let redisClock = { offset: 0, trip: Number.POSITIVE_INFINITY, readAt: Number.NEGATIVE_INFINITY }

  const connection = connect(address, clock, options.random, {
    lost: options.onLost,
    ready() {
      // Behind the new connection there may be another Redis, with a clock of its own.
      redisClock = { offset: 0, trip: Number.POSITIVE_INFINITY, readAt: Number.NEGATIVE_INFINITY }
      // What fails here fails again at the first check, and is reported there.
      void bounded(() => connection.load(SCRIPTS)).then(options.onReady, options.onReady)
    },
    message(text) {
      const end = text.indexOf('\n')
      for (const listener of listeners.get(text.slice(0, end)) ?? []) listener(text.slice(end + 1))
    },
  })
  const { client } = connection

  const keyOf = (key: string) => `${prefix}:${key}`
  const calls = gathered({ prefix, spread: connection.spread, count })

  /** Races the command against our own clock: nothing that ioredis promises about time holds in every case. */
  function bounded<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    // What was asked for before comes before.
    calls.send()
    return new Promise((resolve, reject) => {
      if (!connection.ready()) return reject(failure('unreachable', 'no', true))
      const cancel = clock.after(commandTimeoutMs, () => {
        // When it was us who were too busy to look, the reply is already there, and is read before this runs.
        setImmediate(() => reject(failure('timeout', 'unknown', false)))
      })
      send().then(
        reply => {
          cancel()
          resolve(reply)
        },
        (error: Error) => {
          cancel()
          reject(failureOf(error))
        },
      )
    })
  }

  function evaluate(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return bounded(() =>
      client.evalsha(script.sha, keys.length, ...keys, ...args).catch((error: Error) => {
        if (!error.message.startsWith('NOSCRIPT')) throw error
        return client.eval(script.lua, keys.length, ...keys, ...args)
      }),
    )
  }

  /** @param now of Redis, in an answer that has just come  @param late whether it refused, by its clock, to do what came too late */
  function learnClock(now: number, sentAt: number, late: boolean): void {
    const at = clock.ticks()
    const trip = at - sentAt
    if (trip <= redisClock.trip || at - redisClock.readAt > CLOCK_STALE_MS || late) {
      redisClock = { offset: now - (sentAt + trip / 2), trip, readAt: at }
    }
  }

  /** The answer of a script without the clock that it begins with. */
  async function run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown[]> {
    const sentAt = clock.ticks()
    const [now, ...answer] = (await evaluate(script, keys, args)) as [number, ...unknown[]]
    const late = answer[0] === LATE
    learnClock(now, sentAt, late)
    if (late) throw failure('timeout', 'no', false)
    return answer
  }

  async function count(keys: readonly string[], operations: readonly Operation[]): Promise<readonly Answer[]> {
    const sentAt = clock.ticks()
    const asked = JSON.stringify([deadline(), RECORD_MS, ...operations])
    const [now, ...answers] = JSON.parse((await evaluate(COUNT, keys, [asked])) as string) as [number, ...Answer[]]
    learnClock(now, sentAt, answers.includes(LATE))
    return answers
  }

  /** On Redis's clock: when we shall have stopped waiting. */
  function deadline(): number {
    if (redisClock.readAt === Number.NEGATIVE_INFINITY) return Number.MAX_SAFE_INTEGER
    return clock.ticks() + redisClock.offset + commandTimeoutMs + (connection.spread ? NODES_APART_MS : 0)
  }

  async function read(keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    const found: (string | null)[] = []
    if (connection.spread || keys.length === 1) {
      found.push(...(await Promise.all(keys.map(key => bounded(() => client.get(keyOf(key)))))))
    } else {
      for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
        const some = keys.slice(at, at + KEYS_AT_ONCE).map(keyOf)
        found.push(...(await bounded(() => client.mget(some))))
      }
    }
    return found.map(value => value ?? undefined)
  }

  return {
    read,
    async write(key, value, ttlMs) {
      await bounded(() => client.set(keyOf(key), value, 'PX', wholeMs(ttlMs)))
    },
    claim: async (key, value, ttlMs) => (await bounded(() => client.set(keyOf(key), value, 'PX', wholeMs(ttlMs), 'NX'))) !== null,
    async add(key, amount, ttlMs, id) {
      const [sum] = await run(
        ADD,
        [keyOf(key), besides(prefix, key, 'added', id)],
        [amount, wholeMs(ttlMs), deadline(), ADDED_MS],
      )
      return Number(sum)
    },
    // Each is one promise, and no more: there are two for every call.
    take: (id, wants) => (wants.length === 0 ? Promise.resolve({ ok: true, remaining: [] }) : calls.take(id, wants)),
    settle: (id, wants, unasked) => (wants.length === 0 ? Promise.resolve() : calls.settle(id, wants, unasked)),
    async forget(keys) {
      if (keys.length === 0) return
      const groups = connection.spread ? keys.map(key => [key]) : [keys]
      await Promise.all(groups.map(group => bounded(() => client.unlink(group.map(keyOf)))))
    },
    announce(topic, message) {
      run(ANNOUNCE, [channel], [`${topic}\n${message}`]).catch(() => undefined)
    },
    hear(topic, listener) {
      const all = listeners.get(topic) ?? new Set()
      listeners.set(topic, all.add(listener))
      return () => all.delete(listener)
    },
    async present() {
      const [[count]] = await Promise.all([
        run(PRESENT, [replicas], [replica, REPLICA_STALE_MS]),
        // Makes sure that we hear; a connection for hearing that died without a word is found out by it.
        // Without hearing Redis is of use all the same: what is announced is also read again.
        bounded(() => connection.subscribe(channel)).catch(() => undefined),
      ])
      return Number(count)
    },
    connected: connection.ready,
    async close() {
      listeners.clear()
      // The others' shares grow by ours, at once and not when we have been missed.
      if (connection.ready()) await bounded(() => client.zrem(replicas, replica)).catch(() => undefined)
      connection.close()
    },
  }
}
