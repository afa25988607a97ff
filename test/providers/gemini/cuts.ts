/* Ways in which a network may cut a stream. */

const inPieces = (size: () => number) => (bytes: Buffer) => {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + size()
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

/** Sizes that look random and are the same in every run. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 1 + (state % 97)
  }
}

export const CUTS: readonly (readonly [manner: string, cut: (bytes: Buffer) => readonly Buffer[]])[] = [
  ...[1, 7, 64].map(size => [`in pieces of ${size} bytes`, inPieces(() => size)] as const),
  ...[7, 4711].map(seed => [`cut at random, seed ${seed}`, inPieces(dice(seed))] as const),
]
