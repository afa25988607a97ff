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
 * @param startedTicks when the attempt began
 * @param onFault told at most once, and never before this function or `begun` has returned: who starts a watch may not be ready to be stopped
 * @param deadlineTicks the call's own deadline
 * @param hadWholeDeadline whether this attempt had the call's whole time to itself; if not, running into the deadline is not its fault
 */
export function watch(
  clock: Clock,
  startedTicks: number,
  timeouts: Timeouts,
  deadlineTicks: number,
  hadWholeDeadline: boolean,
  onFault: (fault: Fault) => void,
): Watch {
  return new Watching(clock, startedTicks, timeouts, deadlineTicks, hadWholeDeadline, onFault)
}

class Watching implements Watch {
  private readonly clock: Clock
  private readonly timeouts: Timeouts
  private readonly deadlineTicks: number
  private readonly hadWholeDeadline: boolean
  private readonly onFault: (fault: Fault) => void
  private readonly startedTicks: number
  private hasBegun = false
  private isWaiting = true
  private waitingSince: number
  private cancel!: () => void
  private readonly look = () => {
    const now = this.clock.ticks()
    const fault = this.due(now)
    if (fault === undefined) this.arm(now)
    else this.onFault(fault)
  }

  constructor(
    clock: Clock,
    startedTicks: number,
    timeouts: Timeouts,
    deadlineTicks: number,
    hadWholeDeadline: boolean,
    onFault: (fault: Fault) => void,
  ) {
    this.clock = clock
    this.timeouts = timeouts
    this.deadlineTicks = deadlineTicks
    this.hadWholeDeadline = hadWholeDeadline
    this.onFault = onFault
    this.startedTicks = startedTicks
    this.waitingSince = startedTicks
    this.arm(startedTicks)
  }

  waiting(nowTicks: number): void {
    this.isWaiting = true
    this.waitingSince = nowTicks
  }

  heard(): void {
    this.isWaiting = false
  }

  begun(): void {
    this.hasBegun = true
  }

  stop(): void {
    this.cancel()
  }

  private totalDue(): number {
    return this.startedTicks + this.timeouts.totalMs
  }

  private silenceDue(now: number): number {
    if (!this.hasBegun) return this.startedTicks + this.timeouts.firstTokenMs
    return (this.isWaiting ? this.waitingSince : now) + this.timeouts.idleMs
  }

  private arm(now: number): void {
    // Never longer than idle, so that the beginning of the answer, after which idle counts, need not set the timer again.
    const dueTicks = Math.min(this.deadlineTicks, this.totalDue(), this.silenceDue(now), now + this.timeouts.idleMs)
    this.cancel = this.clock.after(dueTicks - now, this.look)
  }

  private due(now: number): Fault | undefined {
    if (now >= this.deadlineTicks - SLACK_MS) {
      const blameless = this.hasBegun || !this.hadWholeDeadline
      return new Fault('upstream-timeout', { detail: "the call's deadline passed", blameless })
    }
    const { totalMs, firstTokenMs, idleMs } = this.timeouts
    if (now >= this.totalDue() - SLACK_MS) return timeout('total', totalMs, !this.isWaiting)
    if (now < this.silenceDue(now) - SLACK_MS) return undefined
    if (!this.hasBegun) return timeout('first_token', firstTokenMs, false)
    return new Fault('upstream-stalled', { detail: `silent for ${idleMs} ms (idle)` })
  }
}

function timeout(setting: string, ms: number, blameless: boolean): Fault {
  return new Fault('upstream-timeout', { detail: `not within ${ms} ms (${setting})`, blameless })
}
