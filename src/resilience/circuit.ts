/*
 * One circuit per target. It decides when to open and does not know what opening means for a call.
 *
 *   closed ──(failures in a row, or a share of the window)──▶ open ──(time passes)──▶ half-open ──(probes succeed)──▶ closed, with a ramp
 *                                                              ▲                          │
 *                                                              └──(one fails: twice as long)┘
 *
 * Failures are counted by each replica for itself; what changes (open, closed) is shared through a mirror, so that the path of a call
 * asks nobody. Half-open is not a state that anybody writes: it is "open" whose time is over, so every replica enters it by itself.
 * Only the few calls that could be probes go to the store, which leases them over all replicas; a lease expires, so that a replica
 * which dies with a probe in hand holds the others up for half a minute and no longer.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { asObject } from '../core/json.ts'
import type { Store, Want } from '../core/store.ts'
import { lately } from './lately.ts'
import { mirror } from './mirror.ts'

export interface CircuitPolicy {
  /** Failures in a row that open it … */
  readonly failures: number
  /** … or this share of at least `minCalls` within `windowMs`. */
  readonly ratio: number
  readonly minCalls: number
  readonly windowMs: number
  readonly openMs: number
  readonly openMaxMs: number
  readonly probes: number
  readonly rampMs: number
}

export type CircuitState = 'closed' | 'half-open' | 'open'

/** The right to try a target; reported once, by `report` or `release`. */
export interface Permit {
  readonly target: string
  readonly kind: 'closed' | 'probe' | 'last-resort' | 'forced'
  /** Which opening this permit belongs to: what is reported late about an older one does not count. */
  readonly epoch: number
  /** Names the taker in the store, where the store counts this permit. */
  readonly id?: string
}

/** `retryAtMs`: when the circuit lets somebody try again, in milliseconds since 1970, where that is known. */
export type Admission = { readonly permit: Permit } | { readonly retryAtMs: number | undefined }

export interface Circuits {
  /** Says at once or, while half-open, after asking the store. */
  admit(target: string): Admission | Promise<Admission>
  /** For a route all of whose circuits are open: one call at a time may go to the target that opens soonest. */
  admitAsLastResort(target: string): Promise<Admission>
  /** What an attempt showed. Never waited for. */
  report(permit: Permit, succeeded: boolean): void
  /** The attempt showed nothing about the target (the client left, a limit was hit). */
  release(permit: Permit): void
  /** From 0.1 to 1: the share of its traffic that a target gets while it comes back. */
  ramp(target: string): number
  /** When the circuit lets somebody try: now or earlier when it is not open. Milliseconds since 1970. */
  opensAtMs(target: string): number
  state(target: string): CircuitState
  /** An operator's word; `auto` gives a circuit that is held so back to itself, closed. */
  force(target: string, state: 'open' | 'closed' | 'auto'): void
  /** Whether an operator holds it. */
  forced(target: string): boolean
  /** What stands behind the name is another one now: unless an operator holds it, it is closed and nothing is counted against it. */
  renew(target: string): void
  close(): void
}

/**
 * What replicas share of a circuit. Absent means closed, and so does `ramping` when the ramp is over: it is kept for its epoch, so that
 * the next opening is not taken for an older one. Moments are milliseconds since 1970.
 */
type Shared =
  | { readonly is: 'open'; readonly untilMs: number; readonly openMs: number; readonly epoch: number }
  | { readonly is: 'ramping'; readonly sinceMs: number; readonly epoch: number }
  | { readonly is: 'forced'; readonly state: 'open' | 'closed'; readonly epoch: number }

/** What one replica counts by itself. */
interface Counts {
  inRow: number
  readonly slices: { calls: number; failures: number }[]
  slice: number
  /** Until then this replica does not ask for a probe again: there was none left. */
  noProbeUntilMs: number
}

const SLICES = 10
const PROBE_TTL_MS = 30_000
const NO_PROBE_PAUSE_MS = 500
const FORCED_TTL_MS = 30 * 24 * 3_600_000
/** How much longer than it is open a circuit is remembered, for the probe that may come late. */
const MEMORY_MS = 3_600_000
/** Callers can make targets up: at least so many are counted for. */
const FEWEST_COUNTED = 2_500
/** Openings are spread by so much of their length, so that replicas and targets do not come back in step. */
const JITTER = 0.1

export interface CircuitOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: () => number
  readonly policyOf: (target: string) => CircuitPolicy
  /** Told of every change that this replica made. */
  readonly onChange: (target: string, to: CircuitState) => void
}

