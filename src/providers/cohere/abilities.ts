/** What Cohere's models are known to lack, and how much they take. */
import { knownFrom, without } from '../kit/known-models.ts'

export const abilities = knownFrom([
  [/^command-a-(?:03-2025|reasoning)/, { context: 256_000, ...without('vision') }],
  [/^command-a-translate/, without('vision')],
  [/^command-r/, { context: 128_000, ...without('vision') }],
  [/^command(?:$|-light|-nightly)/, without('tools', 'vision', 'json_schema')],
  [/^c4ai-aya-expanse/, without('tools', 'vision')],
])
