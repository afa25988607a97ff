/*
 * DeepSeek. It thinks unless told not to, and then wants its thoughts back, if only as an empty text, with every tool call that it made.
 * Its error codes say nothing (nearly all are invalid_request_error): status and message decide.
 */

import { asObject } from '../../core/json.ts'
import { knownFrom, without } from '../kit/known-models.ts'
import { roleAs, thoughtsAs } from '../openai/messages.ts'
import { openAIFamily } from '../openai/openai.ts'

const EFFORTS: Readonly<Record<string, string>> = { minimal: 'low', medium: 'high', xhigh: 'high', ultra: 'max' }

export const deepseek = openAIFamily({
  name: 'deepseek',
  baseUrl: 'https://api.deepseek.com',
  abilities: knownFrom([
    // The list of prices remembers half of it.
    [/^deepseek-(?:chat|reasoner)$/, { context: 128_000, ...without('vision', 'json_schema') }],
    [/^deepseek-/, without('vision', 'json_schema')],
  ]),
  cannot: ['more than one choice', 'a JSON schema', 'audio output'],
  drops: ['n', 'seed', 'logit_bias', 'parallel_tool_calls', 'service_tier', 'metadata', 'store', 'prompt_cache_key'],
  renames: { max_completion_tokens: 'max_tokens', user: 'user_id' },
  // What has been said cannot be thought about any more.
  prefill: { answers: 'continued', message: { prefix: true }, call: { thinking: { type: 'disabled' } }, basePath: betaPath },
  adjust: ({ shape }) => {
    const effort = EFFORTS[shape.reasoning_effort ?? '']
    return effort === undefined ? {} : { reasoning_effort: effort }
  },
  messages: ({ shape }) => [
    roleAs('developer', 'system'),
    thoughtsAs('reasoning_content', asObject(shape.thinking)?.type !== 'disabled'),
  ],
})

/** Beginnings are taken beside the API proper. */
function betaPath(basePath: string): string {
  return basePath.endsWith('/beta') ? basePath : `${basePath.replace(/\/v1$/, '')}/beta`
}
