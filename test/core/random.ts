/** Chance that can be had again: a property test prints its seed, and SEED=… in the environment repeats the run. */

export interface Chance {
  readonly seed: number
  /** From 0 to 1, without 1. */
  next(): number
  /** A whole number from 0 to `below`, without `below`. */
  below(below: number): number
  pick<Value>(from: readonly Value[]): Value
}

/** mulberry32 */
export function chance(seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))): Chance {
  let state = seed
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { seed, next, below, pick: from => from[below(from.length)]! }
}
