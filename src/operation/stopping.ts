/** The end of an instance, in good order. */
import { systemClock } from '../core/clock.ts'
import type { Readiness } from '../http/health.ts'
import type { ClientServer } from '../http/server.ts'
import type { Log } from '../telemetry/log.ts'

/*
 * What is on its way to us when the signal comes still gets an answer: until then connections that are idle stay open, for a call that is
 * sent into one just as we close it has no answer, and nobody can tell whether it was begun. How long that takes is counted in looks and
 * not in milliseconds, since a machine that is busy lets time pass without our having read anything.
 */
const LOOK_EVERY_MS = 20
/** 250 ms where nothing is in the way. */
const ON_THE_WAY_LOOKS = 12
/** The same for who leaves its place to another: nobody was told to go elsewhere, and the calls of kept connections go on coming. */
const HANDING_OVER_LOOKS = 50
/** And until nothing new has come for so many looks; but no longer than for this many. */
const QUIET_LOOKS = 5
const MOST_LOOKS = 100
/** Time for last words to reach clients that still read. */
const LAST_WORDS_MS = 500
/** Time for what is to be closed, and for what is to be written somewhere else. */
export const CLOSE_MS = 600

export interface Stopped {
  readonly server: ClientServer
  readonly readiness: Readiness
  readonly log: Log
  readonly drainMs: () => number
  /** Told at the beginning. */
  readonly onStopping?: (() => void) | undefined
}

/**
 * `told`: not ready at once, and new calls are refused. `leaving`: another has taken our place, and whoever still comes over a kept
 * connection is answered, and told that it is the last time.
 */
export type Manner = 'told' | 'leaving'

export type Stop = (exitCode: number, manner?: Manner) => Promise<void>

/**
 * Stops: calls and streams come to their end within the drain; the rest is ended with an error event. To be told a second time means now.
 * It is over at most two seconds after the drain, whatever clients or stores do.
 */
export function stopping({ server, readiness, log, drainMs, onStopping }: Stopped, closed: () => Promise<void>): Stop {
  let hurry: (() => void) | undefined
  return async (exitCode, manner = 'told') => {
    if (hurry !== undefined) return hurry()
    const hurried = new Promise<void>(resolve => {
      hurry = resolve
    })
    if (manner === 'told') readiness.drain()
    else readiness.leave()
    onStopping?.()
    log.info('draining', { calls: server.active() })
    const leastLooks = manner === 'told' ? ON_THE_WAY_LOOKS : HANDING_OVER_LOOKS
    await Promise.race([idle(server, drainMs(), leastLooks), hurried])
    server.endAll()
    await idle(server, LAST_WORDS_MS)
    server.app.server.closeAllConnections()
    await within(CLOSE_MS, server.app.close())
    await closed()
    log.info('stopped')
    log.flush()
    process.exit(exitCode)
  }
}

/**
 * Resolves when nothing is under way any more, or after `mostMs`. Connections that fall idle meanwhile are closed.
 * @param leastLooks until then, and until it has become quiet, none is
 */
function idle(server: ClientServer, mostMs: number, leastLooks = 0): Promise<void> {
  const startedTicks = systemClock.ticks()
  let [looks, quietSince, begun] = [0, 0, server.begun()]
  return new Promise(resolve => {
    const timer = setInterval(() => {
      looks++
      if (server.begun() !== begun) [quietSince, begun] = [looks, server.begun()]
      const isOver = systemClock.ticks() - startedTicks >= mostMs
      const mayBeOnTheWay = looks < leastLooks || (leastLooks > 0 && looks < MOST_LOOKS && looks - quietSince < QUIET_LOOKS)
      if (mayBeOnTheWay && !isOver) return
      server.closeIdle()
      if (server.active() > 0 && !isOver) return
      clearInterval(timer)
      resolve()
    }, LOOK_EVERY_MS)
  })
}

/** Resolves when it is done, however, or after `ms`. Its timer keeps the process alive until then. */
export function within(ms: number, done: Promise<unknown>): Promise<void> {
  return new Promise(resolve => {
    const over = () => {
      clearInterval(timer)
      resolve()
    }
    const timer = setInterval(over, ms)
    done.then(over, over)
  })
}
