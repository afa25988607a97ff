import { knownFrom, without } from '../kit/known-models.ts'
import { thoughtsAs } from '../openai/messages.ts'
import { openAIFamily } from '../openai/openai.ts'

export const cerebras = openAIFamily({
  name: 'cerebras',
  baseUrl: 'https://api.cerebras.ai/v1',
  abilities: knownFrom([[/^(?:gpt-oss|llama|qwen-3-|zai-glm-4)/, without('vision')]]),
  cannot: ['audio output'],
  drops: ['logit_bias', 'presence_penalty', 'frequency_penalty'],
  renames: { max_tokens: 'max_completion_tokens' },
  messages: [thoughtsAs('reasoning', false)],
  rules: [
    { status: 429, message: /high traffic/i, fault: 'upstream-overloaded' },
    // Tokens or requests per minute, hour or day. Its type, too_many_tokens_error, is not about the conversation's length.
    { status: 429, code: /quota_exceeded$/, fault: 'upstream-rate-limited' },
  ],
})
