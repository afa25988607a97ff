import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Spans } from '../../../src/core/json.ts'
import { chat } from '../../../src/dialects/chat/chat.ts'
import { openAIFamily, openai } from '../../../src/providers/openai/openai.ts'
import { callOf, refusal, sent, targetOf } from '../calls.ts'

const plain = openAIFamily({
  name: 'plain',
  drops: ['seed', 'n', 'top_k'],
  renames: { max_tokens: 'limit' },
  adjust: ({ body }) => (body.top_p === 0 ? { top_p: 0.01, gone: undefined } : {}),
})

function written(json: string, model = 'gpt-4o'): string {
  return Buffer.from(openai.encode(callOf(json), targetOf(openai, model)).body as Uint8Array).toString()
}

test('a call reaches the provider byte for byte, but for the model', () => {
  const json =
    '{ "model" : "route",\n "x_new":{"big":12345678901234567890,"é":"\\u00e9"}, "messages":[{"role":"user","content":"hi \\/ there"}],"temperature":1.0 }'
  assert.equal(written(json), json.replace('"route"', '"gpt-4o"'))
})

test('a call that is passed on is not read beyond its shape', t => {
  const call = chat.parse(Buffer.from('{"model":"r","messages":[{"role":"system","content":"é"}],"max_tokens":5}'))
  const body = t.mock.getter(Object.getPrototypeOf(call), 'body')
  const target = targetOf(openai, 'gpt-4o')
  assert.equal(openai.refuses(call, target), undefined)
  assert.match(Buffer.from(openai.encode(call, target).body as Uint8Array).toString(), /"content":"é"/)
  assert.equal(body.mock.callCount(), 0)
  assert.equal(call.body.messages[0]!.content, 'é')
  assert.equal(body.mock.callCount(), 1)
})

test('what is moved or written again is what the client said, ASCII or not', () => {
  const messages = [{ role: 'developer', content: 'é “quoted” 🙂' }]
  assert.deepEqual(sent(openai, 'gpt-4o', { messages }).json.messages, [{ ...messages[0], role: 'system' }])
  const options = { stream: true, stream_options: { note: 'é' } }
  assert.deepEqual(sent(openai, 'gpt-4o', options).json.stream_options, { note: 'é', include_usage: true })
  assert.equal(sent(plain, 'm', { max_tokens: 'é' }).json.limit, 'é')
  const id = 'é'.repeat(30)
  const calls = {
    role: 'assistant',
    content: null,
    tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
  }
  assert.deepEqual(sent(openai, 'gpt-4o', { messages: [calls] }).json.messages, [calls], 'thirty characters, though sixty bytes')
})

test('a stream asks for usage and keeps the client’s other stream options', () => {
  const json = '{"model":"r","messages":[],"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":false}}'
  assert.equal(
    written(json),
    '{"model":"gpt-4o","messages":[],"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}',
  )
})

test('a stream that asks for usage already is left alone', () => {
  const json = '{"model":"gpt-4o","stream_options":{"include_usage" : true},"messages":[],"stream":true}'
  assert.equal(written(json), json)
})

test('a whole answer is not asked for stream options', () => {
  assert.equal(written('{"model":"r","messages":[]}'), '{"model":"gpt-4o","messages":[]}')
})

test('a call of another dialect is written from its body', () => {
  const call = callOf('{"model":"r","messages":[],"stream":true,"x":1}', 'messages')
  const request = openai.encode(
    { ...call, source: { bytes: Buffer.from('not this'), spans: new Spans() } },
    targetOf(openai, 'gpt-4o'),
  )
  assert.deepEqual(JSON.parse(request.body as string), {
    model: 'gpt-4o',
    messages: [],
    stream: true,
    x: 1,
    stream_options: { include_usage: true },
  })
})

test('the path stands behind the target’s own', () => {
  assert.equal(openai.encode(callOf('{"model":"r","messages":[]}'), targetOf(openai, 'm')).path, '/v1/chat/completions')
})

test('the key is shown as a bearer, and no key shows nothing', () => {
  const target = targetOf(openai, 'm')
  assert.deepEqual(openai.authorize('sk-1', target), { authorization: 'Bearer sk-1' })
  assert.deepEqual(openai.authorize('', target), {})
})

test('what is left out is told, unless it asked for nothing', () => {
  const { json, leftOut } = sent(plain, 'm', { seed: 7, n: 1, top_k: null, temperature: 0.5 })
  assert.deepEqual(leftOut, ['seed'])
  assert.deepEqual(Object.keys(json), ['model', 'messages', 'temperature'])
})

