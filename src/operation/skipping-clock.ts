/** A clock that goes as the machine's does, and can be put ahead: waiting that would show nothing is skipped. */
import { type Clock, systemClock } from '../core/clock.ts'

export interface SkippingClock extends Clock {
  /** So much time has passed at once: whatever falls due on the way runs, in its order. */
  skip(ms: number): void
  /** To the next moment for which something has been set. */
  skipToNext(): void
}

interface Timer {
  readonly atTicks: number
  readonly run: () => void
  cancel: () => void
}

export function skippingClock(): SkippingClock {
  let aheadMs = 0
  const timers = new Set<Timer>()
  const ticks = () => systemClock.ticks() + aheadMs

  function arm(timer: Timer): void {
    timer.cancel = systemClock.after(timer.atTicks - ticks(), () => fire(timer))
  }

  function fire(timer: Timer): void {
    timer.cancel()
    if (timers.delete(timer)) timer.run()
  }

  const next = () =>
    [...timers].reduce<Timer | undefined>(
      (soonest, each) => (soonest && soonest.atTicks <= each.atTicks ? soonest : each),
      undefined,
    )

  function skip(ms: number): void {
    const endTicks = ticks() + ms
    for (let due = next(); due !== undefined && due.atTicks <= endTicks; due = next()) {
      aheadMs += Math.max(0, due.atTicks - ticks())
      fire(due)
    }
    aheadMs += Math.max(0, endTicks - ticks())
    for (const timer of timers) {
      timer.cancel()
      arm(timer)
    }
  }

  return {
    now: () => systemClock.now() + aheadMs,
    ticks,
    after(ms, run) {
      const timer: Timer = { atTicks: ticks() + Math.max(0, ms), run, cancel: () => {} }
      timers.add(timer)
      arm(timer)
      return () => {
        timer.cancel()
        timers.delete(timer)
      }
    },
    skip,
    skipToNext() {
      const due = next()
      if (due !== undefined) skip(Math.max(0, due.atTicks - ticks()))
    },
  }
}
