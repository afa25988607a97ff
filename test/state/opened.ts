/** The store of a gateway with Redis, as tests open it. */
import { systemClock } from '../../src/core/clock.ts'
import type { Store } from '../../src/core/store.ts'
import { degradedStore } from '../../src/state/degraded.ts'
import { redisStore } from '../../src/state/redis.ts'
import { parseRedisUrl } from '../../src/state/redis-url.ts'

export interface OpenedStore {
  readonly store: Store
  /** Why Redis was away, and "back", as they were told. */
  readonly changes: string[]
  away(): boolean
}

export async function opened(url: string, { prefix = 'test', commandTimeoutMs = 100 } = {}): Promise<OpenedStore> {
  const address = parseRedisUrl(url)
  if ('wrong' in address) throw new Error(address.wrong)
  const changes: string[] = []
  const store = await degradedStore({
    clock: systemClock,
    open: listeners => redisStore({ address, prefix, commandTimeoutMs, clock: systemClock, random: Math.random, ...listeners }),
    onChange: awayBecause => changes.push(awayBecause ?? 'back'),
  })
  return { store, changes, away: () => changes.length > 0 && changes.at(-1) !== 'back' }
}