export function circuits({ store, clock, random, policyOf, onChange }: CircuitOptions): Circuits {
  const counts = lately<Counts>(FEWEST_COUNTED)
  const shared = mirror<Shared>(store, clock, 'circuit', name => counts.delete(name), isShared)
  const replica = randomUUID()
  let takers = 0

  const countsOf = (target: string) => counts.use(target, none)

  function admit(target: string): Admission | Promise<Admission> {
    const known = shared.get(target)
    if (known === undefined) return { permit: { target, kind: 'closed', epoch: 0 } }
    if (known.is === 'forced') {
      return known.state === 'closed' ? { permit: { target, kind: 'forced', epoch: 0 } } : { retryAtMs: undefined }
    }
    if (known.is === 'ramping') return { permit: { target, kind: 'closed', epoch: known.epoch } }
    if (clock.now() < known.untilMs) return { retryAtMs: known.untilMs }
    return admitProbe(target, known.epoch)
  }

  async function admitProbe(target: string, epoch: number): Promise<Admission> {
    const own = countsOf(target)
    const now = clock.now()
    if (now < own.noProbeUntilMs) return { retryAtMs: own.noProbeUntilMs }
    const { probes } = policyOf(target)
    const id = `${replica}:${++takers}`
    const taken = await store.take(id, [probeLease(target, epoch, probes)]).catch(() => undefined)
    if (taken?.ok) {
      if (taken.remaining[0] === probes - 1) onChange(target, 'half-open')
      return { permit: { target, kind: 'probe', epoch, id } }
    }
    own.noProbeUntilMs = now + NO_PROBE_PAUSE_MS
    return { retryAtMs: own.noProbeUntilMs }
  }

  async function admitAsLastResort(target: string): Promise<Admission> {
    const known = shared.get(target)
    if (known?.is === 'forced') return { retryAtMs: undefined }
    const id = `${replica}:${++takers}`
    const taken = await store.take(id, [lastResortLease(target)]).catch(() => undefined)
    if (!taken?.ok) return { retryAtMs: known?.is === 'open' ? known.untilMs : undefined }
    return { permit: { target, kind: 'last-resort', epoch: known?.epoch ?? 0, id } }
  }

  function report(permit: Permit, succeeded: boolean): void {
    if (permit.kind === 'forced') return
    if (permit.kind === 'closed') return count(permit, succeeded)
    if (permit.kind === 'last-resort') {
      release(permit)
      if (succeeded) endOpening(permit)
      return
    }
    if (!isCurrent(permit)) return
    if (succeeded) void countProbe(permit)
    else open(permit.target)
  }

  /** A good answer before the time was over: the rest of the opening is pointless, the probes may begin. */
  function endOpening({ target, epoch }: Permit): void {
    const known = shared.get(target)
    if (known?.is !== 'open' || known.epoch !== epoch) return
    shared.set(target, { ...known, untilMs: clock.now() }, MEMORY_MS)
  }

  async function countProbe({ target, epoch }: Permit): Promise<void> {
    const policy = policyOf(target)
    const succeeded = await store.add(successesKey(target, epoch), 1, MEMORY_MS).catch(() => 0)
    const known = shared.get(target)
    if (succeeded < policy.probes || known?.is !== 'open' || known.epoch !== epoch) return
    counts.delete(target)
    shared.set(target, { is: 'ramping', sinceMs: clock.now(), epoch }, policy.rampMs + MEMORY_MS)
    void store.forget([successesKey(target, epoch)]).catch(() => undefined)
    onChange(target, 'closed')
  }

  function isCurrent(permit: Permit): boolean {
    const known = shared.get(permit.target)
    return known?.is === 'open' && known.epoch === permit.epoch
  }

  function count({ target, epoch }: Permit, succeeded: boolean): void {
    const known = shared.get(target)
    // What began before the circuit opened, or was forced, says nothing new; nor does it when the circuit has closed again since.
    if (known !== undefined && (known.is !== 'ramping' || known.epoch !== epoch)) return
    const policy = policyOf(target)
    const own = countsOf(target)
    turn(own, policy.windowMs)
    const slice = own.slices[own.slice % SLICES]!
    slice.calls++
    if (succeeded) {
      own.inRow = 0
      return
    }
    own.inRow++
    slice.failures++
    const calls = own.slices.reduce((sum, each) => sum + each.calls, 0)
    const failures = own.slices.reduce((sum, each) => sum + each.failures, 0)
    if (own.inRow >= policy.failures || (calls >= policy.minCalls && failures / calls >= policy.ratio)) open(target)
  }

  /** Moves the window on, emptying the slices that time has passed. */
  function turn(own: Counts, windowMs: number): void {
    const slice = Math.floor(clock.now() / (windowMs / SLICES))
    const first = Math.max(own.slice + 1, slice - SLICES + 1)
    for (let at = first; at <= slice; at++) {
      const emptied = own.slices[at % SLICES]!
      emptied.calls = 0
      emptied.failures = 0
    }
    own.slice = Math.max(own.slice, slice)
  }

  function open(target: string): void {
    const policy = policyOf(target)
    const known = shared.get(target)
    const again = known?.is === 'open'
    const openMs = again ? Math.min(known.openMs * 2, policy.openMaxMs) : policy.openMs
    const epoch = (known?.epoch ?? 0) + 1
    const lengthMs = openMs * (1 - JITTER + 2 * JITTER * random())
    counts.delete(target)
    shared.set(target, { is: 'open', untilMs: clock.now() + lengthMs, openMs, epoch }, lengthMs + MEMORY_MS)
    onChange(target, 'open')
  }

  function release(permit: Permit): void {
    const { target, kind, epoch, id } = permit
    if (kind === 'probe' && isCurrent(permit)) {
      store.settle(id!, [probeLease(target, epoch, policyOf(target).probes)]).catch(() => undefined)
      countsOf(target).noProbeUntilMs = 0
    }
    if (kind === 'last-resort') store.settle(id!, [lastResortLease(target)]).catch(() => undefined)
  }

  function stateOf(target: string): CircuitState {
    const known = shared.get(target)
    if (known?.is === 'forced') return known.state
    if (known?.is !== 'open') return 'closed'
    return clock.now() < known.untilMs ? 'open' : 'half-open'
  }

  function rampOf(target: string): number {
    const known = shared.get(target)
    if (known?.is !== 'ramping') return 1
    const { rampMs } = policyOf(target)
    if (rampMs <= 0) return 1
    const passed = (clock.now() - known.sinceMs) / rampMs
    return passed >= 1 ? 1 : 0.1 + 0.9 * Math.max(0, passed)
  }

  return {
    admit(target) {
      shared.watch(target)
      return admit(target)
    },
    admitAsLastResort,
    report,
    release,
    ramp: rampOf,
    opensAtMs(target) {
      const known = shared.get(target)
      if (known?.is === 'open') return known.untilMs
      return known?.is === 'forced' && known.state === 'open' ? Number.POSITIVE_INFINITY : 0
    },
    state(target) {
      shared.watch(target)
      return stateOf(target)
    },
    force(target, state) {
      const known = shared.get(target)
      if (state === 'auto' && known !== undefined && known.is !== 'forced') return
      const before = stateOf(target)
      counts.delete(target)
      if (state !== 'auto') shared.set(target, { is: 'forced', state, epoch: known?.epoch ?? 0 }, FORCED_TTL_MS)
      else shared.set(target, known && closedAtOnce(known), MEMORY_MS)
      if (stateOf(target) !== before) onChange(target, stateOf(target))
    },
    forced: target => shared.get(target)?.is === 'forced',
    renew(target) {
      const known = shared.get(target)
      if (known?.is === 'forced') return
      counts.delete(target)
      if (known?.is !== 'open') return
      shared.set(target, closedAtOnce(known), MEMORY_MS)
      onChange(target, 'closed')
    },
    close: () => shared.close(),
  }
}

