/*
 * Calls take turns. A round of the event loop begins calls for a millisecond; those that come later in it wait, in the order in which they
 * came, for the rounds after it. So what comes in one moment is not all under way in the next: four thousand calls that were all begun at
 * once took four times as long as one after the other, and twice the memory. Where few come in a round, none waits.
 *
 * What waits is a head, and as much of the body as Node reads ahead of whoever wants it.
 */
import type { Clock } from '../core/clock.ts'

export interface Turns {
  /** Begins a call, now or when its turn has come. @param begin must not throw */
  take(begin: () => void): void
  /** For how long the one whose turn is next has waited so far, in milliseconds; 0: nobody waits. */
  waitedMs(): number
  /** How many calls have been begun. */
  begun(): number
}

interface Waiting {
  readonly begin: () => void
  readonly sinceTicks: number
  next: Waiting | undefined
}

/** So long a round begins calls. Short rounds do most, as less goes through the processor's caches between two touches of one call. */
const OPEN_MS = 1

export function turns(clock: Clock): Turns {
  let first: Waiting | undefined
  let last: Waiting | undefined
  /** When the first of this round was begun; undefined: none was, and nobody waits. */
  let openedTicks: number | undefined
  let count = 0

  function open(ticks: number): void {
    openedTicks = ticks
    setImmediate(nextRound)
  }

  function nextRound(): void {
    openedTicks = undefined
    if (first === undefined) return
    open(clock.ticks())
    next(first)
  }

  function next(one: Waiting): void {
    first = one.next
    if (first === undefined) last = undefined
    // One that is gone, and that the collector has not come to yet, would keep alive all that came after it.
    one.next = undefined
    count++
    one.begin()
    // In a tick of its own: what a call does first, it does in the ticks after this one, and that is the time that counts.
    if (first !== undefined && clock.ticks() - openedTicks! < OPEN_MS) process.nextTick(next, first)
  }

  return {
    take(begin) {
      const ticks = clock.ticks()
      // Whoever waits does so because the time was up.
      if (openedTicks !== undefined && ticks - openedTicks >= OPEN_MS) {
        const one: Waiting = { begin, sinceTicks: ticks, next: undefined }
        if (last === undefined) first = one
        else last.next = one
        last = one
        return
      }
      if (openedTicks === undefined) open(ticks)
      count++
      begin()
    },
    waitedMs: () => (first === undefined ? 0 : clock.ticks() - first.sinceTicks),
    begun: () => count,
  }
}
