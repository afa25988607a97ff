/** Periods in UTC, and money as whole numbers: sums of fractions would be a little off, and refuse the last call that fits. */

export type Per = 'hour' | 'day' | 'month'

/** So many US$ in each hour, day or month. */
export interface Allotment {
  readonly usd: number
  readonly per: Per
}

export interface Period {
  /** As in `2026-11-27T14`, `2026-11-27` or `2026-11`: part of a sum's key, so that each period counts for itself. */
  readonly name: string
  /** Milliseconds since 1970. */
  readonly endsAtMs: number
}

/** The period in which `nowMs` lies. */
export function periodAt(per: Per, nowMs: number): Period {
  const now = new Date(nowMs)
  const [year, month, day, hour] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), now.getUTCHours()]
  const text = now.toISOString()
  switch (per) {
    case 'hour':
      return { name: text.slice(0, 13), endsAtMs: Date.UTC(year, month, day, hour + 1) }
    case 'day':
      return { name: text.slice(0, 10), endsAtMs: Date.UTC(year, month, day + 1) }
    case 'month':
      return { name: text.slice(0, 7), endsAtMs: Date.UTC(year, month + 1) }
  }
}

/** How long the sum of a period is kept after its end, for calls that began in it and for those who look back. */
export const KEPT_AFTER_MS = 24 * 60 * 60 * 1000

const NANOS = 1_000_000_000

/** Whole billionths of a US$: a token of the cheapest model costs several. */
export const nanosOf = (usd: number) => Math.round(usd * NANOS)
export const usdOf = (nanos: number) => nanos / NANOS
