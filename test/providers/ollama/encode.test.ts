import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ollama } from '../../../src/providers/ollama/ollama.ts'
import { callOf, sent, targetOf } from '../calls.ts'

const MODEL = 'llama3.2'
const THINKER = 'qwen3:4b'
const LEVELS = 'gpt-oss:20b'
const SCHEMA = { type: 'object', properties: { of: { type: 'string' } }, required: ['of'] }
const fn = (name: string, more: object = {}) => ({ type: 'function', function: { name, parameters: SCHEMA, ...more } })
const HI = [{ role: 'user', content: 'hi' }]
const ORDERED = [{ role: 'system', content: 'Do not answer in words. Call one of the tools.' }, ...HI]

describe('a call to Ollama', () => {
  /** [title, model, body, what is sent beside model, messages, stream and truncate, what is left out] */
  const ROWS: readonly (readonly [string, string, object, object, (readonly string[])?])[] = [
    ['that asks for nothing', MODEL, {}, {}],
    ['always says whether it streams', MODEL, { stream: true, stream_options: { include_usage: true } }, { stream: true }],
    [
      'tunes by options',
      MODEL,
      { max_tokens: 9, temperature: 1.5, top_p: 0.5, seed: -3, stop: 'x', presence_penalty: -1, frequency_penalty: 2 },
      {
        options: {
          temperature: 1.5,
          top_p: 0.5,
          seed: -3,
          presence_penalty: -1,
          frequency_penalty: 2,
          num_predict: 9,
          stop: ['x'],
        },
      },
    ],
    [
      'takes as many stop sequences as there are',
      MODEL,
      { stop: ['1', '', '2', '3', '4', '5', '6'] },
      { options: { stop: ['1', '2', '3', '4', '5', '6'] } },
    ],
    ['prefers the newer name of the bound', MODEL, { max_tokens: 9, max_completion_tokens: 5 }, { options: { num_predict: 5 } }],
    [
      'passes on Ollama’s own fields',
      MODEL,
      { keep_alive: '10m', num_ctx: 8_192, min_p: 0.1, truncate: true, shift: false, options: { num_ctx: 4_096, mirostat: 1 } },
      { keep_alive: '10m', truncate: true, shift: false, options: { min_p: 0.1, num_ctx: 4_096, mirostat: 1 } },
    ],
    ['keeps a model loaded for no time', MODEL, { keep_alive: 0 }, { keep_alive: 0 }],
    [
      'tells what Ollama has nothing like',
      MODEL,
      {
        user: 'u',
        metadata: { a: 'b' },
        logit_bias: { 5: 1 },
        parallel_tool_calls: false,
        service_tier: 'flex',
        prompt_cache_key: 'p',
        x_new: 1,
      },
      {},
      ['user', 'metadata', 'logit_bias', 'parallel_tool_calls', 'service_tier', 'prompt_cache_key', 'x_new'],
    ],
    [
      'is quiet about what asks for nothing',
      MODEL,
      {
        user: '',
        metadata: {},
        n: 1,
        logprobs: false,
        top_logprobs: 0,
        parallel_tool_calls: true,
        service_tier: 'auto',
        store: false,
        temperature: null,
        keep_alive: null,
      },
      {},
    ],
    ['weighs tokens', MODEL, { logprobs: true, top_logprobs: 3 }, { logprobs: true, top_logprobs: 3 }],
    ['asks for any JSON', MODEL, { response_format: { type: 'json_object' } }, { format: 'json' }],
    [
      'asks for JSON of a schema',
      MODEL,
      { response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema: SCHEMA } } },
      { format: SCHEMA },
    ],
    ['asks for text', MODEL, { response_format: { type: 'text' } }, {}],
    [
      'offers tools',
      MODEL,
      { tools: [fn('a', { description: 'd' }), { type: 'function', function: { name: 'b', strict: true } }] },
      { tools: [fn('a', { description: 'd' }), fn('b', { parameters: { type: 'object', properties: {} } })] },
      ['strict'],
    ],
    ['lets the model choose', MODEL, { tools: [fn('a')], tool_choice: 'auto' }, { tools: [fn('a')] }],
    ['forbids calls by offering none', MODEL, { tools: [fn('a')], tool_choice: 'none' }, {}],
    [
      'asks for a call in words',
      MODEL,
      { tools: [fn('a')], tool_choice: 'required' },
      { tools: [fn('a')], messages: ORDERED },
      ['tool_choice'],
    ],
    [
      'asks for one tool by offering no other',
      MODEL,
      { tools: [fn('a'), fn('b')], tool_choice: { type: 'function', function: { name: 'b' } } },
      { tools: [fn('b')], messages: ORDERED },
      ['tool_choice'],
    ],
    [
      'allows some tools by offering those',
      MODEL,
      {
        tools: [fn('a'), fn('b')],
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'b' } }] },
        },
      },
      { tools: [fn('b')] },
    ],
    ['thinks', THINKER, { reasoning_effort: 'low' }, { think: true }],
    ['does not think', THINKER, { reasoning_effort: 'none' }, { think: false }],
    ['tells gpt-oss how hard to think', LEVELS, { reasoning_effort: 'medium' }, { think: 'medium' }],
    ['has no more than high', LEVELS, { reasoning_effort: 'xhigh' }, { think: 'high' }],
    ['has no less than low', LEVELS, { reasoning_effort: 'none' }, { think: 'low' }],
    ['has low for minimal', `someone/${LEVELS}`, { reasoning_effort: 'minimal' }, { think: 'low' }],
    ['asks no model to think that may be unable to', MODEL, { reasoning_effort: 'high' }, {}, ['reasoning_effort']],
    ['asks no instructed qwen3 to think', 'qwen3:4b-instruct', { reasoning_effort: 'high' }, {}, ['reasoning_effort']],
    ['tells any model not to think', MODEL, { reasoning_effort: 'none' }, { think: false }],
    ['knows no other efforts', LEVELS, { reasoning_effort: 'huge' }, {}, ['reasoning_effort']],
    ['thinks as Ollama’s own field says', MODEL, { think: 'max', reasoning_effort: 'none' }, { think: 'max' }],
  ]
  for (const [title, model, body, expected, leftOut = []] of ROWS) {
    test(title, () => {
      const { json, leftOut: left } = sent(ollama, model, body)
      assert.deepEqual(json, { model, messages: HI, stream: false, truncate: false, ...expected })
      assert.deepEqual(left, leftOut)
    })
  }

  test('goes to its own API wherever that is', () => {
    const call = callOf('{"model":"r","messages":[]}')
    const at = (basePath: string) => ollama.encode(call, { ...targetOf(ollama, MODEL), basePath }).path
    assert.deepEqual([at(''), at('/api'), at('/proxy')], ['/api/chat', '/api/chat', '/proxy/api/chat'])
  })

  test('asks for no more than the model can write', () => {
    const target = { ...targetOf(ollama, MODEL), abilities: { maxOutput: 100 } }
    const { body } = ollama.encode(callOf('{"model":"r","messages":[],"max_tokens":500}'), target)
    assert.deepEqual(JSON.parse(String(body)).options, { num_predict: 100 })
  })

  test('shows a key only where there is one', () => {
    assert.deepEqual(ollama.authorize('', targetOf(ollama, MODEL)), {})
    assert.deepEqual(ollama.authorize('k', targetOf(ollama, MODEL)), { authorization: 'Bearer k' })
  })
})
