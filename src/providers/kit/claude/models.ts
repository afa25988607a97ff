/*
 * What Claude's generations accept. The table is data that ages: a model that it does not know counts as one of the newest, and
 * `models:` in the configuration overrides the length of answers.
 */

export interface Traits {
  /** Tokens that one answer may have; a larger max_tokens is refused with 400. */
  readonly maxOutput: number
  /** `free`: temperature and top_p together; `one`: either of them; `none`: both are refused with 400. */
  readonly sampling: 'free' | 'one' | 'none'
  /** How thinking is asked for: with a budget of tokens, or as `adaptive` with an effort. */
  readonly thinking: 'none' | 'budget' | 'adaptive'
  /** Whether it thinks unless told not to. */
  readonly thinksUnasked: boolean
  /** Whether the text of its thinking is left out of answers unless asked for. */
  readonly hidesThinking: boolean
  /** Whether it knows the effort `xhigh` beside low, medium, high and max. */
  readonly xhigh: boolean
  /** Whether it takes a JSON schema for the answer (output_config.format) and strict tools. */
  readonly nativeSchema: boolean
  /** Whether it goes on from an assistant message at the end; others refuse such a call with 400. */
  readonly prefill: boolean
}

const NEWEST: Traits = {
  maxOutput: 128_000,
  sampling: 'none',
  thinking: 'adaptive',
  thinksUnasked: false,
  hidesThinking: true,
  xhigh: true,
  nativeSchema: true,
  prefill: false,
}
const THINKS_UNASKED: Traits = { ...NEWEST, thinksUnasked: true }
const V4_6: Traits = { ...NEWEST, sampling: 'one', hidesThinking: false, xhigh: false }
const V4_5: Traits = { ...V4_6, maxOutput: 64_000, thinking: 'budget', prefill: true }
const V4_1: Traits = { ...V4_5, maxOutput: 32_000 }
const V4: Traits = { ...V4_5, sampling: 'free', nativeSchema: false }
const V4_OPUS: Traits = { ...V4, maxOutput: 32_000 }
const V3_5: Traits = { ...V4, maxOutput: 8_192, thinking: 'none' }
const OLDEST: Traits = { ...V3_5, maxOutput: 4_096 }
/** Somebody else's model behind the same API: the features that every imitation has. */
const IMITATION: Traits = { ...V4, maxOutput: 8_192 }

/** The first match counts. Ids are compared with dots as dashes; a date after the version is not part of it. */
const MODELS: readonly (readonly [RegExp, Traits])[] = [
  [/(opus|sonnet)-5(?!\d)/, THINKS_UNASKED],
  [/-4-6(?!\d)/, V4_6],
  [/-4-5(?!\d)/, V4_5],
  [/opus-4-1(?!\d)|claude-4-1(?!\d)/, V4_1],
  [/sonnet-4(-0|-2\d{7}|@|$)|claude-4-sonnet/, V4],
  [/opus-4(-0|-2\d{7}|@|$)|claude-4-opus/, V4_OPUS],
  [/claude-3-7/, V4],
  [/claude-3-5/, V3_5],
  [/claude-(3|2|instant)/, OLDEST],
  [/claude/, NEWEST],
]

/** What this model accepts, by its name at the provider. */
export function traitsOf(model: string): Traits {
  const id = model.toLowerCase().replaceAll('.', '-')
  return MODELS.find(([pattern]) => pattern.test(id))?.[1] ?? IMITATION
}
