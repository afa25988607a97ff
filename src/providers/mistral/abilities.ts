/** Mistral's models that read nothing but text. Names that end in -latest move, and are left alone where their next model may see. */
import { knownFrom, without } from '../kit/known-models.ts'

export const abilities = knownFrom([
  [/^(?:codestral|mathstral|voxtral|open-)/, without('vision')],
  [/^mistral-(?:tiny|saba|nemo|large-24|small-2(?:402|409|501)|medium-2312)/, without('vision')],
  [/^ministral-[38]b-24|^magistral-(?:small|medium)-250[67]|^devstral-(?:small|medium)-250[57]/, without('vision')],
])
