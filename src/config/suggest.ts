/** "Did you mean …?": the nearest of the words that would have been right. */

/**
 * Damerau-Levenshtein distance (optimal string alignment): how many letters to insert, delete, replace or swap with their neighbour
 * to make `b` of `a`.
 */
export function distance(a: string, b: string): number {
  let beforePrevious: readonly number[] = []
  let previous: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (same ? 0 : 1))
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) cost = Math.min(cost, beforePrevious[column - 2]! + 1)
      current.push(cost)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length]!
}

/** Words longer than this are nobody's slip of the finger, and comparing them costs time. */
const LONGEST_WORD = 256

/** The candidate that `word` was probably meant to be; undefined when none is near. A third of the letters may be wrong. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined
  const wanted = normal(word)
  let nearest: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3))
    if (Math.abs(wanted.length - candidate.length) > allowed) continue
    const far = distance(wanted, normal(candidate))
    // A one-letter word is one replacement away from every other: that is no likeness.
    if (far <= allowed && far < least && far < wanted.length) {
      nearest = candidate
      least = far
    }
  }
  return nearest
}

/** ` (did you mean "x"?)`, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const nearest = suggest(word, candidates)
  return nearest === undefined ? '' : ` (did you mean "${nearest}"?)`
}

function normal(word: string): string {
  return word.toLowerCase().replaceAll('-', '_')
}
