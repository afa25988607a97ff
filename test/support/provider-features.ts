/*
 * What each provider makes of the features of a call, found by asking it: a small call with that feature is more than its
 * model is known to do, or is refused, or encoded with some of its fields left out, or sent whole.
 */
import type { Feature as Ability } from '../../src/core/attempt.ts'
import type { Provider } from '../../src/core/provider.ts'
import { ANSWER_TOOL } from '../../src/providers/kit/answer-tool.ts'
import { providers } from '../../src/providers/registry.ts'
import { callOf, targetOf } from '../providers/calls.ts'

/** A current model of each that stands for the others, and that sees where one does. */
const MODELS: Readonly<Record<string, string>> = {
  openai: 'gpt-5.2',
  'openai-compatible': 'any',
  anthropic: 'claude-sonnet-4-5',
  azure: 'a-deployment',
  bedrock: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
  cerebras: 'gpt-oss-120b',
  cohere: 'command-a-03-2025',
  deepseek: 'deepseek-chat',
  fireworks: 'accounts/fireworks/models/llama4-maverick-instruct-basic',
  gemini: 'gemini-2.5-flash',
  groq: 'meta-llama/llama-4-maverick-17b-128e-instruct',
  mistral: 'mistral-large-latest',
  moonshot: 'kimi-k3',
  ollama: 'qwen3',
  openrouter: 'anthropic/claude-sonnet-4.5',
  perplexity: 'sonar-pro',
  qwen: 'qwen3-vl-plus',
  together: 'meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8',
  vertex: 'gemini-2.5-flash',
  vllm: 'any',
  xai: 'grok-4',
  zai: 'glm-4.6v',
}

interface Feature {
  /** What a call with it has beside a model and a message. */
  readonly body: Readonly<Record<string, unknown>>
  /** What the model must be able to do. */
  readonly needs?: Ability
  /** What must stand in the body that is sent, where fields that were left out do not tell. */
  readonly sent?: RegExp
  /** What to call it when it is sent; `yes` when left out. */
  readonly how?: (body: string) => string
}

const TOOLS = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }]
const SCHEMA = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false }
const part = (value: Readonly<Record<string, unknown>>) => ({
  messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }, value] }],
})

const FEATURES: Readonly<Record<string, Feature>> = {
  tools: { needs: 'tools', body: { tools: TOOLS } },
  'tool choice': { needs: 'tools', body: { tools: TOOLS, tool_choice: { type: 'function', function: { name: 'f' } } } },
  'parallel calls off': { needs: 'tools', body: { tools: TOOLS, parallel_tool_calls: false } },
  'image as data': {
    needs: 'vision',
    body: part({ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }),
  },
  'image by URL': { needs: 'vision', body: part({ type: 'image_url', image_url: { url: 'https://pictures.example/a.png' } }) },
  file: { body: part({ type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } }) },
  'audio in': { body: part({ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }) },
  'audio out': { body: { modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } } },
  'JSON schema': {
    needs: 'json_schema',
    body: { response_format: { type: 'json_schema', json_schema: { name: 's', strict: true, schema: SCHEMA } } },
    how: body => (body.includes(ANSWER_TOOL) ? 'by a tool' : 'native'),
  },
  n: { body: { n: 2 } },
  logprobs: { body: { logprobs: true, top_logprobs: 2 } },
  seed: { body: { seed: 7 } },
  penalties: { body: { presence_penalty: 0.5, frequency_penalty: 0.5 } },
  'reasoning effort': { body: { reasoning_effort: 'high' } },
  'prompt cache': {
    body: {
      prompt_cache_key: 'k',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hi', cache_control: { type: 'ephemeral' } }] }],
    },
    sent: /"(?:cache_control|cachePoint|prompt_cache_key)"/,
  },
  'service tier': { body: { service_tier: 'priority' } },
}

function verdict(provider: Provider, { body, needs, sent, how }: Feature): string {
  const model = MODELS[provider.name]
  if (model === undefined) throw new Error(`which model stands for ${provider.name}?`)
  const { supports } = provider.abilities?.(model) ?? {}
  if (needs !== undefined && supports?.has(needs) === false) return 'passed over'
  const target = targetOf(provider, model)
  const call = callOf(JSON.stringify({ model: 'route', messages: [{ role: 'user', content: 'hi' }], ...body }))
  if (provider.refuses(call, target) !== undefined) return 'passed over'
  const request = provider.encode(call, target, '')
  const text = Buffer.from(request.body).toString()
  if (sent === undefined ? (request.leftOut ?? []).length > 0 : !sent.test(text)) return 'left out'
  return how?.(text) ?? 'yes'
}

export const FEATURE_NAMES: readonly string[] = Object.keys(FEATURES)

/** For each provider its type, the model that was asked, and what becomes of each feature in the order of `FEATURE_NAMES`. */
export function featureRows(): readonly (readonly string[])[] {
  return [...providers.values()].map(provider => [
    `\`${provider.name}\``,
    MODELS[provider.name] ?? '',
    ...Object.values(FEATURES).map(feature => verdict(provider, feature)),
  ])
}
