/** The schema of one entry of `providers`. */
import { z } from 'zod'
import {
  baseUrl,
  count,
  headers,
  plainName,
  positive,
  positiveDuration,
  providerKey,
  providerKeyText,
  url,
  word,
} from './notation.ts'
import { duration } from './units.ts'

/** Every type of the configuration's language. Which of them can be used is the business of the registry of providers. */
export const PROVIDER_TYPES = [
  'openai',
  'anthropic',
  'gemini',
  'vertex',
  'azure',
  'bedrock',
  'mistral',
  'deepseek',
  'groq',
  'xai',
  'qwen',
  'cohere',
  'together',
  'fireworks',
  'openrouter',
  'perplexity',
  'cerebras',
  'moonshot',
  'zai',
  'ollama',
  'vllm',
  'openai-compatible',
] as const

export type ProviderType = (typeof PROVIDER_TYPES)[number]

/** The types that can be used when the caller does not bring a registry. */
export const AVAILABLE_TYPES: ReadonlySet<string> = new Set(PROVIDER_TYPES)

/** The types that live at no address of their own. */
export const TYPES_THAT_NEED_BASE_URL: ReadonlySet<string> = new Set<ProviderType>(['openai-compatible', 'azure', 'vllm'])

/** The types that can be handed the beginning of an answer. */
export const TYPES_THAT_CONTINUE: ReadonlySet<string> = new Set<ProviderType>([
  'anthropic',
  'bedrock',
  'deepseek',
  'gemini',
  'groq',
  'mistral',
  'moonshot',
  'ollama',
  'openai-compatible',
  'openrouter',
  'qwen',
  'vertex',
  'vllm',
])

export const FEATURES = ['tools', 'vision', 'json_schema'] as const

const keySettings = z.strictObject({
  name: plainName.optional().describe('shows up in metrics, logs and the admin API; key-1, key-2 … by position when left out'),
  value: providerKey.describe('the key itself: env:NAME, file:/run/secrets/name'),
  weight: positive.default(1).describe('with key_choice weighted: its share of the calls'),
  rpm: count.optional().describe('requests a minute that this key may make upstream; at its limit it is passed over'),
  tpm: count.optional().describe('tokens a minute that this key may use upstream'),
  concurrency: count.optional().describe('calls that this key may have in flight'),
  quota_group: word.optional().describe('keys of one account share the quota of the provider: one rests, all rest'),
})

const key = z.union([providerKeyText.transform(value => ({ value })).pipe(keySettings), keySettings], {
  error: 'expected a key: text such as env:NAME, or a mapping with a value',
})

const usd = z.number().min(0)

const model = z.strictObject({
  context: count.optional().describe('tokens that prompt and answer may have together'),
  max_output: count.optional().describe('tokens of the longest answer'),
  supports: z.array(z.enum(FEATURES)).optional().describe('what the model can do; anything, when left out'),
  prefill: z
    .boolean()
    .default(false)
    .describe('goes on with an answer that the call already begins; for types that can be told to (see the table of providers)'),
  price: z
    .strictObject({
      input: usd.describe('US$ per million tokens of the prompt'),
      cached_input: usd.optional().describe('US$ per million tokens read from the cache of the provider'),
      cache_write: usd.optional().describe('US$ per million tokens written to the cache of the provider'),
      output: usd.describe('US$ per million tokens of the answer'),
    })
    .optional()
    .describe('what the model costs; known models have a price built in'),
})

const timeouts = z.strictObject({
  connect: positiveDuration.prefault('2s').describe('until the connection stands'),
  first_token: positiveDuration.prefault('30s').describe('until the first content; then the next target is tried'),
  idle: positiveDuration.prefault('20s').describe('the longest silence between two pieces of an answer'),
  total: positiveDuration.prefault('5m').describe('one attempt from beginning to end'),
})

const retry = z.strictObject({
  attempts: z.int().min(0).max(10).default(1).describe('extra tries of the same target, before the next one'),
  backoff: z
    .strictObject({
      first: duration.prefault('100ms').describe('the wait before the first retry'),
      factor: z.number().min(1).max(10).default(2).describe('each wait is so many times the one before'),
      max: duration.prefault('2s').describe('the longest wait'),
    })
    .prefault({})
    .describe('the wait between two tries of a target, with full jitter'),
  rate_limit_wait: duration
    .prefault('3s')
    .describe('a Retry-After up to this long is waited for when no other key is free; a longer one is not'),
})

const circuit = z.strictObject({
  failures: count.default(3).describe('opens after so many failures in a row'),
  ratio: z.number().gt(0).max(1).default(0.5).describe('or when this share of the calls in the window failed'),
  min_calls: count.default(20).describe('calls in the window before the ratio counts'),
  window: positiveDuration.prefault('30s').describe('the time that the ratio looks back'),
  open: positiveDuration.prefault('30s').describe('how long it stays open at first; doubles at each failed probe'),
  open_max: positiveDuration.prefault('5m').describe('the longest it stays open'),
  probes: count.default(3).describe('calls let through while half-open'),
  ramp: duration.prefault('30s').describe('after closing, traffic grows from 10 % to all over this time'),
})

const health = z.strictObject({
  every: positiveDuration.prefault('15s').describe('the time between two probes'),
  path: z.string().regex(/^\//, 'a path begins with "/"').default('/models').describe('asked for with GET; costs no tokens'),
  status_page: url.optional().describe('the summary of a status page: while it tells of a major outage, others are preferred'),
})

export const PERIODS = ['hour', 'day', 'month'] as const

export const spending = z.strictObject({
  usd: positive.describe('US$'),
  per: z.enum(PERIODS).describe('the period after which it starts again'),
})

export const provider = z.strictObject({
  type: z.enum(PROVIDER_TYPES).describe('the API that it speaks'),
  base_url: baseUrl
    .optional()
    .describe(
      'where it lives; each type but openai-compatible, azure and vllm knows its own. simulator:NAME/v1 is a simulator of this file',
    ),
  keys: z
    .array(key)
    .default([])
    // Named by position, so that naming one key does not rename its neighbours in the metrics.
    .transform(keys => keys.map((one, index) => ({ ...one, name: one.name ?? `key-${index + 1}` })))
    .describe('the provider keys; none for a server that asks for none'),
  key_choice: z.enum(['least_used', 'weighted', 'round_robin']).default('least_used').describe('which of the keys goes first'),
  headers: headers.default({}).describe('added to every upstream request'),
  tags: z.array(word).default([]).describe('what this provider is, for `require`: eu, hipaa, zero-retention …'),
  timeouts: timeouts.prefault({}).describe('how long one attempt may take'),
  retry: retry.prefault({}).describe('the same target again, before the next one'),
  circuit: circuit.prefault({}).describe('when a target is left alone, and for how long; one circuit per target'),
  health: health.optional().describe('active probing'),
  spend_cap: spending.optional().describe('at the cap the provider is passed over'),
  models: z
    .record(z.string().min(1), model)
    .default({})
    .describe('what its models can do and cost; known models have built-in values, these override them'),
})
