/* What is known of models, through a whole gateway: a plan passes over who cannot do it, and a price becomes a cost. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { Feature } from '../../src/core/attempt.ts'
import { providers } from '../../src/providers/registry.ts'
import { knownAbilities } from '../../src/usage/known.ts'
import { HELLO, type Running, running } from '../support/running.ts'

const FEATURES: readonly Feature[] = ['tools', 'vision', 'json_schema']

/** What is asked of `provider/model`: which features it lacks, and how much it takes where that is known. */
const KNOWN: readonly (readonly [provider: string, model: string, lacks: readonly Feature[], maxOutput?: number])[] = [
  ['openai', 'gpt-5', [], 128_000],
  ['openai', 'gpt-5.1-codex', [], 128_000],
  ['openai', 'gpt-5-chat-latest', [], 16_384],
  ['openai', 'gpt-4.1-mini', [], 32_768],
  ['openai', 'gpt-4o', [], 16_384],
  ['openai', 'gpt-4o-mini-2024-07-18', [], 16_384],
  ['openai', 'gpt-4o-2024-05-13', ['json_schema'], 4_096],
  ['openai', 'ft:gpt-4o-2024-08-06:org::id', [], 16_384],
  ['openai', 'gpt-4-turbo-2024-04-09', ['json_schema'], 4_096],
  ['openai', 'gpt-4', ['vision', 'json_schema'], 8_192],
  ['openai', 'gpt-3.5-turbo', ['vision', 'json_schema'], 4_096],
  ['openai', 'o1', [], 100_000],
  ['openai', 'o1-mini', ['tools', 'vision', 'json_schema'], 65_536],
  ['openai', 'o3', [], 100_000],
  ['openai', 'o3-mini', ['vision'], 100_000],
  ['openai', 'o4-mini', [], 100_000],
  ['azure', 'gpt-35-turbo', ['vision', 'json_schema'], 4_096],
  ['azure', 'gpt-4o', [], 16_384],
  ['azure', 'gpt-4', []],
  ['anthropic', 'claude-sonnet-4-5', [], 64_000],
  ['anthropic', 'claude-3-5-haiku-latest', [], 8_192],
  ['gemini', 'gemini-2.5-pro', [], 65_536],
  ['gemini', 'gemini-3-flash-preview', [], 65_536],
  ['gemini', 'gemini-2.5-flash-image', ['tools', 'json_schema'], 32_768],
  ['gemini', 'gemma-3-1b-it', ['tools', 'vision', 'json_schema'], 8_192],
  ['vertex', 'gemini-2.5-flash', [], 65_536],
  ['vertex', 'claude-opus-4-1@20250805', [], 32_000],
  ['bedrock', 'us.anthropic.claude-haiku-4-5-20251001-v1:0', [], 64_000],
  ['bedrock', 'amazon.nova-pro-v1:0', []],
  ['bedrock', 'amazon.nova-micro-v1:0', ['vision']],
  ['bedrock', 'amazon.titan-text-express-v1', ['tools', 'vision', 'json_schema']],
  ['bedrock', 'us.meta.llama3-3-70b-instruct-v1:0', ['vision']],
  ['bedrock', 'us.meta.llama3-2-90b-instruct-v1:0', []],
  ['bedrock', 'us.meta.llama4-scout-17b-instruct-v1:0', []],
  ['cohere', 'command-a-03-2025', ['vision']],
  ['cohere', 'command-a-vision-07-2025', []],
  ['mistral', 'mistral-large-2411', ['vision']],
  ['mistral', 'mistral-large-latest', []],
  ['mistral', 'pixtral-large-latest', []],
  ['mistral', 'codestral-latest', ['vision']],
  ['deepseek', 'deepseek-chat', ['vision', 'json_schema']],
  ['groq', 'llama-3.3-70b-versatile', ['vision', 'json_schema'], 32_768],
  ['groq', 'openai/gpt-oss-120b', ['vision']],
  ['groq', 'meta-llama/llama-4-scout-17b-16e-instruct', []],
  ['cerebras', 'gpt-oss-120b', ['vision']],
  ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo', ['vision']],
  ['together', 'meta-llama/Llama-3.2-90B-Vision-Instruct-Turbo', []],
  ['together', 'deepseek-ai/DeepSeek-V3', ['vision']],
  ['together', 'Qwen/Qwen2.5-VL-72B-Instruct', []],
  ['together', 'Qwen/Qwen3-235B-A22B-Instruct-2507', ['vision']],
  ['fireworks', 'accounts/fireworks/models/llama-v3p1-8b-instruct', ['vision']],
  ['fireworks', 'accounts/fireworks/models/kimi-k2-instruct-0905', ['vision']],
  ['fireworks', 'accounts/fireworks/models/kimi-k2p5', []],
  ['moonshot', 'kimi-k2-0905-preview', ['vision']],
  ['moonshot', 'moonshot-v1-32k-vision-preview', []],
  ['zai', 'glm-4.6', ['vision', 'json_schema']],
  ['zai', 'glm-4.6v', []],
  ['xai', 'grok-4', []],
  ['xai', 'grok-3-mini', ['vision']],
  ['qwen', 'qwen-max', ['vision']],
  ['qwen', 'qwen-vl-max', []],
  ['perplexity', 'sonar-pro', ['tools']],
]

