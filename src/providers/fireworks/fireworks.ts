import { knownFrom, OPEN_TEXT_ONLY } from '../kit/known-models.ts'
import { openAIFamily } from '../openai/openai.ts'

const EFFORTS: Readonly<Record<string, string>> = { minimal: 'low', xhigh: 'high' }

export const fireworks = openAIFamily({
  name: 'fireworks',
  baseUrl: 'https://api.fireworks.ai/inference/v1',
  abilities: knownFrom(OPEN_TEXT_ONLY),
  cannot: ['audio output'],
  adjust: ({ shape }) => {
    const effort = EFFORTS[shape.reasoning_effort ?? '']
    return effort === undefined ? {} : { reasoning_effort: effort }
  },
  rules: [{ status: 412, message: /suspended/i, fault: 'upstream-quota-exhausted' }],
})
