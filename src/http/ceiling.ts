/*
 * How many calls may be under way at once. There is no limit while the process keeps up, however many calls wait for slow models: what it
 * can run out of is its one core, and that is what is measured. When for a second the event loop had no pause at all and each of its rounds
 * took longer than a refusal may take, more calls are under way than it can serve: then the number of those that are becomes the ceiling,
 * and goes down until rounds are short again. A second, because a burst that is over by then was served. New calls beyond it are refused at once, at a small part of the price of an
 * answer, so that those that were taken are answered in time. It goes up while there is room, and is gone as soon as the loop has pauses.
 *
 * Why not a fixed number: a hundred calls of 5 MB are too many, and ten thousand that wait for their first token are not.
 */

/** What was seen since the last look. */
export interface Look {
  /** The share of the time in which the event loop did not wait for anything. */
  readonly utilization: number
  /** The shortest and the mean time that a round of the loop took, to the clock's resolution; undefined: none has ended. */
  readonly leastRoundMs: number | undefined
  readonly meanRoundMs: number | undefined
  /** Calls under way. */
  readonly inFlight: number
}

export interface Ceiling {
  /** Calls at once; infinite while it keeps up. */
  most(): number
  look(look: Look): void
}

/** No pauses but those that a timer makes. */
const FULL = 0.98
const HAS_ROOM = 0.85
/** A refusal waits for one round and a part of the next, and must come within 50 ms. */
const LONG_ROUND_MS = 25
const SHORT_ROUND_MS = 15
const DOWN = 0.85
const UP = 1.05
/** So many are served whatever happens: a few large ones, too, can fill a core for a while. */
const FEWEST = 32

/** Looks in a row that were full: until there is a ceiling, and until it goes down further. */
const FULL_LOOKS = { first: 10, next: 2 } as const

export function ceiling(): Ceiling {
  let most = Number.POSITIVE_INFINITY
  let fullLooks = 0
  return {
    most: () => most,
    look({ utilization, leastRoundMs, meanRoundMs, inFlight }) {
      if (utilization < HAS_ROOM) most = Number.POSITIVE_INFINITY
      // One long round is one large call; when the shortest was long all of them were.
      const isFull = utilization >= FULL && (leastRoundMs ?? Number.POSITIVE_INFINITY) >= LONG_ROUND_MS
      fullLooks = isFull ? fullLooks + 1 : 0
      const isUnlimited = most === Number.POSITIVE_INFINITY
      if (fullLooks >= (isUnlimited ? FULL_LOOKS.first : FULL_LOOKS.next))
        most = Math.max(FEWEST, Math.floor(Math.min(most, inFlight) * DOWN))
      else if (!isUnlimited && (meanRoundMs ?? LONG_ROUND_MS) < SHORT_ROUND_MS) most = Math.ceil(most * UP)
    },
  }
}
