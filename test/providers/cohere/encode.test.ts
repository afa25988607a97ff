import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cohere } from '../../../src/providers/cohere/cohere.ts'
import { callOf, sent, targetOf } from '../calls.ts'

const MODEL = 'command-a-03-2025'
const THINKER = 'command-a-reasoning-08-2025'
const OLD = 'command-r-plus'
const SCHEMA = { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] }
const fn = (name: string, more: object = {}) => ({ type: 'function', function: { name, parameters: SCHEMA, ...more } })
const HI = [{ role: 'user', content: 'hi' }]

describe('a call to Cohere', () => {
  /** [title, model, body, what is sent beside model, messages and stream, what is left out] */
  const ROWS: readonly (readonly [string, string, object, object, (readonly string[])?])[] = [
    ['that asks for nothing', MODEL, {}, {}],
    [
      'has other names for what it tunes',
      MODEL,
      { max_tokens: 9, top_p: 0.5, top_k: 7, stop: 'x', seed: 0 },
      { max_tokens: 9, p: 0.5, k: 7, stop_sequences: ['x'], seed: 0 },
    ],
    ['prefers the newer name of the bound', MODEL, { max_tokens: 9, max_completion_tokens: 5 }, { max_tokens: 5 }],
    [
      'stays within Cohere’s ranges',
      MODEL,
      { temperature: 1.7, top_p: 1, top_k: 900, presence_penalty: 2 },
      { temperature: 1, p: 0.99, k: 500, presence_penalty: 1 },
    ],
    ['keeps a temperature of zero', MODEL, { temperature: 0, top_p: 0 }, { temperature: 0, p: 0.01 }],
    ['cannot reward repetition', MODEL, { frequency_penalty: -1, presence_penalty: 0 }, {}, ['frequency_penalty']],
    [
      'penalises twice',
      MODEL,
      { frequency_penalty: 0.5, presence_penalty: 0.5 },
      { frequency_penalty: 0.5, presence_penalty: 0.5 },
    ],
    [
      'penalises an older model once',
      OLD,
      { frequency_penalty: 0.5, presence_penalty: 0.5 },
      { frequency_penalty: 0.5 },
      ['presence_penalty'],
    ],
    ['cannot have a seed below zero', MODEL, { seed: -1 }, {}, ['seed']],
    [
      'tells what Cohere has nothing like',
      MODEL,
      { user: 'u', metadata: { a: 'b' }, logit_bias: { 5: 1 }, parallel_tool_calls: false, service_tier: 'flex', x_new: 1 },
      {},
      ['user', 'metadata', 'logit_bias', 'parallel_tool_calls', 'service_tier', 'x_new'],
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
        logit_bias: null,
      },
      {},
    ],
    ['may weigh its tokens', MODEL, { logprobs: true }, { logprobs: true }],
    [
      'passes on Cohere’s own fields',
      MODEL,
      { safety_mode: 'STRICT', citation_options: { mode: 'OFF' }, documents: ['d'], priority: 3, k: 4, p: 0.2 },
      { p: 0.2, k: 4, safety_mode: 'STRICT', citation_options: { mode: 'OFF' }, documents: ['d'], priority: 3 },
    ],
    [
      'offers tools',
      MODEL,
      { tools: [fn('tide', { description: 'd', strict: false }), { type: 'function', function: { name: 'now' } }] },
      { tools: [fn('tide', { description: 'd' }), fn('now', { parameters: { type: 'object', properties: {} } })] },
    ],
    [
      'is strict about all tools',
      MODEL,
      { tools: [fn('a', { strict: true }), fn('b', { strict: true })] },
      { tools: [fn('a'), fn('b')], strict_tools: true },
    ],
    [
      'is strict about none where it cannot be about all',
      MODEL,
      { tools: [fn('a', { strict: true }), fn('b')] },
      { tools: [fn('a'), fn('b')] },
      ['strict'],
    ],
    [
      'is not strict about tools without a required parameter',
      MODEL,
      { tools: [fn('a', { strict: true, parameters: { type: 'object' } })] },
      { tools: [fn('a', { parameters: { type: 'object' } })] },
      ['strict'],
    ],
    ['lets the model choose', MODEL, { tools: [fn('a')], tool_choice: 'auto' }, { tools: [fn('a')] }],
    ['forces a call', MODEL, { tools: [fn('a')], tool_choice: 'required' }, { tools: [fn('a')], tool_choice: 'REQUIRED' }],
    ['forbids calls', MODEL, { tools: [fn('a')], tool_choice: 'none' }, { tools: [fn('a')], tool_choice: 'NONE' }],
    ['forbids an older model calls by offering none', OLD, { tools: [fn('a')], tool_choice: 'none' }, {}],
    [
      'forces one tool by offering no other',
      MODEL,
      { tools: [fn('a'), fn('b-c')], tool_choice: { type: 'function', function: { name: 'b-c' } } },
      { tools: [fn('b_x002d_c')], tool_choice: 'REQUIRED' },
    ],
    [
      'allows some tools by offering those',
      MODEL,
      {
        tools: [fn('a'), fn('b')],
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'b' } }] },
        },
      },
      { tools: [fn('b')], tool_choice: 'REQUIRED' },
    ],
    [
      'thinks as hard as it is told',
      THINKER,
      { reasoning_effort: 'low' },
      { thinking: { type: 'enabled', token_budget: 2_048 } },
    ],
    ['thinks as long as it takes', THINKER, { reasoning_effort: 'high' }, { thinking: { type: 'enabled' } }],
    [
      'thinks within half of its bound',
      THINKER,
      { reasoning_effort: 'high', max_tokens: 1_000 },
      { max_tokens: 1_000, thinking: { type: 'enabled', token_budget: 500 } },
    ],
    ['does not think', THINKER, { reasoning_effort: 'none' }, { thinking: { type: 'disabled' } }],
    [
      'thinks as Cohere’s own field says',
      THINKER,
      { thinking: { type: 'disabled' }, reasoning_effort: 'high' },
      { thinking: { type: 'disabled' } },
    ],
    ['cannot make a model think that does not', MODEL, { reasoning_effort: 'high' }, {}, ['reasoning_effort']],
    ['need not stop a model from thinking that does not', MODEL, { reasoning_effort: 'none' }, {}],
  ]
  for (const [title, model, body, expected, leftOut = []] of ROWS) {
    test(title, () => {
      const { json, leftOut: left } = sent(cohere, model, body)
      assert.deepEqual(json, { model, messages: HI, stream: false, ...expected })
      assert.deepEqual(left, leftOut)
    })
  }

  test('goes to version 2 wherever the API is', () => {
    const call = callOf('{"model":"r","messages":[],"stream":true}')
    const at = (basePath: string) => cohere.encode(call, { ...targetOf(cohere, MODEL), basePath }).path
    assert.deepEqual([at(''), at('/v2'), at('/proxy')], ['/v2/chat', '/v2/chat', '/proxy/v2/chat'])
    assert.equal(sent(cohere, MODEL, { stream: true, stream_options: { include_usage: true } }).json.stream, true)
  })

  test('asks for no more than the model can write', () => {
    const target = { ...targetOf(cohere, MODEL), abilities: { maxOutput: 100 } }
    const max = (body: string) => JSON.parse(String(cohere.encode(callOf(body), target).body)).max_tokens
    assert.equal(max('{"model":"r","messages":[],"max_tokens":500}'), 100)
    assert.equal(max('{"model":"r","messages":[]}'), undefined)
  })

  test('shows its key as a bearer', () => {
    assert.deepEqual(cohere.authorize('k', targetOf(cohere, MODEL)), { authorization: 'Bearer k' })
    assert.deepEqual(cohere.authorize('', targetOf(cohere, MODEL)), {})
  })
})