/** One model of each provider that the list of prices has. */
const PRICED: Readonly<Record<string, string>> = {
  openai: 'gpt-4o',
  azure: 'gpt-4o',
  anthropic: 'claude-sonnet-4-5',
  gemini: 'gemini-2.5-flash',
  vertex: 'gemini-2.5-flash',
  bedrock: 'us.anthropic.claude-haiku-4-5-20251001-v1:0',
  cohere: 'command-a-03-2025',
  mistral: 'mistral-large-latest',
  deepseek: 'deepseek-chat',
  groq: 'llama-3.3-70b-versatile',
  openrouter: 'openai/gpt-4o',
  xai: 'grok-4',
  perplexity: 'sonar',
  cerebras: 'gpt-oss-120b',
  together: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
  fireworks: 'accounts/fireworks/models/gpt-oss-120b',
  moonshot: 'kimi-k2-0905-preview',
}
/** Whose models are the operator's own, or not in the list. */
const UNPRICED = ['ollama', 'openai-compatible', 'qwen', 'vllm', 'zai']

describe('what is known of models', () => {
  for (const [provider, model, lacks, maxOutput] of KNOWN) {
    it(`${provider}/${model} ${lacks.length === 0 ? 'lacks nothing' : `lacks ${lacks.join(', ')}`}`, () => {
      const { supports, maxOutput: most } = providers.get(provider)!.abilities!(model)
      assert.deepEqual(
        FEATURES.filter(feature => supports?.has(feature) === false),
        lacks,
      )
      assert.equal(most, maxOutput)
    })
  }

  it('is nothing for names that no table has', () => {
    for (const provider of providers.values()) assert.deepEqual(provider.abilities?.('house-model-7') ?? {}, {}, provider.name)
  })

  it('finds a price at every provider that the list has', () => {
    assert.deepEqual([...Object.keys(PRICED), ...UNPRICED].sort(), [...providers.keys()].sort())
    for (const [name, model] of Object.entries(PRICED)) {
      const { price } = knownAbilities(providers.get(name)!.pricedAs ?? name, model)
      assert.ok(price !== undefined && price.input > 0 && price.output > 0, `${name}/${model}`)
    }
  })
})

