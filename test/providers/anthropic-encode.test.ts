import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chat } from '../../src/dialects/chat/chat.ts'
import { anthropic } from '../../src/providers/anthropic/anthropic.ts'
import {
  ASK,
  callOf,
  check,
  EPHEMERAL,
  type Fields,
  HAIKU,
  SCHEMA,
  sentBy,
  TIDE,
  TIDE_SENT,
  targetOf,
} from './anthropic-calls.ts'

describe('where a call goes', () => {
  const path = (basePath: string) => anthropic.encode(callOf({ model: 'x', messages: ASK }), targetOf(HAIKU, { basePath })).path

  it('is /v1/messages under the base path, and /v1 is never doubled', () => {
    assert.deepEqual(
      [path(''), path('/v1'), path('/anthropic'), path('/proxy/v1')],
      ['/v1/messages', '/v1/messages', '/anthropic/v1/messages', '/proxy/v1/messages'],
    )
  })
})

describe('what a client of another dialect says', () => {
  it('reaches Anthropic as it is, ASCII or not', () => {
    const content = 'Wér antwortet – 日本 🎭? \u00e9 "\\n"'
    const call = chat.parse(Buffer.from(JSON.stringify({ model: 'x', messages: [{ role: 'user', content }], stop: ['Schluß'] })))
    const { messages, stop_sequences: stop } = JSON.parse(anthropic.encode(call, targetOf(HAIKU)).body as string)
    assert.equal(messages[0].content[0].text, content)
    assert.deepEqual(stop, ['Schluß'])
  })
})

describe('the length of answers from Anthropic', () => {
  check([
    {
      title: 'is the most that the model can do when nobody bounds it',
      call: {},
      model: 'claude-3-haiku-20240307',
      sent: { max_tokens: 4_096 },
    },
    { title: 'is what max_tokens says', call: { max_tokens: 100 }, sent: { max_tokens: 100 } },
    {
      title: 'is what max_completion_tokens says before max_tokens',
      call: { max_completion_tokens: 50, max_tokens: 100 },
      sent: { max_tokens: 50 },
    },
    { title: 'is never more than the model can do', call: { max_tokens: 100_000 }, sent: { max_tokens: 64_000 } },
    {
      title: "is bounded by the operator's word",
      call: { max_tokens: 9_000 },
      abilities: { maxOutput: 8_000 },
      sent: { max_tokens: 8_000 },
    },
    {
      title: "is the operator's word when nobody bounds it",
      call: {},
      abilities: { maxOutput: 8_000 },
      sent: { max_tokens: 8_000 },
    },
  ])

  it('is known for every generation', () => {
    const lengths = {
      'claude-opus-5': 128_000,
      'claude-sonnet-5': 128_000,
      'claude-fable-5': 128_000,
      'claude-opus-4-8': 128_000,
      'claude-sonnet-4.6': 128_000,
      'claude-sonnet-4-5-20250929': 64_000,
      'claude-opus-4-1-20250805': 32_000,
      'claude-sonnet-4-20250514': 64_000,
      'claude-sonnet-4-0': 64_000,
      'claude-opus-4-20250514': 32_000,
      'claude-3-7-sonnet-20250219': 64_000,
      'claude-3-5-haiku-latest': 8_192,
      'claude-3-opus-20240229': 4_096,
      'claude-2.1': 4_096,
      'claude-of-tomorrow': 128_000,
      'kimi-k2': 8_192,
    }
    for (const [model, length] of Object.entries(lengths)) assert.equal(sentBy({}, model).body.max_tokens, length, model)
  })
})

