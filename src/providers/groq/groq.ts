import { each } from '../openai/messages.ts'
import { openAIFamily } from '../openai/openai.ts'
import { abilities } from './abilities.ts'

export const groq = openAIFamily({
  name: 'groq',
  baseUrl: 'https://api.groq.com/openai/v1',
  abilities,
  cannot: ['more than one choice', 'log probabilities', 'audio output'],
  prefill: { answers: 'continued' },
  drops: ['logprobs', 'top_logprobs', 'logit_bias'],
  renames: { max_tokens: 'max_completion_tokens' },
  messages: [
    each(message => {
      if (message.name === undefined) return message
      const { name: _, ...others } = message
      return others as typeof message
    }),
  ],
  rules: [
    // What the model wrote did not fit the tool or the schema. That is no mistake of the call's, and another try or model may well fit.
    { code: /^(?:tool_use_failed|json_validate_failed)$/, fault: 'upstream-error' },
    // One call larger than a whole minute's tokens: no waiting and no resting of the key helps, only a target that takes more.
    { status: 413, message: /tokens per minute|\bTPM\b/, fault: 'context-too-long' },
  ],
})
