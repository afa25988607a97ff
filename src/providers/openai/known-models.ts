/** OpenAI's own models, at OpenAI and at Azure, where a deployment may be called like its model. */
import { type KnownModels, knownFrom, without } from '../kit/known-models.ts'

const FINE_TUNED = /^ft:/

const MODELS: KnownModels = [
  [/^gpt-5(?:\.\d+)?-chat/, { maxOutput: 16_384, context: 128_000 }],
  [/^gpt-5-pro/, { maxOutput: 272_000 }],
  [/^gpt-5/, { maxOutput: 128_000 }],
  [/^gpt-4\.1/, { maxOutput: 32_768 }],
  [/^gpt-4\.5/, { maxOutput: 16_384 }],
  [/^gpt-4o-64k/, { maxOutput: 64_000 }],
  [/^gpt-4o-2024-05-13/, { maxOutput: 4_096, ...without('json_schema') }],
  [/^gpt-4o(?:-mini)?-audio/, { maxOutput: 16_384, ...without('vision', 'json_schema') }],
  [/^gpt-4o(?:-mini)?-search/, { maxOutput: 16_384, ...without('tools', 'vision') }],
  [/^chatgpt-4o/, { maxOutput: 16_384, ...without('tools', 'json_schema') }],
  [/^gpt-4o/, { maxOutput: 16_384 }],
  [/^gpt-4-(?:1106-)?vision/, { maxOutput: 4_096, ...without('tools', 'json_schema') }],
  [/^gpt-4-(?:turbo-preview|1106|0125)/, { maxOutput: 4_096, ...without('vision', 'json_schema') }],
  [/^gpt-4-turbo/, { maxOutput: 4_096, ...without('json_schema') }],
  [/^gpt-4(?:$|-0|-32k)/, { maxOutput: 8_192, ...without('vision', 'json_schema') }],
  // Names of deployments at Azure have no dots.
  [/^gpt-3\.?5-turbo/, { maxOutput: 4_096, ...without('vision', 'json_schema') }],
  [/^o1-mini/, { maxOutput: 65_536, ...without('tools', 'vision', 'json_schema') }],
  [/^o1-preview/, { maxOutput: 32_768, ...without('tools', 'vision', 'json_schema') }],
  [/^o3-mini/, { maxOutput: 100_000, ...without('vision') }],
  [/^(?:o1|o3|o4-mini)(?:$|-)/, { maxOutput: 100_000 }],
]

const known = knownFrom(MODELS)

export const abilities = (model: string) => known(model.replace(FINE_TUNED, ''))