describe('sampling for Anthropic', () => {
  const FREE = 'claude-sonnet-4-0'
  const NEW = 'claude-opus-4-8'
  check([
    { title: "a temperature within Anthropic's scale", call: { temperature: 0.3 }, sent: { temperature: 0.3 } },
    { title: "a temperature of OpenAI's upper half is the highest", call: { temperature: 1.6 }, sent: { temperature: 1 } },
    {
      title: 'of temperature and top_p, only the first where the model takes one',
      call: { temperature: 0.3, top_p: 0.9 },
      sent: { temperature: 0.3 },
      leftOut: ['top_p'],
    },
    { title: 'top_p alone', call: { top_p: 0.9, top_k: 40 }, sent: { top_p: 0.9, top_k: 40 } },
    {
      title: 'all of it on models that take all',
      call: { temperature: 0.3, top_p: 0.9, top_k: 40 },
      model: FREE,
      sent: { temperature: 0.3, top_p: 0.9, top_k: 40 },
    },
    {
      title: 'nothing on the newest models',
      call: { temperature: 0.3, top_p: 0.9, top_k: 40 },
      model: NEW,
      sent: { max_tokens: 128_000 },
      leftOut: ['temperature', 'top_p', 'top_k'],
    },
    {
      title: 'nothing lost where it was the default anyway',
      call: { temperature: 1, top_p: 1 },
      model: NEW,
      sent: { max_tokens: 128_000 },
    },
    {
      title: 'only a high top_p while thinking',
      call: { thinking: { type: 'enabled', budget_tokens: 2_000 }, temperature: 0.3, top_p: 0.96, top_k: 40 },
      sent: { thinking: { type: 'enabled', budget_tokens: 2_000 }, top_p: 0.96 },
      leftOut: ['temperature', 'top_k'],
    },
    {
      title: 'no low top_p while thinking',
      call: { thinking: { type: 'enabled', budget_tokens: 2_000 }, top_p: 0.5 },
      sent: { thinking: { type: 'enabled', budget_tokens: 2_000 } },
      leftOut: ['top_p'],
    },
    { title: 'one stop sequence', call: { stop: 'END' }, sent: { stop_sequences: ['END'] } },
    {
      title: 'several, without those of white space',
      call: { stop: ['a', '\n', '', 'b'] },
      sent: { stop_sequences: ['a', 'b'] },
    },
    { title: 'none but white space', call: { stop: ['\n\n'] }, sent: {} },
  ])
})

describe('the form of answers from Anthropic', () => {
  const OLD = 'claude-sonnet-4-20250514'
  const format = (schema: Fields, more: Fields = {}) => ({
    response_format: { type: 'json_schema', json_schema: { name: 'city', schema, ...more } },
  })
  const answerTool = (schema: Fields) => ({
    name: 'json_answer__understudy',
    description: 'Gives the answer to the user. Its input is the whole answer.',
    input_schema: schema,
  })
  const recursive = { type: 'object', properties: { next: { $ref: '#' } } }
  const forced = { type: 'tool', name: 'json_answer__understudy', disable_parallel_tool_use: true }
  check([
    { title: 'text', call: { response_format: { type: 'text' } }, sent: {} },
    {
      title: 'a JSON schema is native, closed, and its constraints said in words',
      call: format(
        { ...SCHEMA, properties: { city: { type: 'string', minLength: 2, description: 'Where.' } } },
        { strict: true, description: 'A city.' },
      ),
      sent: {
        output_config: {
          format: {
            type: 'json_schema',
            schema: {
              type: 'object',
              properties: { city: { type: 'string', description: 'Where.\n\n{minLength: 2}' } },
              required: ['city'],
              description: 'A city.',
              additionalProperties: false,
            },
          },
        },
      },
    },
    {
      title: 'a JSON schema and an effort share output_config',
      call: { ...format(SCHEMA), reasoning_effort: 'low' },
      model: 'claude-sonnet-4-6',
      sent: {
        max_tokens: 128_000,
        thinking: { type: 'adaptive' },
        output_config: { format: { type: 'json_schema', schema: { ...SCHEMA, additionalProperties: false } }, effort: 'low' },
      },
    },
    {
      title: 'a JSON schema becomes a tool on older models',
      call: format(SCHEMA),
      model: OLD,
      sent: { tools: [answerTool(SCHEMA)], tool_choice: forced },
    },
    {
      title: 'a JSON schema that cannot be compiled becomes a tool',
      call: format(recursive),
      sent: { tools: [answerTool(recursive)], tool_choice: forced },
    },
    {
      title: 'that tool stands beside others, one of which must be called',
      call: { ...format(SCHEMA), tools: [TIDE], tool_choice: 'auto' },
      model: OLD,
      sent: { tools: [TIDE_SENT, answerTool(SCHEMA)], tool_choice: { type: 'any' } },
    },
    {
      title: 'that tool stands alone when no other may be called',
      call: { ...format(SCHEMA), tools: [TIDE], tool_choice: 'none' },
      model: OLD,
      sent: { tools: [answerTool(SCHEMA)], tool_choice: forced },
    },
    {
      title: 'that tool gives way to a function that must be called',
      call: { ...format(SCHEMA), tools: [TIDE], tool_choice: { type: 'function', function: { name: 'tide' } } },
      model: OLD,
      sent: { tools: [TIDE_SENT], tool_choice: { type: 'tool', name: 'tide' } },
    },
    {
      title: 'some JSON is asked for in words, after the instructions',
      call: { response_format: { type: 'json_object' }, messages: [{ role: 'system', content: 'Be brief.' }, ...ASK] },
      sent: {
        system:
          'Be brief.\n\nAnswer with one JSON object and nothing else: no words before or after it, and no Markdown code fence around it.',
      },
    },
  ])
})

