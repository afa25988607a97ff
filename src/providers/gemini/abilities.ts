/** What Google's models are known to lack; names that are not Google's (tuned models, endpoints) are unknown. */
import type { Abilities, Feature } from '../../core/attempt.ts'
import { without } from '../kit/known-models.ts'
import { traitsOf } from './models.ts'

const TEXT_ONLY = /gemma-?(?:[12](?!\d)|3-1b)|gemini-1\.0-pro(?!-vision)/

export function abilities(model: string): Abilities {
  const name = model.toLowerCase()
  if (!/gemini|gemma/.test(name)) return {}
  const { maxOutput, tools, json } = traitsOf(name)
  const missing: Feature[] = []
  if (!tools) missing.push('tools')
  if (TEXT_ONLY.test(name)) missing.push('vision')
  if (!json) missing.push('json_schema')
  return { maxOutput, ...(missing.length === 0 ? {} : without(...missing)) }
}
