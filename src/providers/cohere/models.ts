/*
 * What Cohere's generations accept, as data that ages. A model that is not known here (a fine-tuned one, next year's) counts as one of
 * the newest that does not think aloud.
 */

export interface Traits {
  /** Whether it thinks in a block of its own, and can be told how much. The others plan their calls in one sentence. */
  readonly thinks: boolean
  /** Whether it takes tool_choice. */
  readonly toolChoice: boolean
}

/** From before command-r7b: command, command-light, command-r, command-r-plus and their dated versions. */
const OLDER = /^command(?:$|-light|-nightly|-r(?:$|-plus|-\d))/
const THINKS = /reasoning|^command-a-plus/

/** What this model accepts, by its name at the provider. */
export function traitsOf(model: string): Traits {
  return { thinks: THINKS.test(model), toolChoice: !OLDER.test(model) }
}
