/*
 * Limits of requests, tokens and calls in flight, as wants of a store. Clients have them here and provider keys have them upstream: what
 * is counted is the same, and the keys of one holder share a hash tag, so that one command can take them all in a cluster, too.
 */
import type { Want } from './store.ts'

/** What is undefined is unlimited. */
export interface Limits {
  /** Requests a minute. */
  readonly rpm?: number
  /** Tokens a minute. */
  readonly tpm?: number
  /** Calls in flight. */
  readonly concurrency?: number
}

export type LimitName = keyof Limits

export const MINUTE_MS = 60_000

/** What a holder's limits are called in the store. `holder` must be unique among all that have limits. */
export const limitKey = (holder: string, name: string) => `limit:{${holder}}:${name}`

/**
 * What one call wants of the limits that there are.
 * @param tokens the estimate to reserve; what was used is settled afterwards
 * @param leaseTtlMs when the place of a call whose process died is free again; longer than any call may last
 */
export type LimitWants = (tokens: number, leaseTtlMs: number) => readonly Want[]

const NO_WANTS: readonly Want[] = []

/** Made once for each holder, as most of it is the same for every call. */
export function limitWants(holder: string, { rpm, tpm, concurrency }: Limits): LimitWants {
  const [leases, requests, used] = [limitKey(holder, 'concurrency'), limitKey(holder, 'rpm'), limitKey(holder, 'tpm')]
  const request: Want | undefined =
    rpm === undefined ? undefined : { kind: 'rate', key: requests, amount: 1, limit: rpm, windowMs: MINUTE_MS }
  if (concurrency === undefined && request === undefined && tpm === undefined) return () => NO_WANTS
  return (tokens, leaseTtlMs) => {
    const wants: Want[] = []
    if (concurrency !== undefined) wants.push({ kind: 'lease', key: leases, limit: concurrency, ttlMs: leaseTtlMs })
    if (request !== undefined) wants.push(request)
    if (tpm !== undefined) {
      // A call larger than the whole limit would never fit; it may pass when nothing else does.
      wants.push({ kind: 'rate', key: used, amount: Math.min(tokens, tpm), limit: tpm, windowMs: MINUTE_MS })
    }
    return wants
  }
}

/** Which limit a want was made for; undefined when it is of another kind. */
export function limitOf(want: Want): LimitName | undefined {
  if (want.kind === 'lease') return 'concurrency'
  if (want.kind === 'sum') return undefined
  return want.key.endsWith(':tpm') ? 'tpm' : 'rpm'
}

/** The wants as they are to be settled: a request stays a request, tokens are those that were used, where that is known. */
export function limitsUsed(wants: readonly Want[], tokens: number | undefined): Want[] {
  return wants.map(want => {
    if (tokens === undefined || want.kind !== 'rate' || limitOf(want) !== 'tpm') return want
    return { kind: 'rate', key: want.key, amount: tokens, limit: want.limit, windowMs: want.windowMs }
  })
}
