import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/core/fault.ts'
import { chat } from '../../../src/dialects/chat/chat.ts'
import { BODY, callOf } from './calls.ts'

/** The refusal of these bytes. */
function refusal(bytes: string | Buffer): Fault {
  try {
    chat.parse(Buffer.from(bytes))
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, String(thrown))
    assert.equal(thrown.kind, 'bad-request')
    assert.equal(thrown.status, 400)
    assert.equal(thrown.type, 'invalid_request_error')
    return thrown
  }
  return assert.fail(`taken: ${bytes.toString().slice(0, 200)}`)
}

const refusalOf = (more: Record<string, unknown>) => refusal(JSON.stringify({ ...BODY, ...more }))

test('a call is what the client sent, field for field and byte for byte', () => {
  const text =
    ' {"model" : "claude/x:1-@", "messages": [{"role":"user","content":[{"type":"text","text":"ü🙂"},{"type":"future"}],"new":1}],\n "seed": 12345678901234567890, "future_field": {"a":[1.0]} } '
  const call = chat.parse(Buffer.from(text))
  assert.deepEqual(call.body, JSON.parse(text))
  assert.equal(Buffer.from(call.source.bytes).toString(), text)
  assert.deepEqual([...call.source.spans.keys()], ['model', 'messages', 'seed', 'future_field'])
  const { dialect, model, stream, wantsUsage } = call
  assert.deepEqual(
    { dialect, model, stream, wantsUsage },
    { dialect: 'chat', model: 'claude/x:1-@', stream: false, wantsUsage: false },
  )
})

test('what is not ASCII is read when somebody asks for it', t => {
  const text = '{"model":"m","messages":[{"role":"user","content":"ü🙂 \\u00fc"}],"max_tokens":5,"é":1}'
  const parse = t.mock.method(JSON, 'parse')
  const call = chat.parse(Buffer.from(text))
  const { max_tokens: most, messages } = call.shape
  assert.deepEqual([most, messages[0]!.role], [5, 'user'])
  assert.equal(messages[0]!.content, `${Buffer.from('ü🙂 ').toString('latin1')}ü`)
  // The whole of it, and the name of a field that is not ASCII: the same name twice would be refused.
  assert.equal(parse.mock.callCount(), 2)
  assert.deepEqual(call.body, { model: 'm', messages: [{ role: 'user', content: 'ü🙂 ü' }], max_tokens: 5, é: 1 })
  assert.equal(call.body, call.body)
  assert.equal(parse.mock.callCount(), 3)
})

test('what is ASCII is read once', t => {
  const parse = t.mock.method(JSON, 'parse')
  const call = chat.parse(Buffer.from(JSON.stringify(BODY)))
  assert.equal(call.body, call.shape)
  assert.equal(parse.mock.callCount(), 1)
})

test('a stream, and its usage, are wanted only by who says true', () => {
  const wants = (more: Record<string, unknown>) => [callOf(more).stream, callOf(more).wantsUsage]
  assert.deepEqual(wants({ stream: true }), [true, false])
  assert.deepEqual(wants({ stream: true, stream_options: { include_usage: true, other: 1 } }), [true, true])
  assert.deepEqual(wants({ stream: true, stream_options: { include_usage: false } }), [true, false])
  assert.deepEqual(wants({ stream: true, stream_options: null }), [true, false])
  assert.deepEqual(wants({ stream: null }), [false, false])
})

test('null stands for absent in every optional field', () => {
  const fields = ['stream', 'stream_options', 'max_tokens', 'max_completion_tokens', 'n', 'temperature', 'top_p', 'seed', 'stop']
  const more = ['tools', 'tool_choice', 'parallel_tool_calls', 'response_format', 'reasoning_effort', 'user']
  for (const field of [...fields, ...more]) assert.doesNotThrow(() => callOf({ [field]: null }), field)
})