test('a renamed field is not left out, and never overwrites its new name', () => {
  const one = sent(plain, 'm', { max_tokens: 5 })
  assert.deepEqual([one.json.limit, one.json.max_tokens, one.leftOut], [5, undefined, []])
  assert.equal(sent(plain, 'm', { max_tokens: 5, limit: 9 }).json.limit, 9)
  assert.equal(sent(plain, 'm', { max_tokens: 5, limit: null }).json.limit, 5)
})

test('an adjusted value replaces the client’s, and one taken out is told', () => {
  const { json, leftOut } = sent(plain, 'm', { top_p: 0, gone: 'x' })
  assert.deepEqual([json.top_p, json.gone, leftOut], [0.01, undefined, ['gone']])
})

const SAMPLING = { temperature: 0.2, top_p: 0.9, presence_penalty: 1, logit_bias: { 5: 1 } }

for (const model of ['o3', 'o4-mini-2025-04-16', 'gpt-5', 'gpt-5-mini', 'gpt-5.1', 'gpt-10']) {
  test(`${model} reasons: no sampling, another name for max_tokens, developer for system`, () => {
    const messages = [
      { role: 'system', content: 's' },
      { role: 'user', content: 'u' },
    ]
    const { json, leftOut } = sent(openai, model, { ...SAMPLING, max_tokens: 9, messages, stop: ['x'] })
    assert.deepEqual(json, {
      model,
      messages: [
        { role: 'developer', content: 's' },
        { role: 'user', content: 'u' },
      ],
      stop: ['x'],
      max_completion_tokens: 9,
    })
    assert.deepEqual([...leftOut].sort(), Object.keys(SAMPLING).sort())
  })
}

for (const model of ['gpt-4o', 'gpt-3.5-turbo', 'gpt-5-chat-latest', 'gpt-5.1-chat-latest', 'ft:gpt-5:acme::x', 'next-year']) {
  test(`${model} samples as it is told`, () => {
    const body = { ...SAMPLING, max_tokens: 9, messages: [{ role: 'system', content: 's' }] }
    const { json, leftOut } = sent(openai, model, body)
    assert.deepEqual(json, { ...body, model })
    assert.deepEqual(leftOut, [])
  })
}

test('reasoning switched off brings sampling back, from gpt-5.1 on', () => {
  assert.equal(sent(openai, 'gpt-5.1', { temperature: 0.2, reasoning_effort: 'none' }).json.temperature, 0.2)
  assert.equal(sent(openai, 'gpt-5', { temperature: 0.2, reasoning_effort: 'none' }).json.temperature, undefined)
})

test('models from before the developer role get system instead', () => {
  assert.deepEqual(sent(openai, 'gpt-4o', { messages: [{ role: 'developer', content: 'd', name: 'x' }] }).json.messages, [
    { role: 'system', content: 'd', name: 'x' },
  ])
})

test('models without instructions get them with the first question', () => {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'assistant', content: 'a' },
    { role: 'user', content: 'u' },
    { role: 'user', content: 'v' },
  ]
  assert.deepEqual(sent(openai, 'o1-mini', { messages }).json.messages, [
    { role: 'assistant', content: 'a' },
    { role: 'user', content: 'Be brief.\n\nu' },
    { role: 'user', content: 'v' },
  ])
  const image = { type: 'image_url', image_url: { url: 'data:x' } }
  assert.deepEqual(
    sent(openai, 'o1-preview', {
      messages: [
        { role: 'developer', content: 'd' },
        { role: 'user', content: [image] },
      ],
    }).json.messages,
    [{ role: 'user', content: [{ type: 'text', text: 'd' }, image] }],
  )
  assert.deepEqual(sent(openai, 'o1-mini', { messages: [{ role: 'system', content: 's' }] }).json.messages, [
    { role: 'user', content: 's' },
  ])
})

test('models that search take no temperature, and no second choice', () => {
  const { json, leftOut } = sent(openai, 'gpt-4o-search-preview', { temperature: 0, n: 1, top_p: 0.5 })
  assert.deepEqual([json.temperature, json.n, json.top_p, leftOut], [undefined, undefined, 0.5, ['temperature']])
  assert.match(refusal(openai, 'gpt-4o-search-preview', { n: 2 }) ?? '', /more than one choice/)
  assert.equal(refusal(openai, 'gpt-4o', { n: 2, tools: [{}], logprobs: true }), undefined)
})

test('tool ids of other providers are shortened, in calls and results alike', () => {
  const long = `toolu_${'a'.repeat(60)}`
  const call = { id: long, type: 'function', function: { name: 'f', arguments: '{}' } }
  const { json } = sent(openai, 'gpt-4o', {
    messages: [
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: long, content: '1' },
    ],
  })
  const [assistant, tool] = json.messages as [{ tool_calls: [{ id: string }] }, { tool_call_id: string }]
  assert.match(tool.tool_call_id, /^call_\w{24}$/)
  assert.equal(assistant.tool_calls[0].id, tool.tool_call_id)
})
