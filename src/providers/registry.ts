/* Every provider, a line each. The name is what `type` says in the configuration. */
import type { Provider } from '../core/provider.ts'
import { anthropic } from './anthropic/anthropic.ts'
import { azure } from './azure/azure.ts'
import { bedrock } from './bedrock/bedrock.ts'
import { cerebras } from './cerebras/cerebras.ts'
import { cohere } from './cohere/cohere.ts'
import { deepseek } from './deepseek/deepseek.ts'
import { fireworks } from './fireworks/fireworks.ts'
import { gemini } from './gemini/gemini.ts'
import { groq } from './groq/groq.ts'
import { mistral } from './mistral/mistral.ts'
import { moonshot } from './moonshot/moonshot.ts'
import { ollama } from './ollama/ollama.ts'
import { openai } from './openai/openai.ts'
import { openaiCompatible } from './openai-compatible/openai-compatible.ts'
import { openrouter } from './openrouter/openrouter.ts'
import { perplexity } from './perplexity/perplexity.ts'
import { qwen } from './qwen/qwen.ts'
import { together } from './together/together.ts'
import { vertex } from './vertex/vertex.ts'
import { vllm } from './vllm/vllm.ts'
import { xai } from './xai/xai.ts'
import { zai } from './zai/zai.ts'

export const providers: ReadonlyMap<string, Provider> = new Map<string, Provider>([
  ['openai', openai],
  ['openai-compatible', openaiCompatible],
  ['anthropic', anthropic],
  ['azure', azure],
  ['bedrock', bedrock],
  ['cerebras', cerebras],
  ['cohere', cohere],
  ['deepseek', deepseek],
  ['fireworks', fireworks],
  ['gemini', gemini],
  ['groq', groq],
  ['mistral', mistral],
  ['moonshot', moonshot],
  ['ollama', ollama],
  ['openrouter', openrouter],
  ['perplexity', perplexity],
  ['qwen', qwen],
  ['together', together],
  ['vertex', vertex],
  ['vllm', vllm],
  ['xai', xai],
  ['zai', zai],
])

/** The values that `type` may have. */
export const available: ReadonlySet<string> = new Set(providers.keys())
