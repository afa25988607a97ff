/** Clocks for tests: one that a test holds still, and one that counts. */
import { type Clock, systemClock } from '../../src/core/clock.ts'

export interface HeldClock extends Clock {
  /** Moves time on, running what falls due on the way, in order. */
  pass(ms: number): Promise<void>
  /** How many timers wait. */
  waiting(): number
}

export function heldClock(startMs = 1_700_000_000_000): HeldClock {
  let passed = 0
  let timers: { readonly at: number; readonly run: () => void }[] = []
  return {
    now: () => startMs + passed,
    ticks: () => passed,
    after(ms, run) {
      const timer = { at: passed + Math.max(0, ms), run }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
    async pass(ms) {
      const end = passed + ms
      for (;;) {
        await settled()
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers = timers.filter(other => other !== next)
        passed = Math.max(passed, next.at)
        next.run()
      }
      passed = end
      await settled()
    },
    waiting: () => timers.length,
  }
}

/** The machine's own time, by a clock that knows how many of its timers wait. */
export function countingClock(): Clock & { waiting(): number } {
  const waiting = new Set<object>()
  return {
    ...systemClock,
    after(ms, run) {
      const timer = {}
      waiting.add(timer)
      const cancel = systemClock.after(ms, () => {
        waiting.delete(timer)
        run()
      })
      return () => {
        waiting.delete(timer)
        cancel()
      }
    },
    waiting: () => waiting.size,
  }
}

/** Lets everything that is ready to run, run. */
export const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
