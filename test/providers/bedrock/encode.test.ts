/* What is sent to Converse for calls in OpenAI's shape. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  assistant,
  calls,
  check,
  GPT_OSS,
  HAIKU,
  LLAMA,
  MISTRAL,
  NOVA,
  NOVA_2,
  PROFILE,
  SCHEMA,
  sentBy,
  TIDE,
  TITAN,
  user,
} from './calls.ts'

const SONNET_4_6 = 'us.anthropic.claude-sonnet-4-6'
const SONNET_4 = 'us.anthropic.claude-sonnet-4-20250514-v1:0'
const more = (fields: object) => ({ additionalModelRequestFields: fields })
const inference = (fields: object) => ({ inferenceConfig: fields })

describe('the request', () => {
  it('has the model, encoded once, in its path', () => {
    assert.equal(sentBy({}).path, '/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse')
    assert.equal(sentBy({ stream: true }).path, '/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream')
    assert.equal(
      sentBy({}, PROFILE, { basePath: '/proxy' }).path,
      '/proxy/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3Aapplication-inference-profile%2Fa1b2c3/converse',
    )
  })

  it('says which kind of answer it takes', () => {
    assert.equal(sentBy({ stream: true }).headers?.accept, 'application/vnd.amazon.eventstream')
    assert.equal(sentBy({}).headers?.accept, 'application/json')
  })

  it('asks for a whole answer where the model streams none with tools, and says so', () => {
    const stream = { stream: true, tools: [TIDE] }
    assert.match(sentBy(stream, NOVA).path, /converse-stream$/)
    const { path, headers, leftOut } = sentBy(stream, LLAMA)
    assert.match(path, /converse$/)
    assert.equal(headers?.accept, 'application/json')
    assert.deepEqual(leftOut, ['stream'])
    assert.match(sentBy({ stream: true }, LLAMA).path, /converse-stream$/)
  })

  it('is the same for a stream as for a whole answer', () => {
    assert.deepEqual(sentBy({ stream: true, stream_options: { include_usage: true } }).body, sentBy({}).body)
  })
})

describe('bounds and sampling', () => {
  check([
    { title: 'nothing that is not asked for', call: {}, sent: {} },
    { title: 'max_tokens', call: { max_tokens: 100 }, sent: inference({ maxTokens: 100 }) },
    {
      title: 'max_completion_tokens first',
      call: { max_completion_tokens: 50, max_tokens: 100 },
      sent: inference({ maxTokens: 50 }),
    },
    { title: 'no more than the model gives', call: { max_tokens: 999_999 }, sent: inference({ maxTokens: 64_000 }) },
    {
      title: 'no more than the configuration says',
      call: { max_tokens: 9_000 },
      model: NOVA,
      abilities: { maxOutput: 5_000 },
      sent: inference({ maxTokens: 5_000 }),
    },
    { title: 'a temperature beyond 1 is 1', call: { temperature: 1.7 }, sent: inference({ temperature: 1 }) },
    {
      title: 'temperature and top_p together',
      call: { temperature: 0, top_p: 0.9 },
      model: NOVA,
      sent: inference({ temperature: 0, topP: 0.9 }),
    },
    {
      title: 'one of them where a model takes no more',
      call: { temperature: 0.2, top_p: 0.9 },
      sent: inference({ temperature: 0.2 }),
      leftOut: ['top_p'],
    },
    { title: 'top_k of a Claude', call: { top_k: 5 }, sent: more({ top_k: 5 }) },
    { title: 'top_k of a Nova', call: { top_k: 5 }, model: NOVA, sent: more({ inferenceConfig: { topK: 5 } }) },
    { title: 'top_k of others is left out', call: { top_k: 5 }, model: LLAMA, sent: {}, leftOut: ['top_k'] },
    { title: 'a stop', call: { stop: 'END' }, sent: inference({ stopSequences: ['END'] }) },
    { title: 'stops, without blank ones', call: { stop: ['a', ' ', '\n', 'b'] }, sent: inference({ stopSequences: ['a', 'b'] }) },
    { title: 'no stop at all', call: { stop: ['\n'] }, model: LLAMA, sent: {} },
  ])
})

describe('thinking', () => {
  check([
    {
      title: 'an effort as a budget, with the bound that it needs',
      call: { reasoning_effort: 'low' },
      sent: { ...inference({ maxTokens: 64_000 }), ...more({ thinking: { type: 'enabled', budget_tokens: 2_048 } }) },
    },
    {
      title: 'within the bound of the caller',
      call: { reasoning_effort: 'high', max_tokens: 8_000 },
      sent: { ...inference({ maxTokens: 8_000 }), ...more({ thinking: { type: 'enabled', budget_tokens: 4_000 } }) },
    },
    {
      title: 'an effort as an effort',
      call: { reasoning_effort: 'medium' },
      model: SONNET_4_6,
      sent: more({ thinking: { type: 'adaptive' }, output_config: { effort: 'medium' } }),
    },
    {
      title: 'a Claude’s own field',
      call: { thinking: { type: 'enabled', budget_tokens: 1_500 }, max_tokens: 4_000 },
      model: SONNET_4,
      sent: { ...inference({ maxTokens: 4_000 }), ...more({ thinking: { type: 'enabled', budget_tokens: 1_500 } }) },
    },
    {
      title: 'restricts sampling',
      call: { reasoning_effort: 'low', temperature: 0.2 },
      sent: { ...inference({ maxTokens: 64_000 }), ...more({ thinking: { type: 'enabled', budget_tokens: 2_048 } }) },
      leftOut: ['temperature'],
    },
    {
      title: 'of a Nova 2',
      call: { reasoning_effort: 'low', temperature: 0.2 },
      model: NOVA_2,
      sent: { ...inference({ temperature: 0.2 }), ...more({ reasoningConfig: { type: 'enabled', maxReasoningEffort: 'low' } }) },
    },
    {
      title: 'of a Nova 2 at its greatest goes without sampling',
      call: { reasoning_effort: 'high', temperature: 0.2, top_p: 0.5, top_k: 3 },
      model: NOVA_2,
      sent: more({ reasoningConfig: { type: 'enabled', maxReasoningEffort: 'high' } }),
      leftOut: ['temperature', 'top_p', 'top_k'],
    },
    {
      title: 'of a Nova 2 at its greatest gives way to a bound',
      call: { reasoning_effort: 'high', max_tokens: 500 },
      model: NOVA_2,
      sent: {
        ...inference({ maxTokens: 500 }),
        ...more({ reasoningConfig: { type: 'enabled', maxReasoningEffort: 'medium' } }),
      },
      leftOut: ['reasoning_effort'],
    },
    { title: 'of a gpt-oss', call: { reasoning_effort: 'minimal' }, model: GPT_OSS, sent: more({ reasoning_effort: 'low' }) },
    {
      title: 'that a gpt-oss cannot be without',
      call: { reasoning_effort: 'none' },
      model: GPT_OSS,
      sent: {},
      leftOut: ['reasoning_effort'],
    },
    { title: 'of others is left out', call: { reasoning_effort: 'low' }, model: LLAMA, sent: {}, leftOut: ['reasoning_effort'] },
    { title: 'that others do not do anyway', call: { reasoning_effort: 'none' }, model: NOVA, sent: {} },
  ])
})

describe('response_format', () => {
  const format = (json_schema: object) => ({ response_format: { type: 'json_schema', json_schema } })
  const CLOSED = { ...SCHEMA, additionalProperties: false }
  const through = (json: object, toolChoice: object) => ({
    toolConfig: {
      tools: [
        {
          toolSpec: {
            name: 'json_answer__understudy',
            description: 'Gives the answer to the user. Its input is the whole answer.',
            inputSchema: { json },
          },
        },
      ],
      toolChoice,
    },
  })
  const native = (jsonSchema: object) => ({ outputConfig: { textFormat: { type: 'json_schema', structure: { jsonSchema } } } })
  const words = 'Answer with one JSON object and nothing else: no words before or after it, and no Markdown code fence around it.'

  check([
    { title: 'text', call: { response_format: { type: 'text' } }, sent: {} },
    { title: 'json_object in words', call: { response_format: { type: 'json_object' } }, sent: { system: [{ text: words }] } },
    {
      title: 'json_object in words before the question, where there is no place for instructions',
      call: { response_format: { type: 'json_object' } },
      model: TITAN,
      sent: { messages: [user({ text: words }, { text: 'How tall is it?' })] },
    },
    {
      title: 'a schema as it is, where the model takes one',
      call: format({ name: 'place', description: 'A place', schema: SCHEMA, strict: true }),
      sent: native({ schema: JSON.stringify(CLOSED), name: 'place', description: 'A place' }),
    },
    {
      title: 'a schema in the part of the language that is known',
      call: format({ name: 'bad name', schema: { type: 'object', properties: { a: { type: 'array', maxItems: 5 } } } }),
      model: GPT_OSS,
      sent: native({
        schema:
          '{"type":"object","properties":{"a":{"type":"array","description":"{maxItems: 5}"}},"additionalProperties":false}',
        name: 'answer',
      }),
    },
    {
      title: 'a schema that cannot be compiled, through a tool',
      call: format({ name: 'any', schema: { type: 'object' } }),
      sent: through({ type: 'object' }, { tool: { name: 'json_answer__understudy' } }),
    },
    {
      title: 'a schema through a tool, where the model takes none',
      call: format({ name: 'place', description: 'A place', schema: SCHEMA }),
      model: NOVA,
      sent: through({ description: 'A place', ...SCHEMA }, { tool: { name: 'json_answer__understudy' } }),
    },
    {
      title: 'a schema through a tool that cannot be named',
      call: format({ name: 'place', schema: SCHEMA }),
      model: MISTRAL,
      sent: through(SCHEMA, { any: {} }),
    },
    { title: 'no schema at all, in words', call: format({ name: 'x' }), sent: { system: [{ text: words }] } },
  ])
})

describe('other fields', () => {
  const guardrail = { guardrailIdentifier: 'g', guardrailVersion: '1', trace: 'enabled' }

  check([
    {
      title: 'metadata, as far as it is legal',
      call: { metadata: { team: 'search', note: 'ü', 'bad{key': 'x', number: 4, empty: '' } },
      sent: { requestMetadata: { team: 'search', empty: '' } },
      leftOut: ['metadata'],
    },
    {
      title: 'no more than 16 entries of metadata',
      call: { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])) },
      sent: { requestMetadata: Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`k${n}`, 'v'])) },
      leftOut: ['metadata'],
    },
    { title: 'a service tier', call: { service_tier: 'flex' }, sent: { serviceTier: { type: 'flex' } } },
    { title: 'the service tier that there is anyway', call: { service_tier: 'auto' }, sent: {} },
    { title: 'a service tier that there is not', call: { service_tier: 'scale' }, sent: {}, leftOut: ['service_tier'] },
    {
      title: 'a guardrail, without what is said of streams',
      call: { guardrailConfig: { ...guardrail, streamProcessingMode: 'sync' } },
      sent: { guardrailConfig: guardrail },
    },
    {
      title: 'a guardrail of a stream',
      call: { guardrailConfig: { ...guardrail, streamProcessingMode: 'sync' }, stream: true },
      sent: { guardrailConfig: { ...guardrail, streamProcessingMode: 'sync' } },
    },
    {
      title: 'fields of Converse’s own',
      call: {
        additionalModelRequestFields: { anthropic_beta: ['x'], top_k: 9 },
        additionalModelResponseFieldPaths: ['/stop_sequence'],
        performanceConfig: { latency: 'optimized' },
        top_k: 5,
      },
      sent: {
        ...more({ top_k: 9, anthropic_beta: ['x'] }),
        additionalModelResponseFieldPaths: ['/stop_sequence'],
        performanceConfig: { latency: 'optimized' },
      },
    },
    {
      title: 'what has no equivalent is left out by name',
      call: {
        seed: 7,
        n: 1,
        logprobs: true,
        top_logprobs: 2,
        presence_penalty: 1,
        frequency_penalty: 0,
        logit_bias: { 1: 2 },
        user: 'u',
        safety_identifier: 's',
        store: false,
        prompt_cache_key: 'k',
        parallel_tool_calls: false,
        verbosity: 'low',
      },
      sent: {},
      leftOut: [
        'seed',
        'logprobs',
        'top_logprobs',
        'presence_penalty',
        'logit_bias',
        'user',
        'safety_identifier',
        'prompt_cache_key',
        'verbosity',
        'parallel_tool_calls',
      ],
    },
    {
      title: 'cache points that a model does not take are left out by name',
      call: { messages: [{ ...ask(), cache_control: { type: 'ephemeral' } }] },
      model: LLAMA,
      sent: {},
      leftOut: ['cache_control'],
    },
  ])
})

describe('signed thinking', () => {
  it('goes back only to a model that may think, in front of what was said', () => {
    const messages = [
      ask(),
      {
        role: 'assistant',
        content: null,
        tool_calls: [calls('t1')],
        reasoning_details: [
          { type: 'reasoning.text', text: 'Hm.', signature: 'sig' },
          { type: 'reasoning.encrypted', data: 'c2VhbGVk', format: 'anthropic-claude-v1' },
          { type: 'reasoning.text', text: 'Not mine.', signature: 'sig', format: 'somebody-else' },
        ],
      },
      { role: 'tool', tool_call_id: 't1', content: '3 m' },
    ]
    const toolUse = { toolUse: { toolUseId: 't1', name: 'tide', input: { city: 'Aber' } } }
    const thinking = [
      { reasoningContent: { reasoningText: { text: 'Hm.', signature: 'sig' } } },
      { reasoningContent: { redactedContent: 'c2VhbGVk' } },
    ]
    const turn = (body: object, model: string) => (sentBy({ messages, ...body }, model).body.messages as unknown[])[1]
    assert.deepEqual(turn({ reasoning_effort: 'low' }, HAIKU), assistant(...thinking, toolUse))
    assert.deepEqual(turn({}, HAIKU), assistant(toolUse))
    assert.deepEqual(turn({ reasoning_effort: 'low' }, NOVA_2), assistant(toolUse))
  })
})

function ask() {
  return { role: 'user', content: 'How tall is it?' }
}
