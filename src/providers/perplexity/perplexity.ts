/* Perplexity: answers from a search. User and assistant must take turns, after one instruction at most. */
import { knownFrom, without } from '../kit/known-models.ts'
import { inTurns, roleAs } from '../openai/messages.ts'
import { openAIFamily } from '../openai/openai.ts'

export const perplexity = openAIFamily({
  name: 'perplexity',
  baseUrl: 'https://api.perplexity.ai',
  abilities: knownFrom([[/^sonar/, without('tools')]]),
  cannot: ['tools', 'more than one choice', 'log probabilities', 'stop sequences', 'JSON output', 'audio output'],
  drops: ['n', 'seed', 'logit_bias', 'logprobs', 'top_logprobs', 'tools', 'tool_choice', 'parallel_tool_calls', 'user'],
  renames: { max_completion_tokens: 'max_tokens' },
  messages: [roleAs('developer', 'system'), inTurns],
  rules: [{ status: [401, 402], message: /quota|credits|billing/i, fault: 'upstream-quota-exhausted' }],
})