/** Closed without a ramp: one that began in 1970 is over. */
const closedAtOnce = ({ epoch }: Shared): Shared => ({ is: 'ramping', sinceMs: 0, epoch })
function none(): Counts {
  const slices = Array.from({ length: SLICES }, () => ({ calls: 0, failures: 0 }))
  return { inRow: 0, slices, slice: -1, noProbeUntilMs: 0 }
}

/** Of a store that cannot be asked, each replica learns nothing of the others, and closes its circuits by its own probes. */
const lease = (key: string, limit: number): Want => ({ kind: 'lease', key, limit, ttlMs: PROBE_TTL_MS, alone: limit })
/** The target as a hash tag. Its model may be a caller's word, and braces in it would end the tag early. */
const tag = (target: string) => `{${target.replace(/[{}%]/g, encodeURIComponent)}}`
const successesKey = (target: string, epoch: number) => `probed:${tag(target)}:${epoch}`
const probeLease = (target: string, epoch: number, probes: number) => lease(`probes:${tag(target)}:${epoch}`, probes)
const lastResortLease = (target: string) => lease(`last-resort:${tag(target)}`, 1)

function isShared(value: unknown): value is Shared {
  const { is, untilMs, openMs, sinceMs, state, epoch } = asObject(value) ?? {}
  if (typeof epoch !== 'number') return false
  if (is === 'open') return typeof untilMs === 'number' && typeof openMs === 'number'
  if (is === 'ramping') return typeof sinceMs === 'number'
  return is === 'forced' && (state === 'open' || state === 'closed')
}