describe('other fields for Anthropic', () => {
  check([
    { title: 'a stream', call: { stream: true, stream_options: { include_usage: true } }, sent: { stream: true } },
    { title: 'the user', call: { user: 'u-1' }, sent: { metadata: { user_id: 'u-1' } } },
    {
      title: 'the safety identifier before the user',
      call: { user: 'u-1', safety_identifier: 's-1' },
      sent: { metadata: { user_id: 's-1' } },
    },
    { title: 'no address of a user', call: { user: 'ann@example.com' }, sent: {}, leftOut: ['user'] },
    { title: 'the tier auto', call: { service_tier: 'auto' }, sent: { service_tier: 'auto' } },
    { title: 'the tier default', call: { service_tier: 'default' }, sent: { service_tier: 'standard_only' } },
    { title: 'the tier priority', call: { service_tier: 'priority' }, sent: { service_tier: 'auto' } },
    { title: 'the tier flex', call: { service_tier: 'flex' }, sent: {}, leftOut: ['service_tier'] },
    { title: 'a cache breakpoint for all of it', call: EPHEMERAL, sent: EPHEMERAL },
    {
      title: 'tuning without an equivalent is named, and what is unknown is not sent',
      call: {
        seed: 0,
        presence_penalty: 0.5,
        frequency_penalty: -1,
        logit_bias: { 50256: -100 },
        logprobs: true,
        top_logprobs: 3,
        prediction: { type: 'content', content: 'x' },
        store: true,
        metadata: { a: 'b' },
        verbosity: 'low',
        prompt_cache_key: 'k',
        something_new: { a: 1 },
        n: 1,
        modalities: ['text'],
      },
      sent: {},
      leftOut: [
        'seed',
        'presence_penalty',
        'frequency_penalty',
        'logit_bias',
        'logprobs',
        'top_logprobs',
        'prediction',
        'store',
        'metadata',
        'verbosity',
        'prompt_cache_key',
      ],
    },
    {
      title: 'values that ask for nothing are not named',
      call: {
        seed: null,
        presence_penalty: 0,
        frequency_penalty: 0,
        logit_bias: {},
        logprobs: false,
        store: false,
        metadata: {},
        stop: null,
        tools: null,
        tool_choice: null,
      },
      sent: {},
    },
  ])
})
