/** Every provider's stand-in, with the model that is asked of it. */
import { cohereChat } from './cohere.ts'
import { converse } from './converse.ts'
import { google } from './google.ts'
import { ollamaChat } from './ollama.ts'
import type { ProviderWire } from './scene.ts'
import { anthropicsOwn, type Manners, openAIRelative } from './simulated.ts'

export interface StandIn {
  readonly wire: ProviderWire
  readonly model: string
  /** What base_url has after the origin. */
  readonly base: string
  readonly toolless?: true
  /** Whether the list of known prices has the model. */
  readonly priced: boolean
}

const ANY_ID = /^.+$/
const UP_TO_40 = /^.{1,40}$/
const FIRST_AT_AZURE = {
  choices: [],
  created: 0,
  id: '',
  model: '',
  object: '',
  prompt_filter_results: [{ prompt_index: 0, content_filter_results: { hate: { filtered: false, severity: 'safe' } } }],
}

function relative(model: string, base: string, manners: Partial<Manners> = {}, priced = true): StandIn {
  return { wire: openAIRelative({ path: `${base}/chat/completions`, legal: ANY_ID, ...manners }), model, base, priced }
}

const letters = (index: number, length: number) => index.toString(36).padStart(length, '0')

export const STAND_INS: Readonly<Record<string, StandIn>> = {
  openai: relative('gpt-4o', '/v1', { legal: UP_TO_40 }),
  azure: {
    ...relative('gpt-4o', ''),
    wire: openAIRelative({
      path: '/openai/v1/chat/completions',
      legal: UP_TO_40,
      preamble: `data: ${JSON.stringify(FIRST_AT_AZURE)}\n\n`,
    }),
  },
  anthropic: { wire: anthropicsOwn, model: 'claude-sonnet-4-5', base: '', priced: true },
  gemini: {
    wire: google({ path: '/v1beta/models/gemini-3-flash-preview', ids: true, signatures: true }),
    model: 'gemini-3-flash-preview',
    base: '',
    priced: true,
  },
  vertex: {
    wire: google({ path: '/v1/publishers/google/models/gemini-2.5-flash', ids: false, signatures: false }),
    model: 'gemini-2.5-flash',
    base: '',
    priced: true,
  },
  bedrock: {
    wire: converse('us.anthropic.claude-haiku-4-5-20251001-v1:0'),
    model: 'us.anthropic.claude-haiku-4-5-20251001-v1:0',
    base: '',
    priced: true,
  },
  cohere: { wire: cohereChat, model: 'command-a-03-2025', base: '', priced: true },
  ollama: { wire: ollamaChat, model: 'qwen3:4b', base: '', priced: false },
  mistral: relative('mistral-large-latest', '/v1', {
    legal: /^[a-zA-Z0-9]{9}$/,
    newId: index => letters(index, 9),
    usageUnasked: true,
    objection: body => (body.stream_options === undefined ? undefined : 'Extra inputs are not permitted: stream_options'),
  }),
  deepseek: relative('deepseek-chat', '', {
    newId: index => `call_${index}_${letters(index, 8)}-aaaa-bbbb-cccc-0123456789ab`,
    objection: ({ messages }) =>
      messages.some((message: any) => message.tool_calls !== undefined && typeof message.reasoning_content !== 'string')
        ? 'reasoning_content must be passed back'
        : undefined,
  }),
  groq: relative('llama-3.3-70b-versatile', '/openai/v1', { newId: index => `fc_${letters(index, 8)}` }),
  openrouter: relative('openai/gpt-4o', '/api/v1', { newId: index => `toolu_vrtx_01${letters(index, 20)}` }),
  xai: relative('grok-4', '/v1'),
  perplexity: { ...relative('sonar', ''), toolless: true },
  cerebras: relative('gpt-oss-120b', '/v1', { newId: index => letters(index, 9) }),
  together: relative('meta-llama/Llama-3.3-70B-Instruct-Turbo', '/v1'),
  fireworks: relative('accounts/fireworks/models/gpt-oss-120b', '/inference/v1', {
    newId: index => `functions.get_weather:${index}`,
  }),
  moonshot: relative('kimi-k2-0905-preview', '/v1', { newId: index => `get_weather:${index}` }),
  zai: relative('glm-4.6', '/api/paas/v4', {}, false),
  qwen: relative('qwen-max', '/compatible-mode/v1', {}, false),
  vllm: relative('my-model', '/v1', { newId: index => `chatcmpl-tool-${letters(index, 32)}` }, false),
  'openai-compatible': relative('my-model', '/v1', { newId: index => letters(index, 9) }, false),
}
