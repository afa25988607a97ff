/*
 * Which calls are too many. There is no limit while the process keeps up, however many calls wait for slow models: what it can run out of
 * is its one core, and that is what is measured. When for half a second the event loop had no pause at all and its rounds took longer than
 * a refusal may take, calls come faster than they can be answered, and from then on there is a ceiling: to the time for which a round takes
 * new calls. Those that come later in it are refused, at a part of the price of an answer. So rounds stay short, each takes what it has time
 * for, and the core is not idle for want of calls. Half a second, because a burst that is over by then was served.
 *
 * Why not a number of calls under way, fixed or found by trying: a hundred calls of 5 MB are too many, and ten thousand that wait for their
 * first token are not; and what such a number holds back shows its effect only when those under way are over.
 */

/** What was seen since the last look. */
export interface Look {
  /** How long ago that was. */
  readonly ms: number
  /** The share of the time in which the event loop did not wait for anything. */
  readonly utilization: number
  /** The mean time that a round of the loop took, waiting left out; infinite: none has ended. */
  readonly roundMs: number
}

export interface Ceiling {
  /** Whether one more call is taken. @param inFlight calls under way without it */
  allows(inFlight: number): boolean
  look(look: Look): void
}

/** What it can see at any time. */
export interface Loop {
  /** The number of the round. */
  round(): number
  nowMs(): number
}

/** No pauses but those that a timer makes. */
const FULL = 0.98
/** A refusal waits for one round and a part of the next, and must come within 50 ms. */
const LONG_ROUND_MS = 25
/**
 * So long a round takes new calls. Short rounds answer most, as less goes through the processor's caches between two touches of one call,
 * until there are too few calls in a round for the core to be busy: then it takes them for longer.
 */
const OPEN_MS = { least: 1, most: 8 }
const [LONGER, SHORTER] = [1.25, 0.7]

/** After so long, and more than one look, there is a ceiling. */
const FULL_MS = 500
/** So many are served whatever happens: a few large ones, too, can fill a core for a while. */
const FEWEST = 32

/** After so long without a call too many there is none. */
const QUIET_MS = 10_000

const NONE = { looks: 0, ms: 0 }

export function ceiling({ round, nowMs }: Loop): Ceiling {
  let full = NONE
  let isOverloaded = false
  let quietMs = 0
  let openMs = OPEN_MS.least
  /** Of the round in which the last new call came. */
  let [current, beganAtMs, isLate] = [0, 0, false]
  function isOpen(inFlight: number): boolean {
    const now = nowMs()
    const at = round()
    if (at !== current) {
      // Even those that it has are too much when the last round was long.
      isLate = at === current + 1 && now - beganAtMs >= LONG_ROUND_MS
      ;[current, beganAtMs] = [at, now]
    }
    return isLate ? inFlight < FEWEST : now - beganAtMs < openMs
  }
  return {
    allows(inFlight) {
      if (!isOverloaded || isOpen(inFlight)) return true
      quietMs = 0
      return false
    },
    look({ ms, utilization, roundMs }) {
      const isFull = roundMs >= LONG_ROUND_MS && utilization >= FULL
      full = isFull ? { looks: full.looks + 1, ms: full.ms + ms } : NONE
      quietMs += ms
      openMs = Math.min(OPEN_MS.most, Math.max(OPEN_MS.least, openMs * (utilization < FULL ? LONGER : SHORTER)))
      if (isOverloaded ? quietMs >= QUIET_MS : full.looks > 1 && full.ms >= FULL_MS) {
        isOverloaded = !isOverloaded
        ;[full, quietMs] = [NONE, 0]
      }
    },
  }
}
