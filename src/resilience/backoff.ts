/** How long to wait before the same target again. */
import type { RetryPolicy } from '../core/attempt.ts'

/**
 * Full jitter: anything from nothing to `first × factor^(again-1)`, at most `max`. A Retry-After that is longer wins, since the
 * upstream knows best; the caller has already decided that it is short enough to wait for.
 * @param again which retry of this target it is, from 1
 */
export function backoffMs(policy: RetryPolicy, again: number, retryAfterMs: number | undefined, random: () => number): number {
  const ceiling = Math.min(policy.maxMs, policy.firstMs * policy.factor ** (again - 1))
  return Math.max(random() * ceiling, retryAfterMs ?? 0)
}