describe('an answer as JSON from Cohere', () => {
  const ask = (response_format: object, messages: object[] = HI) => sent(cohere, MODEL, { response_format, messages }).json

  test('has its schema in Cohere’s place', () => {
    const { response_format } = ask({
      type: 'json_schema',
      json_schema: { name: 'n', description: 'A town.', strict: true, schema: SCHEMA },
    })
    assert.deepEqual(response_format, { type: 'json_object', json_schema: { description: 'A town.', ...SCHEMA } })
    assert.deepEqual(ask({ type: 'json_object' }).response_format, { type: 'json_object' })
    assert.equal(ask({ type: 'text' }).response_format, undefined)
  })

  test('is asked for in words where the client has not', () => {
    const [system, instruction, user] = ask({ type: 'json_object' }, [{ role: 'system', content: 's' }, ...HI]).messages as {
      role: string
      content: string
    }[]
    assert.deepEqual([system, user], [{ role: 'system', content: 's' }, ...HI])
    assert.equal(instruction?.role, 'system')
    assert.match(instruction?.content ?? '', /one JSON object and nothing else/)
    const asked = [{ role: 'user', content: [{ type: 'text', text: 'As JSON, please.' }] }]
    assert.deepEqual(ask({ type: 'json_object' }, asked).messages, asked)
  })
})
