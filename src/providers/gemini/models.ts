/*
 * What the generations of Gemini and Gemma accept. Names tell the version; one that tells none (gemini-flash-latest) counts as one of the
 * newest, for that is what such names stand for.
 */

export interface Traits {
  /** Tokens that one answer may have; more are refused with 400. */
  readonly maxOutput: number
  /** How thinking is asked for: not at all, with a budget of tokens, or with a level. */
  readonly thinking: 'none' | 'budget' | 'level'
  /** The budgets that are taken; the least is what cannot be switched off. */
  readonly budget: { readonly least: number; readonly most: number; readonly canBeOff: boolean }
  /** The levels that are taken, from the lowest to the highest. */
  readonly levels: readonly Level[]
  /** Whether instructions have a place of their own. */
  readonly instructions: boolean
  readonly tools: boolean
  /** Whether answers can be made to be JSON. */
  readonly json: boolean
  /** Whether an answer can be made to be JSON while there are tools, Google's own tools used beside functions, and results hold images. */
  readonly mixes: boolean
  /** Whether presence_penalty and frequency_penalty are taken; others refuse them with 400. */
  readonly penalties: boolean
  /** Whether calls must come back with the signatures that they came with. */
  readonly signatures: boolean
  /** Whether it goes on from a turn of its own at the end; others refuse such a call with 400. */
  readonly prefill: boolean
  /** Whether files are fetched from any public address. */
  readonly addresses: boolean
}

export type Level = 'minimal' | 'low' | 'medium' | 'high'

const NO_BUDGET = { least: 0, most: 0, canBeOff: true }

const NEWEST: Traits = {
  maxOutput: 65_536,
  thinking: 'level',
  budget: NO_BUDGET,
  levels: ['minimal', 'low', 'medium', 'high'],
  instructions: true,
  tools: true,
  json: true,
  mixes: true,
  penalties: false,
  signatures: true,
  prefill: false,
  addresses: true,
}
const NO_MINIMAL: Traits = { ...NEWEST, levels: ['low', 'medium', 'high'] }
const V3_PRO: Traits = { ...NEWEST, levels: ['low', 'high'], prefill: true }
const V3_1_PRO: Traits = { ...NO_MINIMAL, prefill: true }
const V3_FLASH: Traits = { ...NEWEST, prefill: true }
const V2_5: Traits = {
  ...NEWEST,
  thinking: 'budget',
  budget: { least: 0, most: 24_576, canBeOff: true },
  levels: [],
  mixes: false,
  signatures: false,
  prefill: true,
}
const V2_5_PRO: Traits = { ...V2_5, budget: { least: 128, most: 32_768, canBeOff: false } }
const V2_5_LITE: Traits = { ...V2_5, budget: { least: 512, most: 24_576, canBeOff: true } }
const V2: Traits = { ...V2_5, maxOutput: 8_192, thinking: 'none', budget: NO_BUDGET, penalties: true, addresses: false }
/** Models that paint and speak take little of what the others take. */
const V2_5_IMAGE: Traits = {
  ...V2_5,
  maxOutput: 32_768,
  thinking: 'none',
  budget: NO_BUDGET,
  instructions: false,
  tools: false,
  json: false,
}
const V2_IMAGE: Traits = { ...V2_5_IMAGE, maxOutput: 8_192, addresses: false }
const GEMMA: Traits = { ...V2, instructions: false, tools: false, json: false, penalties: false }
const NEW_GEMMA: Traits = { ...GEMMA, maxOutput: 32_768, instructions: true, tools: true, json: true }

/** The first match counts. */
const MODELS: readonly (readonly [RegExp, Traits])[] = [
  [/gemma-?[123](?!\d)/, GEMMA],
  [/gemma/, NEW_GEMMA],
  [/gemini-2\.5.*image/, V2_5_IMAGE],
  [/gemini-[12]\b.*image/, V2_IMAGE],
  [/gemini-2\.5-flash-lite/, V2_5_LITE],
  [/gemini-2\.5-pro|gemini-2\.5-computer/, V2_5_PRO],
  [/gemini-2\.5/, V2_5],
  [/gemini-(?:exp|pro|[12]\b)/, V2],
  [/gemini-3-pro/, V3_PRO],
  [/gemini-3\.1-pro/, V3_1_PRO],
  [/gemini-3-flash|gemini-3\.[0-4]-flash|gemini-3\.5-flash(?!-lite)/, V3_FLASH],
  [/gemini-3\.[56]-flash|flash-lite/, NEWEST],
  [/gemini/, NO_MINIMAL],
]

/** What this model accepts, by its name at the provider. */
export function traitsOf(model: string): Traits {
  const name = model.toLowerCase()
  return MODELS.find(([pattern]) => pattern.test(name))?.[1] ?? NO_MINIMAL
}
