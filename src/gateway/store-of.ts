/** Configuration → store: in this process, perhaps with a file, or Redis with memory behind it. */
import type { Config } from '../config/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { Store } from '../core/store.ts'
import { embeddedStore } from '../state/embedded.ts'
import { parseRedisUrl } from '../state/redis-url.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface StoreParts {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly metrics: Metrics
}

/**
 * Resolves also when Redis is away: the gateway starts without it, says so once, and has it when it comes. With Redis there is no use for a
 * file. Rejects when the file cannot be used.
 */
export async function storeOf({ state }: Config, { clock, random, log, metrics }: StoreParts): Promise<Store> {
  metrics.set('llm_state_degraded', [], 0)
  if (state?.redis === undefined) return state?.file === undefined ? embeddedStore(clock) : filed(state.file, clock, log)
  const address = parseRedisUrl(state.redis.reveal())
  if ('wrong' in address) throw new Error(`state.redis: ${address.wrong}`)
  // Loaded only for those that have one, as is the file below: a client of Redis takes its time.
  const [{ degradedStore }, { redisStore }] = await Promise.all([import('../state/degraded.ts'), import('../state/redis.ts')])
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

async function filed(file: string, clock: Clock, log: Log): Promise<Store> {
  const { sumsFile } = await import('../state/sums-file.ts')
  const onTrouble = (reason: string | undefined) =>
    reason === undefined ? log.info('state file written again') : log.error('state file not written', { detail: reason })
  try {
    return embeddedStore(clock, sumsFile(file, onTrouble))
  } catch (thrown) {
    throw new Error(`state.file: ${(thrown as Error).message}`)
  }
}
