/*
 * Mistral. Its body is strict: a field that it does not know is an error, at the top and in messages. Tool call ids have exactly nine
 * letters or digits. Its answers may hold lists of chunks where OpenAI has text.
 */
import type { ChatCall } from '../../core/chat.ts'
import { exactToolId, renameToolIds } from '../kit/tool-ids.ts'
import { onlyFields, roleAs } from '../openai/messages.ts'
import { type Edits, openAIFamily } from '../openai/openai.ts'
import { abilities } from './abilities.ts'

const FIELDS = new Set([
  ...[
    'model',
    'messages',
    'temperature',
    'top_p',
    'max_tokens',
    'stream',
    'stop',
    'random_seed',
    'metadata',
    'response_format',
    'tools',
  ],
  ...[
    'tool_choice',
    'presence_penalty',
    'frequency_penalty',
    'n',
    'prediction',
    'parallel_tool_calls',
    'prompt_mode',
    'reasoning_effort',
  ],
  ...['safe_prompt', 'prompt_cache_key', 'guardrails', 'service_tier'],
])

const MESSAGE_FIELDS: Readonly<Record<string, ReadonlySet<string>>> = {
  assistant: new Set(['role', 'content', 'tool_calls', 'prefix']),
  tool: new Set(['role', 'content', 'tool_call_id', 'name']),
}
const PLAIN_FIELDS: ReadonlySet<string> = new Set(['role', 'content'])

const TOOL_ID_LENGTH = 9
const HIGHEST_TEMPERATURE = 1.5

export const mistral = openAIFamily({
  name: 'mistral',
  tracedAs: 'mistral_ai',
  baseUrl: 'https://api.mistral.ai/v1',
  abilities,
  writesOtherwise: true,
  usageUnasked: true,
  knows: FIELDS,
  renames: { seed: 'random_seed', max_completion_tokens: 'max_tokens' },
  cannot: ['log probabilities', 'audio output'],
  prefill: { answers: 'echoed', message: { prefix: true } },
  adjust,
  messages: [
    roleAs('developer', 'system'),
    onlyFields(role => MESSAGE_FIELDS[role] ?? PLAIN_FIELDS),
    messages => renameToolIds(messages, id => exactToolId(id, TOOL_ID_LENGTH)),
  ],
  rules: [
    // It says invalid_request_error to this one, too.
    { message: /service tier capacity exceeded/i, fault: 'upstream-overloaded' },
    { code: /^3505$/, fault: 'upstream-overloaded' },
    { code: /^1300$/, fault: 'upstream-rate-limited' },
  ],
})

function adjust({ shape }: ChatCall): Edits {
  const { temperature, reasoning_effort: effort, service_tier: tier } = shape
  return {
    ...(typeof temperature === 'number' && temperature > HIGHEST_TEMPERATURE ? { temperature: HIGHEST_TEMPERATURE } : {}),
    // It knows "none" and "high", and nothing between.
    ...(typeof effort === 'string' && effort !== 'none' && effort !== 'high'
      ? { reasoning_effort: effort === 'minimal' ? 'none' : 'high' }
      : {}),
    ...(tier === undefined || tier === 'auto' || tier === 'standard_only' ? {} : { service_tier: undefined }),
  }
}
