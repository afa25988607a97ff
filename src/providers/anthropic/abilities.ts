/** What Claudes are known to lack. Imitations behind the same API are unknown. */
import type { Abilities } from '../../core/attempt.ts'
import { traitsOf } from '../kit/claude/models.ts'
import { without } from '../kit/known-models.ts'

const BEFORE_3 = /claude-(?:2|instant)/

export function abilities(model: string): Abilities {
  const name = model.toLowerCase()
  if (!name.includes('claude')) return {}
  const { maxOutput } = traitsOf(name)
  return BEFORE_3.test(name) ? { maxOutput, ...without('tools', 'vision', 'json_schema') } : { maxOutput }
}
