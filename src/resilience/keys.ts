/*
 * A provider's pool of keys. Each has its own load, limits and state: ready, resting until a moment, or retired until somebody restores
 * it. Retired keys are tried again by themselves after ten minutes, by one call. States are shared like circuits, under the
 * fingerprint of the key's value: a new value is a new key, and nobody who reads the store learns the old one.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { type Fault, rowOf } from '../core/fault.ts'
import { asObject } from '../core/json.ts'
import { type Limits, type LimitWants, limitsUsed, limitWants, MINUTE_MS } from '../core/limits.ts'
import type { Store, Want } from '../core/store.ts'
import { type Mirror, mirror } from './mirror.ts'

/** The limits are what the key may do upstream. */
export interface KeyConfig extends Limits {
  readonly name: string
  readonly value: string
  readonly weight: number
  readonly quotaGroup?: string
}

export type KeyChoiceRule = 'least_used' | 'weighted' | 'round_robin'
export type KeyState = 'ready' | 'resting' | 'retired'

/** A key in the hands of one attempt; given back once, by `release`. */
export interface HeldKey {
  readonly name: string
  readonly value: string
  /**
   * @param fault what the attempt showed about the key; undefined when it was accepted or nothing was learnt
   * @param accepted whether the provider answered with it
   * @param tokens what was really used, where it is known
   */
  release(result: { readonly fault?: Fault | undefined; readonly accepted?: boolean; readonly tokens?: number | undefined }): void
}

/** `retryAtMs`: when the first key comes back, in milliseconds since 1970, where that is known. */
export type KeyResult = { readonly key: HeldKey } | { readonly retryAtMs: number | undefined }

export interface KeyStatus {
  readonly name: string
  readonly state: KeyState
  readonly untilMs?: number
  readonly inFlight: number
}

export interface Keys {
  /**
   * Says at once unless a limit or a retired key makes it ask the store.
   * @param tokens the estimate to reserve of keys with a limit of tokens
   */
  choose(provider: string, tokens: number): KeyResult | Promise<KeyResult>
  /** How many keys the provider has. */
  size(provider: string): number
  /** Whether some key is ready now, its limits aside. */
  anyReady(provider: string): boolean
  status(provider: string): readonly KeyStatus[]
  /** An operator's word. @returns false when there is no such key */
  set(provider: string, name: string, state: KeyState, forMs?: number): boolean
  /**
   * The keys of another configuration. Those that are in both keep their load and their state; calls under way go on with the pools that
   * they began with.
   */
  over(pools: KeyPools): Keys
  /** Of all that came out of each other. */
  close(): void
}

/** By the provider's name. */
export type KeyPools = ReadonlyMap<string, { readonly choice: KeyChoiceRule; readonly keys: readonly KeyConfig[] }>

/** What replicas share of a key. Absent means ready. `untilMs` null: until an operator restores it. */
interface Shared {
  readonly is: 'resting' | 'retired'
  readonly untilMs: number | null
}

interface PooledKey extends KeyConfig {
  /** Names the key in the store. */
  readonly id: string
  readonly load: Load
  readonly wants: LimitWants
}

/** What lives on when the configuration changes. */
interface Load {
  inFlight: number
  /** The turn in which it was last chosen: of equals, the one that waited longest goes first. */
  lastTurn: number
  /** Rests in a row without a Retry-After. */
  rests: number
}

interface Pool {
  readonly choice: KeyChoiceRule
  readonly keys: readonly PooledKey[]
}

const READY: { readonly state: KeyState; readonly untilMs?: number } = { state: 'ready' }
const RETIRED_MS = 10 * MINUTE_MS
const LONG_REST_MS = 60 * MINUTE_MS
const FIRST_REST_MS = 5_000
const LONGEST_UNTOLD_REST_MS = MINUTE_MS
/** How long the one call that tries a retired key may take before another one does. */
const TRIAL_TTL_MS = MINUTE_MS
/** A lease of a crashed replica is free again after this. */
const LEASE_TTL_MS = 10 * MINUTE_MS
const FOR_EVER_MS = 365 * 24 * 60 * MINUTE_MS

export interface KeysOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: () => number
  readonly pools: KeyPools
  /** Told of every change that this replica made. */
  readonly onChange: (provider: string, key: string, to: KeyState, untilMs?: number) => void
}

