/*
 * The level at which a route has been set by hand, for all replicas: its plans begin at that rung until it is set back, or until its time
 * is over. What a route does by itself when its targets fail is not here; that is in its plan.
 */
import { LEVELS, type Level } from '../core/attempt.ts'
import type { Clock } from '../core/clock.ts'
import { asObject } from '../core/json.ts'
import type { Store } from '../core/store.ts'
import { mirror } from './mirror.ts'

export interface Levels {
  /** `normal` where nothing has been set. */
  of(route: string): Level
  /** When what has been set ends by itself, in milliseconds since 1970; undefined: it does not. */
  untilMs(route: string): number | undefined
  /** @param forMs after this it is `normal` again; undefined: when it is set so */
  set(route: string, level: Level, forMs: number | undefined): void
  /** From now on these routes have rungs, of these levels. What was set for a route that has the level still lives on. */
  offer(routes: RungLevels): void
  close(): void
}

/** Of routes that have rungs, by name. */
export type RungLevels = ReadonlyMap<string, readonly Level[]>

interface Shared {
  readonly level: Level
  /** null: until it is changed. */
  readonly untilMs: number | null
}

const FOR_EVER_MS = 365 * 24 * 3_600_000

/**
 * @param routes those that have rungs, with the levels of these; any other that somebody set is none
 * @param onChange told of every change, whoever made it; of the end of a time a few seconds after it
 */
export function levels(
  store: Store,
  clock: Clock,
  routes: RungLevels,
  onChange: (route: string, level: Level, untilMs: number | undefined) => void,
): Levels {
  const heard = (route: string, to: Shared | undefined) => onChange(route, to?.level ?? 'normal', to?.untilMs ?? undefined)
  const shared = mirror<Shared>(store, clock, 'level', heard, isShared)
  let offered: RungLevels
  offer(routes)

  function offer(routes: RungLevels): void {
    offered = routes
    for (const route of routes.keys()) shared.watch(route)
  }

  function current(route: string): Shared | undefined {
    const known = shared.get(route)
    if (known === undefined || !offered.get(route)?.includes(known.level)) return undefined
    return known.untilMs !== null && known.untilMs <= clock.now() ? undefined : known
  }

  return {
    of: route => current(route)?.level ?? 'normal',
    untilMs: route => current(route)?.untilMs ?? undefined,
    set(route, level, forMs) {
      const untilMs = forMs === undefined ? null : clock.now() + forMs
      const to = level === 'normal' ? undefined : { level, untilMs }
      shared.set(route, to, forMs ?? FOR_EVER_MS)
      heard(route, to)
    },
    offer,
    close: () => shared.close(),
  }
}

function isShared(value: unknown): value is Shared {
  const { level, untilMs } = asObject(value) ?? {}
  return LEVELS.some(one => one === level) && (untilMs === null || typeof untilMs === 'number')
}
