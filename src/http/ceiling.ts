/*
 * Which calls are too many. There is no limit while the process keeps up, however many calls wait for slow models: what it can run out of
 * is its one core, and that shows in how long a call waits for its turn. When for half a second every call found another that had waited for
 * 25 ms, calls come faster than they can be answered, and from then on there is a ceiling: who finds that a whole round was not enough for
 * those before him is refused, at a part of the price of an answer. So few are under way at once, which answers most, and the core is not
 * idle for want of calls. Half a second, because a burst that is over by then was served.
 *
 * Why not a number of calls under way, fixed or found by trying: a hundred calls of 5 MB are too many, and ten thousand that wait for their
 * first token are not; and what such a number holds back shows its effect only when those under way are over.
 */

/** What was seen since the last look. */
export interface Look {
  /** How long ago that was. */
  readonly ms: number
  /** The shortest time that a call found the first in the line to have waited; 0 when no call came. */
  readonly waitedMs: number
  /** The share of the time in which the event loop did not wait for anything. */
  readonly utilization: number
  /** How long it would take to begin the calls of all who were refused and are still waiting as they were told. */
  readonly owedMs: number
}

export interface Ceiling {
  /**
   * Whether one more call is taken.
   * @param inFlight calls under way without it
   * @param waitedMs how long the first in the line has waited
   */
  allows(inFlight: number, waitedMs: number): boolean
  look(look: Look): void
}

/** So long a wait is too long when it lasts. */
const LONG_MS = 25
/** What a call may find when there is a ceiling: no more than those that came in the same round. */
const SHORT_MS = 1
/** With less than this the core has time left. */
const BUSY = 0.9
/** After so long, and more than one look, there is a ceiling; and after so long there is none. */
const LASTS_MS = { begin: 500, end: 2_000 }
/** So many are served whatever happens: a few large ones, too, can fill a core for a while. */
const FEWEST = 32

const NONE = { looks: 0, ms: 0 }

export function ceiling(): Ceiling {
  let isOverloaded = false
  /** Since when it has looked as if that were no longer true. */
  let against = NONE
  return {
    allows: (inFlight, waitedMs) => !isOverloaded || waitedMs < SHORT_MS || inFlight < FEWEST,
    look({ ms, waitedMs, utilization, owedMs }) {
      const isAgainst = isOverloaded ? owedMs < LONG_MS || utilization < BUSY : waitedMs >= LONG_MS
      against = isAgainst ? { looks: against.looks + 1, ms: against.ms + ms } : NONE
      if (against.looks > 1 && against.ms >= (isOverloaded ? LASTS_MS.end : LASTS_MS.begin)) {
        isOverloaded = !isOverloaded
        against = NONE
      }
    },
  }
}
