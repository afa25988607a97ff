/** Configuration → store: in this process, or Redis with memory behind it. */
import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { Store } from '../core/store.ts'
import { degradedStore } from '../state/degraded.ts'
import { embeddedStore } from '../state/embedded.ts'
import { redisStore } from '../state/redis.ts'
import { parseRedisUrl } from '../state/redis-url.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface StoreParts {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Metrics
}

/** Resolves also when Redis is away: the gateway starts without it, says so once, and has it when it comes. */
export async function storeOf({ state }: Config, { clock, random, log, metrics }: StoreParts): Promise<Store> {
  metrics.set('llm_state_degraded', [], 0)
  if (state?.redis === undefined) return embeddedStore(clock)
  const address = parseRedisUrl(state.redis.reveal())
  if ('wrong' in address) throw new Error(`state.redis: ${address.wrong}`)
  return degradedStore({
    clock,
    open: listeners =>
      redisStore({ address, prefix: state.prefix, commandTimeoutMs: state.command_timeout, clock, random, ...listeners }),
    onChange(awayBecause) {
      metrics.set('llm_state_degraded', [], awayBecause === undefined ? 0 : 1)
      if (awayBecause === undefined) log.warn('state restored', { store: 'redis' })
      else log.warn('state degraded', { store: 'redis', reason: awayBecause })
    },
  })
}