describe('a plan', () => {
  const open: Running[] = []
  after(() => Promise.all(open.map(gateway => gateway.close())))

  const PICTURE = {
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] }],
  }
  const TOOLS = { messages: HELLO, tools: [{ type: 'function', function: { name: 'tide', parameters: { type: 'object' } } }] }
  const schema = { name: 'answer', schema: { type: 'object', properties: { tide: { type: 'string' } } } }
  const SCHEMA = { messages: HELLO, response_format: { type: 'json_schema', json_schema: schema } }
  const LONG = { messages: [{ role: 'user', content: 'wave '.repeat(60_000) }] }

  /** The route `r`: this model of a provider of this type, then one that can do everything. */
  async function start(type: string, model: string, models: object = {}): Promise<Running> {
    const retry = { attempts: 0 }
    const gateway = await running(
      JSON.stringify({
        telemetry: { headers: 'full' },
        simulators: [{ name: 'any', speaks: 'openai' }],
        providers: {
          first: { type, base_url: 'simulator:any/v1', keys: ['key-of-first'], models, retry },
          second: { type: 'openai-compatible', base_url: 'simulator:any/v1', keys: ['key-of-second'], retry },
        },
        routes: { r: { targets: [`first/${model}`], fallbacks: ['second/able'] } },
      }),
    )
    open.push(gateway)
    return gateway
  }

  async function headersOf(gateway: Running, call: object): Promise<Headers> {
    const response = await gateway.call({ model: 'r', ...call })
    assert.equal(response.status, 200, await response.text())
    return response.headers
  }

  for (const [what, type, model, call] of [
    ['sees nothing', 'groq', 'llama-3.3-70b-versatile', PICTURE],
    ['has no tools', 'openai', 'o1-mini', TOOLS],
    ['cannot be held to a schema', 'openai', 'gpt-3.5-turbo', SCHEMA],
    ['has far too little room', 'openai', 'gpt-4', LONG],
  ] as const) {
    it(`passes over a model that ${what}`, async () => {
      const gateway = await start(type, model)
      const asked = await headersOf(gateway, call)
      assert.match(
        asked.get('x-understudy-trail')!,
        new RegExp(`^first/${model};passed-over:incapable;0ms, second/able;answered;`),
      )
      const easy = await headersOf(gateway, { messages: HELLO })
      assert.equal(easy.get('x-understudy-target'), `first/${model}`)
    })
  }

  it('takes the operator’s word over what is known', async () => {
    const able = await start('openai', 'gpt-4', { 'gpt-4': { context: 1_000_000, supports: ['vision', 'tools', 'json_schema'] } })
    for (const call of [PICTURE, SCHEMA, LONG]) {
      assert.equal((await headersOf(able, call)).get('x-understudy-target'), 'first/gpt-4')
    }
    const unable = await start('openai', 'gpt-4o', { 'gpt-4o': { supports: ['json_schema'] } })
    assert.equal((await headersOf(unable, TOOLS)).get('x-understudy-target'), 'second/able')
    assert.equal((await headersOf(unable, SCHEMA)).get('x-understudy-target'), 'first/gpt-4o')
  })

  it('takes an unknown model for able', async () => {
    const gateway = await start('openai', 'house-model-7')
    for (const call of [PICTURE, TOOLS, SCHEMA, LONG]) {
      assert.equal((await headersOf(gateway, call)).get('x-understudy-target'), 'first/house-model-7')
    }
  })

  it('asks nobody for a longer answer than the model can give', async () => {
    for (const [model, field, models, sent] of [
      ['gpt-4o', 'max_tokens', {}, 16_384],
      ['o3', 'max_completion_tokens', {}, 90_000],
      ['gpt-4o', 'max_tokens', { 'gpt-4o': { max_output: 64_000 } }, 64_000],
      ['house-model-7', 'max_tokens', {}, 90_000],
    ] as const) {
      const gateway = await start('openai', model, models)
      await headersOf(gateway, { messages: HELLO, max_tokens: 90_000 })
      const { body } = gateway.simulators.get('any')!.calls.at(-1)!
      assert.equal((body as any)[field], sent, model)
    }
  })

  it('tells what a model of a known price has cost, and nothing of others', async () => {
    const gateway = await start('xai', 'grok-4')
    const response = await gateway.call({ model: 'r', messages: HELLO })
    const { usage } = (await response.json()) as any
    // US$ 3 and 15 per million.
    const cost = (usage.prompt_tokens * 3 + usage.completion_tokens * 15) / 1e6
    assert.equal(response.headers.get('x-understudy-cost-usd'), cost.toFixed(6))
    const unknown = await start('xai', 'house-model-7')
    assert.equal((await headersOf(unknown, { messages: HELLO })).get('x-understudy-cost-usd'), null)
  })
})