test('what OpenAI takes is taken', () => {
  const good: readonly Record<string, unknown>[] = [
    { temperature: 0, top_p: 1, n: 2, max_tokens: 1, seed: -3, stop: 'x' },
    { stop: ['a', 'b'], tool_choice: 'auto', response_format: { type: 'json_object' }, reasoning_effort: 'low', user: '' },
    {
      tools: [
        { type: 'function', function: { name: 'f' } },
        { type: 'custom', custom: { name: 'g' } },
      ],
      tool_choice: { type: 'function' },
    },
    {
      tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: {}, strict: null } }],
      parallel_tool_calls: false,
    },
    {
      messages: [
        { role: 'developer', content: 'x', name: 'n' },
        { role: 'assistant', content: null },
      ],
    },
    { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{' } }] }] },
    { messages: [{ role: 'assistant', tool_calls: [{ id: 'c', type: 'custom', custom: { name: 'f', input: '' } }] }] },
    { messages: [{ role: 'tool', tool_call_id: 'c', content: '' }] },
    {
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: 'data:' } },
            { type: 'text', text: '' },
          ],
        },
      ],
    },
  ]
  for (const more of good) assert.doesNotThrow(() => callOf(more), JSON.stringify(more))
})

const TOOL = { type: 'function', function: { name: 'f' } }
const CALLED = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
const user = (content: unknown) => [{ role: 'user', content }]

