import { openAIFamily } from '../openai/openai.ts'

const EFFORTS: Readonly<Record<string, string>> = { minimal: 'low', xhigh: 'high' }

export const fireworks = openAIFamily({
  name: 'fireworks',
  baseUrl: 'https://api.fireworks.ai/inference/v1',
  cannot: ['audio output'],
  adjust: ({ body }) => {
    const effort = EFFORTS[body.reasoning_effort ?? '']
    return effort === undefined ? {} : { reasoning_effort: effort }
  },
  rules: [{ status: 412, message: /suspended/i, fault: 'upstream-quota-exhausted' }],
})
