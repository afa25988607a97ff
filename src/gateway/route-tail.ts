/** What a route's configuration says of its cache and its rungs, made ready when it loads. */
import { hash } from 'node:crypto'
import { targetParts } from '../config/route-settings.ts'
import type { Config, RouteConfig } from '../config/schema.ts'
import type { Level, Target } from '../core/attempt.ts'
import type { RouteCache, Rung } from './routes.ts'

export function cacheOf({ cache, ...settings }: RouteConfig, config: Config): RouteCache | undefined {
  if (cache === undefined) return undefined
  return {
    ttlMs: cache.ttl,
    staleMs: cache.stale ?? 0,
    version: versionOf(settings, config),
    isShared: config.cache.scope === 'shared',
  }
}

/** Who may answer and what is made of the call on the way there; not how long it may take, and not the keys. */
function versionOf({ targets, fallbacks, require }: Omit<RouteConfig, 'cache'>, config: Config): string {
  const asked = [...targets.map(({ target }) => target), ...fallbacks].map(target => targetParts(target)!.provider)
  const providers = [...new Set(asked)].sort().map(name => {
    const { type, base_url: baseUrl, headers, tags, models } = config.providers[name]!
    return [name, type, baseUrl, headers, tags, models]
  })
  return hash('sha256', JSON.stringify([targets, fallbacks, require, providers]), 'hex')
}

/** The levels of a route's rungs, in their order. */
export const levelsOf = (route: RouteConfig): readonly Level[] => rungsOf(route, () => NO_TARGET).map(({ level }) => level)
const NO_TARGET = (): never => {
  throw new Error('a level asks no target')
}

/** Where old answers may stand in, they do so after all that asks a target, unless the rungs say when. */
export function rungsOf(
  { cache, degrade }: RouteConfig,
  targetOf: (target: string) => (carried: string) => Target,
): readonly Rung[] {
  const rungs = degrade.map((rung): Rung => {
    if (rung.level !== 'reduced' && rung.level !== 'minimal') return rung
    const of = rung.targets.map(targetOf)
    const targets = (carried: string) => of.map(each => each(carried))
    return { level: rung.level, targets, maxTokens: rung.max_tokens, drop: rung.drop ?? [] }
  })
  if (cache?.stale === undefined || rungs.some(({ level }) => level === 'cached')) return rungs
  const at = rungs.findIndex(({ level }) => level === 'offline')
  return rungs.toSpliced(at === -1 ? rungs.length : at, 0, { level: 'cached' })
}