const WRONG: readonly (readonly [more: Record<string, unknown>, param: string])[] = [
  [{ model: 7 }, 'model'],
  [{ model: null }, 'model'],
  [{ messages: 'x' }, 'messages'],
  [{ messages: {} }, 'messages'],
  [{ messages: [7] }, 'messages[0]'],
  [{ messages: [...BODY.messages, null] }, 'messages[1]'],
  [{ messages: [{ content: 'x' }] }, 'messages[0].role'],
  [{ messages: [{ role: 1 }] }, 'messages[0].role'],
  [{ messages: user(7) }, 'messages[0].content'],
  [{ messages: user({ type: 'text' }) }, 'messages[0].content'],
  [{ messages: user(['x']) }, 'messages[0].content[0]'],
  [{ messages: user([{ type: 'text', text: 'a' }, { text: 'b' }]) }, 'messages[0].content[1]'],
  [{ messages: user([{ type: 'text', text: 7 }]) }, 'messages[0].content[0].text'],
  [{ messages: user([{ type: 'text' }]) }, 'messages[0].content[0].text'],
  [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id'],
  [{ messages: [{ role: 'assistant', tool_calls: {} }] }, 'messages[0].tool_calls'],
  [{ messages: [{ role: 'assistant', tool_calls: [null] }] }, 'messages[0].tool_calls[0].id'],
  [{ messages: [{ role: 'assistant', tool_calls: [{ ...CALLED, id: 1 }] }] }, 'messages[0].tool_calls[0].id'],
  [
    { messages: [{ role: 'assistant', tool_calls: [CALLED, { id: 'd', function: {} }] }] },
    'messages[0].tool_calls[1].function.name',
  ],
  [
    { messages: [{ role: 'assistant', tool_calls: [{ ...CALLED, function: { name: 'f', arguments: {} } }] }] },
    'messages[0].tool_calls[0].function.arguments',
  ],
  [{ stream: 'true' }, 'stream'],
  [{ stream_options: true }, 'stream_options'],
  [{ max_tokens: 0 }, 'max_tokens'],
  [{ max_tokens: 1.5 }, 'max_tokens'],
  [{ max_completion_tokens: '10' }, 'max_completion_tokens'],
  [{ n: -1 }, 'n'],
  [{ temperature: '0' }, 'temperature'],
  [{ top_p: [] }, 'top_p'],
  [{ presence_penalty: true }, 'presence_penalty'],
  [{ frequency_penalty: {} }, 'frequency_penalty'],
  [{ seed: 0.5 }, 'seed'],
  [{ stop: 1 }, 'stop'],
  [{ stop: ['a', 1] }, 'stop'],
  [{ tools: TOOL }, 'tools'],
  [{ tools: [TOOL, {}] }, 'tools[1]'],
  [{ tools: [{ type: 'function' }] }, 'tools[0].function.name'],
  [{ tools: [{ type: 'function', function: { name: 'f', parameters: [] } }] }, 'tools[0].function.parameters'],
  [{ tool_choice: 1 }, 'tool_choice'],
  [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls'],
  [{ response_format: 'json' }, 'response_format'],
  [{ response_format: {} }, 'response_format'],
  [{ reasoning_effort: 1 }, 'reasoning_effort'],
  [{ user: 1 }, 'user'],
]

for (const [more, param] of WRONG) {
  test(`a wrong type is named with its place: ${param} in ${JSON.stringify(more)}`, () => {
    const fault = refusalOf(more)
    assert.equal(fault.details.param, param)
    assert.equal(fault.code, 'invalid_type')
    assert.ok(fault.message.startsWith(`"${param}" must be `), fault.message)
  })
}

test('what is missing is named', () => {
  const missing = (body: object) => [refusal(JSON.stringify(body)).details.param, refusal(JSON.stringify(body)).code]
  assert.deepEqual(missing({ messages: BODY.messages }), ['model', 'missing_required_parameter'])
  assert.deepEqual(missing({ model: 'm' }), ['messages', 'missing_required_parameter'])
  assert.deepEqual(missing({ model: 'm', messages: [] }), ['messages', 'empty_array'])
})

test('a model’s name that no header could carry is refused', () => {
  const names = ['', ' ', 'a b', 'a\r\nx-evil: 1', 'a\n', 'a\0', 'gpt-🙂', 'müller', 'a\u007f', 'x'.repeat(257), '\ud800']
  for (const model of names) {
    const fault = refusalOf({ model })
    assert.equal(fault.code, 'invalid_model_name', JSON.stringify(model))
    assert.equal(fault.details.param, 'model')
  }
  assert.equal(callOf({ model: 'x'.repeat(256) }).model.length, 256)
})

test('what is no JSON object is refused', () => {
  const texts = [
    '',
    ' ',
    '[]',
    '[{"model":"m"}]',
    '"x"',
    '1',
    'null',
    'true',
    '{',
    '{"model":"m"',
    '{"model":"m"}}',
    '{"model":"m"}{"model":"n"}',
  ]
  const more = [
    "{'model':'m'}",
    '{"model":"m",}',
    '{model:"m"}',
    '\ufeff{}',
    '{"a":NaN}',
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":1}x',
    'model=m',
  ]
  for (const text of [...texts, ...more]) assert.equal(refusal(text).code, 'invalid_json', text)
})

test('a key that stands twice is refused, however it is written', () => {
  const fault = refusal('{"model":"cheap","messages":[{"role":"user"}],"mod\\u0065l":"dear"}')
  assert.deepEqual([fault.code, fault.details.param], ['invalid_json', 'model'])
  const long = refusal(`{"${'k'.repeat(10_000)}":1,"${'k'.repeat(10_000)}":1}`)
  assert.ok(long.message.length < 200)
})

test('bytes that are no UTF-8 are refused', () => {
  const around = (bytes: readonly number[]) =>
    Buffer.concat([Buffer.from('{"model":"m","messages":[{"role":"user","content":"'), Buffer.from(bytes), Buffer.from('"}]}')])
  for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
    assert.equal(refusal(around(bytes)).code, 'invalid_encoding', String(bytes))
  }
  assert.doesNotThrow(() => chat.parse(around([0xe2, 0x82, 0xac])))
  assert.equal(refusal(Buffer.from(JSON.stringify(BODY), 'utf16le')).code, 'invalid_json')
})

test('a body that is nested too deep is refused', () => {
  const nested = (levels: number) => `{"model":"m","messages":[{"role":"user"}],"x":${'['.repeat(levels)}${']'.repeat(levels)}}`
  assert.doesNotThrow(() => chat.parse(Buffer.from(nested(127))))
  assert.equal(refusal(nested(128)).code, 'body_too_deep')
})

test('five million brackets are refused within 200 ms, wherever they stand', () => {
  const brackets = '['.repeat(5_000_000)
  for (const [text, code] of [
    [`{"x":${brackets}`, 'body_too_deep'],
    [brackets, 'invalid_json'],
    [`{"a":1,"a":2,"x":${brackets}`, 'invalid_json'],
    [`{"a"}${brackets}`, 'invalid_json'],
    [`{}${brackets}`, 'invalid_json'],
  ] as const) {
    const bytes = Buffer.from(text)
    const started = performance.now()
    assert.equal(refusal(bytes).code, code, text.slice(0, 20))
    const ms = performance.now() - started
    assert.ok(ms < 200, `${text.slice(0, 20)}: ${ms} ms`)
  }
})

test('keys that poison prototypes are fields like any other', () => {
  const text = '{"model":"m","messages":[{"role":"user"}],"__proto__":{"stream":true},"constructor":{"prototype":{"polluted":1}}}'
  const call = chat.parse(Buffer.from(text))
  assert.equal(call.stream, false)
  assert.equal(({} as Record<string, unknown>).polluted, undefined)
  assert.ok(call.source.spans.has('__proto__'))
})

test('the model cannot come from a prototype', () => {
  assert.equal(refusal('{"__proto__":{"model":"m"},"messages":[{"role":"user"}]}').details.param, 'model')
})
