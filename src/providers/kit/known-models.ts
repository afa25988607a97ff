/*
 * Tables of what models are known to lack, and how much they take. They are data that ages, so they say only what is certain: a model
 * that no table names counts as able, and `models:` in the configuration has the last word.
 */
import type { Abilities, Feature } from '../../core/attempt.ts'

/** The first match counts. */
export type KnownModels = readonly (readonly [name: RegExp, known: Abilities])[]

const FEATURES: readonly Feature[] = ['tools', 'vision', 'json_schema']

/** All that a model can be asked for, save these. */
export function without(...missing: readonly Feature[]): Pick<Abilities, 'supports'> {
  return { supports: new Set(FEATURES.filter(feature => !missing.includes(feature))) }
}

/** What the tables say of a model, by its name in lower case; the first table that names it counts. */
export function knownFrom(...tables: readonly KnownModels[]): (model: string) => Abilities {
  const rows = tables.flat()
  return model => {
    const name = model.toLowerCase()
    return rows.find(([pattern]) => pattern.test(name))?.[1] ?? {}
  }
}

/** Open models that read nothing but text, by what their names have in common wherever they are served. */
export const OPEN_TEXT_ONLY: KnownModels = [
  // Of Llama 3.2 some can see, and of the others those that say so.
  [/llama-?v?3(?![.p-]?2)(?!.*(?:vision|-vl))/, without('vision')],
  [/gpt-oss/, without('vision')],
  [/deepseek[-.](?:v[23]|r1)/, without('vision')],
  [/mixtral|mistral-7b/, without('vision')],
  [/qwen-?(?:2|2[.p]5|3)-(?:coder|next|\d)(?!.*(?:vl|omni))/, without('vision')],
  [/kimi-k2(?![.p-]?[5-9])/, without('vision')],
  [/glm-4[.p-][567](?!v)/, without('vision')],
  [/gemma-?2-/, without('vision')],
  [/minimax-m[12]/, without('vision')],
]
