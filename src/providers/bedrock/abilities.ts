/** What the models at Bedrock are known to lack. Names that tell nothing (profiles with an ARN) are unknown. */
import type { Abilities, Feature } from '../../core/attempt.ts'
import { type KnownModels, knownFrom, OPEN_TEXT_ONLY, without } from '../kit/known-models.ts'
import { traitsOf } from './models.ts'

const TEXT_ONLY: KnownModels = [
  [/nova-micro|titan-text|jamba|cohere\.command|claude-(?:2|v2|instant)|mistral-(?:large|small)-24/, without('vision')],
]

const textOnly = knownFrom(TEXT_ONLY, OPEN_TEXT_ONLY)

export function abilities(model: string): Abilities {
  const { claude, tools, nativeSchema } = traitsOf(model)
  const missing: Feature[] = []
  if (!tools) missing.push('tools')
  if (textOnly(model).supports !== undefined) missing.push('vision')
  // Where there is no schema of its own, the answer comes through a tool.
  if (!tools && !nativeSchema) missing.push('json_schema')
  return {
    ...(claude === undefined ? {} : { maxOutput: claude.maxOutput }),
    ...(missing.length === 0 ? {} : without(...missing)),
  }
}
