/* Every provider, a line each. The name is what `type` says in the configuration. */
import type { Provider } from '../core/provider.ts'
import { anthropic } from './anthropic/anthropic.ts'
import { cerebras } from './cerebras/cerebras.ts'
import { deepseek } from './deepseek/deepseek.ts'
import { fireworks } from './fireworks/fireworks.ts'
import { groq } from './groq/groq.ts'
import { mistral } from './mistral/mistral.ts'
import { openai } from './openai/openai.ts'
import { openaiCompatible } from './openai-compatible/openai-compatible.ts'
import { openrouter } from './openrouter/openrouter.ts'
import { perplexity } from './perplexity/perplexity.ts'
import { qwen } from './qwen/qwen.ts'
import { together } from './together/together.ts'
import { vllm } from './vllm/vllm.ts'
import { xai } from './xai/xai.ts'

export const providers: ReadonlyMap<string, Provider> = new Map<string, Provider>([
  ['openai', openai],
  ['openai-compatible', openaiCompatible],
  ['anthropic', anthropic],
  ['cerebras', cerebras],
  ['deepseek', deepseek],
  ['fireworks', fireworks],
  ['groq', groq],
  ['mistral', mistral],
  ['openrouter', openrouter],
  ['perplexity', perplexity],
  ['qwen', qwen],
  ['together', together],
  ['vllm', vllm],
  ['xai', xai],
])

/** The values that `type` may have. */
export const available: ReadonlySet<string> = new Set(providers.keys())
