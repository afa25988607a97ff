import { knownFrom, OPEN_TEXT_ONLY } from '../kit/known-models.ts'
import { openAIFamily } from '../openai/openai.ts'

export const together = openAIFamily({
  name: 'together',
  baseUrl: 'https://api.together.xyz/v1',
  abilities: knownFrom(OPEN_TEXT_ONLY),
  cannot: ['audio output'],
  // Log probabilities are asked for by how many.
  renames: { top_logprobs: 'logprobs' },
  adjust: ({ shape }) => (shape.logprobs === true ? { logprobs: shape.top_logprobs || 1 } : {}),
  rules: [{ status: 403, message: /context|max_(?:new_)?tokens|input length/i, fault: 'context-too-long' }],
})
