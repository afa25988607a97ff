/*
 * The same caller, the same first choice, so that a provider finds in its cache what it has read before. Nothing is remembered for it:
 * each caller has an order of targets of its own, worked out from its name by rendezvous hashing. That order is the same on every replica
 * and after a restart, callers spread evenly (or by weight) over the targets, and a target that joins or leaves takes or gives up its own
 * callers only. It is an order and no more: where the first target's circuit is open, the call goes to the second.
 */
import type { Target } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import type { Chooser, ClientHeaders, Weighted } from './choosers.ts'

export type StickyTo = 'client' | 'session'

const SESSION_HEADER = 'x-understudy-session'

export interface StickyOptions {
  readonly to: StickyTo
  /** Whether weights say how many callers a target gets. */
  readonly byWeight: boolean
  /** The share of its callers, from 0.1 to 1, that a target gets at present. */
  readonly ramp: (target: string) => number
  /** For calls that name no session. */
  readonly otherwise: Chooser
}

export function sticky({ to, byWeight, ramp, otherwise }: StickyOptions): Chooser {
  return (targets, call, client, headers) => {
    if (targets.length === 1) return [targets[0]!.target]
    const session = to === 'session' ? sessionOf(call, headers) : ''
    if (session === undefined) return otherwise(targets, call, client, headers)
    return ranked(targets, hashed(session, hashed(client.name, OFFSET)), byWeight, ramp)
  }
}

function sessionOf({ body }: ChatCall, headers: ClientHeaders): string | undefined {
  const session = headers[SESSION_HEADER]
  if (typeof session === 'string' && session !== '') return session
  return typeof body.user === 'string' && body.user !== '' ? body.user : undefined
}

function ranked(
  targets: readonly Weighted[],
  caller: number,
  byWeight: boolean,
  ramp: (target: string) => number,
): readonly Target[] {
  const places = targets.map(({ target, weight }) => {
    const lot = mixed(hashed(target.id, caller))
    // A caller comes back to a target at a point of the ramp that is its own, and then stays: drawn anew for each call, it would not.
    const behind = mixed(lot ^ RAMP_SALT) / RANGE >= ramp(target.id)
    // The time until the first of so many chances a second: the target whose time is shortest wins in proportion to its weight.
    return { target, behind, after: -Math.log((lot + 0.5) / RANGE) / (byWeight ? weight : 1) }
  })
  places.sort((a, b) => Number(a.behind) - Number(b.behind) || a.after - b.after)
  return places.map(({ target }) => target)
}

const RANGE = 2 ** 32
const OFFSET = 0x811c9dc5
const PRIME = 0x01000193
const RAMP_SALT = 0x9e3779b9
/** A call may hold a name of any length, and nobody needs all of it to tell callers apart. */
const MOST_HASHED = 1_024
/** Ends a text, so that "a" + "bc" is not "ab" + "c". */
const END = 0x10ffff

/** FNV-1a of a text, going on from the hash of what came before. */
function hashed(text: string, before: number): number {
  const length = Math.min(text.length, MOST_HASHED)
  let hash = before
  for (let at = 0; at < length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME)
  return Math.imul(hash ^ END, PRIME)
}

/** MurmurHash3's last step: FNV alone leaves the upper bits of similar texts alike. @returns from 0 to 2³² − 1 */
function mixed(hash: number): number {
  let bits = hash ^ (hash >>> 16)
  bits = Math.imul(bits, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
