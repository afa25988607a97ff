/*
 * The times of one attempt, by one timer. Node's timers are cheap but a stream has thousands of reads: so the timer is not set again at
 * each of them. It fires when something could be due, looks at what has happened since, and goes back to sleep for the rest.
 */
import type { Timeouts } from '../core/attempt.ts'
import type { Clock } from '../core/clock.ts'
import { Fault } from '../core/fault.ts'

export interface Watch {
  /** We wait for the upstream from `nowTicks` on. */
  waiting(nowTicks: number): void
  /** It has spoken. While nobody waits for it, its silence is ours. */
  heard(): void
  /** The answer has begun: from now on `idle` counts instead of `first_token`. */
  begun(): void
  stop(): void
}

/** Milliseconds by which a timer may come early against the clock. */
const SLACK_MS = 1

/**
 * @param onFault told at most once, and never before this function or `begun` has returned: who starts a watch may not be ready to be stopped
 * @param deadlineTicks the call's own deadline
 * @param hadWholeDeadline whether this attempt had the call's whole time to itself; if not, running into the deadline is not its fault
 */
export function watch(
  clock: Clock,
  timeouts: Timeouts,
  deadlineTicks: number,
  hadWholeDeadline: boolean,
  onFault: (fault: Fault) => void,
): Watch {
  const startedAt = clock.ticks()
  const totalDue = startedAt + timeouts.totalMs
  let hasBegun = false
  // Numbers that change at every read stand in an object: a variable that a function shares is given a new number each time.
  const silence = { counts: true, sinceTicks: startedAt }
  let cancel = () => {}

  function silenceDue(now: number): number {
    if (!hasBegun) return startedAt + timeouts.firstTokenMs
    return (silence.counts ? silence.sinceTicks : now) + timeouts.idleMs
  }

  function arm(): void {
    const now = clock.ticks()
    // Never longer than idle, so that the beginning of the answer, after which idle counts, need not set the timer again.
    cancel = clock.after(Math.min(deadlineTicks, totalDue, silenceDue(now), now + timeouts.idleMs) - now, look)
  }

  function look(): void {
    const fault = due(clock.ticks())
    if (fault === undefined) arm()
    else onFault(fault)
  }

  function due(now: number): Fault | undefined {
    if (now >= deadlineTicks - SLACK_MS) {
      const blameless = hasBegun || !hadWholeDeadline
      return new Fault('upstream-timeout', { detail: "the call's deadline passed", blameless })
    }
    if (now >= totalDue - SLACK_MS) return timeout('total', timeouts.totalMs, !silence.counts)
    if (now < silenceDue(now) - SLACK_MS) return undefined
    if (!hasBegun) return timeout('first_token', timeouts.firstTokenMs, false)
    return new Fault('upstream-stalled', { detail: `silent for ${timeouts.idleMs} ms (idle)` })
  }
  arm()

  return {
    waiting(nowTicks) {
      silence.counts = true
      silence.sinceTicks = nowTicks
    },
    heard() {
      silence.counts = false
    },
    begun() {
      hasBegun = true
    },
    stop() {
      cancel()
    },
  }
}

function timeout(setting: string, ms: number, blameless: boolean): Fault {
  return new Fault('upstream-timeout', { detail: `not within ${ms} ms (${setting})`, blameless })
}
