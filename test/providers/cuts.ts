/* Ways to cut an answer's bytes as a network might. */
import { chance } from '../core/random.ts'

type Cut = (bytes: Buffer) => readonly Buffer[]

function every(size: () => number): Cut {
  return bytes => {
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = at + size()
      parts.push(bytes.subarray(at, end))
      at = end
    }
    return parts
  }
}

function atRandom(seed: number): Cut {
  return bytes => {
    const luck = chance(seed)
    return every(() => 1 + luck.below(97))(bytes)
  }
}

/** Each by its name: whole, in pieces of 1, 7 and 64 bytes, and twice at random. */
export const CUTS: readonly (readonly [string, Cut])[] = [
  ['whole', bytes => [bytes]],
  ['in pieces of 1 byte', every(() => 1)],
  ['in pieces of 7 bytes', every(() => 7)],
  ['in pieces of 64 bytes', every(() => 64)],
  ['cut at random', atRandom(7)],
  ['cut at random otherwise', atRandom(4_711)],
]