export function keys(options: KeysOptions): Keys {
  const shared = mirror<Shared>(options.store, options.clock, 'key', () => undefined, isShared)
  return pooled({ ...options, shared, loads: new Map(), replica: randomUUID(), counters: { takers: 0, turn: 0 } })
}

interface PooledOptions extends KeysOptions {
  readonly shared: Mirror<Shared>
  /** By the key's id, of all keys that are in use. */
  readonly loads: Map<string, Load>
  readonly replica: string
  readonly counters: { takers: number; turn: number }
}

function pooled(options: PooledOptions): Keys {
  const { store, clock, random, pools, onChange, shared, loads, replica, counters } = options
  const byProvider = new Map<string, Pool>()
  const ids = new Set<string>()

  for (const [provider, { choice, keys: configured }] of pools) {
    const pooled = configured.map(config => {
      const fingerprint = createHash('sha256').update(`understudy key ${config.value}`).digest('hex').slice(0, 24)
      const id = `${provider}:${fingerprint}`
      const load = loads.get(id) ?? { inFlight: 0, lastTurn: 0, rests: 0 }
      loads.set(id, load)
      ids.add(id)
      shared.watch(id)
      return { ...config, id, load, wants: limitWants(id, config) }
    })
    byProvider.set(provider, { choice, keys: pooled })
  }
  for (const [id, { inFlight }] of loads) if (!ids.has(id) && inFlight === 0) loads.delete(id)

  function stateOf(key: PooledKey): typeof READY {
    const known = shared.get(key.id)
    if (known === undefined) return READY
    if (known.untilMs === null) return { state: 'retired' }
    if (known.is === 'resting' && known.untilMs <= clock.now()) return READY
    return { state: known.is, untilMs: known.untilMs }
  }

  function choose(provider: string, tokens: number): KeyResult | Promise<KeyResult> {
    const pool = byProvider.get(provider)!
    const ready: PooledKey[] = []
    const onTrial: PooledKey[] = []
    let retryAtMs: number | undefined
    for (const key of pool.keys) {
      const { state, untilMs } = stateOf(key)
      if (state === 'ready') ready.push(key)
      else if (state === 'retired' && untilMs !== undefined && untilMs <= clock.now()) onTrial.push(key)
      else if (untilMs !== undefined) retryAtMs = Math.min(retryAtMs ?? Number.POSITIVE_INFINITY, untilMs)
    }
    if (ready.length > 1) sort(pool, ready)
    const first = ready[0]
    if (first !== undefined && onTrial.length === 0 && first.wants(tokens, LEASE_TTL_MS).length === 0) {
      return { key: hold(provider, pool, first, undefined, []) }
    }
    return ready.length + onTrial.length === 0 ? { retryAtMs } : chooseSlowly(provider, pool, onTrial, ready, tokens, retryAtMs)
  }

  /** The way through the store: one call for a key on trial, and the limits of those that have some. */
  async function chooseSlowly(
    provider: string,
    pool: Pool,
    onTrial: readonly PooledKey[],
    ready: readonly PooledKey[],
    tokens: number,
    known: number | undefined,
  ): Promise<KeyResult> {
    let retryAtMs = known
    for (const key of onTrial) {
      const mine = await store.claim(`key-trial:${key.id}`, replica, TRIAL_TTL_MS).catch(() => false)
      if (mine) return { key: hold(provider, pool, key, undefined, []) }
    }
    for (const key of ready) {
      const wants = key.wants(tokens, LEASE_TTL_MS)
      if (wants.length === 0) return { key: hold(provider, pool, key, undefined, []) }
      const taker = `${replica}:${++counters.takers}`
      // Counted before the store has said yes, or all the calls that arrive meanwhile would want the same key.
      occupy(key)
      const taken = await store.take(taker, wants).catch(() => undefined)
      key.load.inFlight--
      // A store that is away must not stop the calls: the provider knows its own limits.
      if (taken === undefined || taken.ok) return { key: hold(provider, pool, key, taker, wants) }
      retryAtMs = Math.min(retryAtMs ?? Number.POSITIVE_INFINITY, clock.now() + taken.retryAfterMs)
    }
    return { retryAtMs }
  }

  function sort(pool: Pool, ready: PooledKey[]): void {
    if (pool.choice === 'round_robin') ready.sort((a, b) => a.load.lastTurn - b.load.lastTurn)
    else if (pool.choice === 'least_used') {
      ready.sort((a, b) => a.load.inFlight / a.weight - b.load.inFlight / b.weight || a.load.lastTurn - b.load.lastTurn)
    } else {
      // Each key draws u^(1/weight); in the order of the draws, the first is as likely as its weight says.
      const draws = new Map(ready.map(key => [key, random() ** (1 / key.weight)]))
      ready.sort((a, b) => draws.get(b)! - draws.get(a)!)
    }
  }

  function occupy({ load }: PooledKey): void {
    load.inFlight++
    load.lastTurn = ++counters.turn
  }

  function hold(provider: string, pool: Pool, key: PooledKey, taker: string | undefined, wants: readonly Want[]): HeldKey {
    occupy(key)
    let released = false
    return {
      name: key.name,
      value: key.value,
      release({ fault, accepted, tokens }) {
        if (released) return
        released = true
        key.load.inFlight--
        if (taker !== undefined) store.settle(taker, limitsUsed(wants, tokens)).catch(() => undefined)
        if (fault !== undefined) learn(provider, pool, key, fault)
        else if (accepted) restore(provider, key)
      },
    }
  }

  function learn(provider: string, pool: Pool, key: PooledKey, fault: Fault): void {
    const consequence = rowOf(fault.kind).key
    if (consequence === 'none') return
    if (consequence === 'retires') return change(provider, key, { is: 'retired', untilMs: clock.now() + RETIRED_MS })
    const told = fault.details.retryAfterMs
    // One of several calls that were under way together: the first has made it rest already, and the rest must not grow by the others.
    if (consequence === 'rests-as-told' && told === undefined && stateOf(key).state === 'resting') return
    const untold = Math.min(FIRST_REST_MS * 2 ** key.load.rests, LONGEST_UNTOLD_REST_MS)
    const restMs = consequence === 'rests-long' ? Math.max(LONG_REST_MS, told ?? 0) : (told ?? untold)
    if (told === undefined) key.load.rests++
    const untilMs = clock.now() + restMs
    const group = key.quotaGroup === undefined ? [key] : pool.keys.filter(other => other.quotaGroup === key.quotaGroup)
    for (const each of group) {
      const { state, untilMs: already } = stateOf(each)
      if (state === 'retired' || (state === 'resting' && already! >= untilMs)) continue
      change(provider, each, { is: 'resting', untilMs })
    }
  }

  function restore(provider: string, key: PooledKey): void {
    const known = shared.get(key.id)
    // A success that was under way when the key was set aside proves nothing about the rest that was told since.
    if (known !== undefined && (known.untilMs === null || known.untilMs > clock.now())) return
    key.load.rests = 0
    if (known !== undefined) change(provider, key, undefined)
  }

  function change(provider: string, key: PooledKey, to: Shared | undefined): void {
    const before = stateOf(key).state
    const ttlMs =
      to === undefined ? 1 : to.is === 'retired' || to.untilMs === null ? FOR_EVER_MS : to.untilMs - clock.now() + MINUTE_MS
    shared.set(key.id, to, ttlMs)
    const now = stateOf(key)
    if (now.state !== before || now.state !== 'ready') onChange(provider, key.name, now.state, now.untilMs)
  }

  return {
    choose,
    size: provider => byProvider.get(provider)!.keys.length,
    anyReady: provider => byProvider.get(provider)!.keys.some(key => stateOf(key).state === 'ready'),
    status: provider =>
      (byProvider.get(provider)?.keys ?? []).map(key => ({ name: key.name, ...stateOf(key), inFlight: key.load.inFlight })),
    set(provider, name, state, forMs) {
      const key = byProvider.get(provider)?.keys.find(each => each.name === name)
      if (key === undefined) return false
      const untilMs = forMs === undefined ? null : clock.now() + forMs
      if (state === 'ready') change(provider, key, undefined)
      else if (state === 'resting') change(provider, key, { is: 'resting', untilMs: untilMs ?? clock.now() + LONG_REST_MS })
      else change(provider, key, { is: 'retired', untilMs })
      return true
    },
    over: others => pooled({ ...options, pools: others }),
    close: () => shared.close(),
  }
}

function isShared(value: unknown): value is Shared {
  const { is, untilMs } = asObject(value) ?? {}
  return (
    (is === 'resting' && typeof untilMs === 'number') || (is === 'retired' && (untilMs === null || typeof untilMs === 'number'))
  )
}
