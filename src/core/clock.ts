import type { Fault } from './fault.ts'
import type { Stop } from './stop.ts'

/** Time, passed in so that a test can hold it still. Nothing else in the gateway asks the machine what time it is. */
export interface Clock {
  /** Milliseconds since 1970, as replicas would agree on it: for what is stored or shown. */
  now(): number
  /** Milliseconds since some fixed moment, never going back: for durations and deadlines. */
  ticks(): number
  /** Calls `run` once after `ms` milliseconds unless the returned function is called first. Does not keep the process alive. */
  after(ms: number, run: () => void): () => void
}

/** setTimeout's own limit; longer delays would fire at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  ticks: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMEOUT_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms` by `clock`, or rejects with the fault of `stop` as soon as it comes. */
export function sleep(clock: Clock, ms: number, stop: Stop): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stop.fault !== undefined) return reject(stop.fault)
    const stopped = (fault: Fault) => {
      cancel()
      reject(fault)
    }
    stop.hear(stopped)
    const cancel = clock.after(ms, () => {
      stop.unhear(stopped)
      resolve()
    })
  })
}
