import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import type { SimulatorConfig } from '../../src/config/simulation.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { ask, config, eventsIn, SAY_HELLO, TIME, WEATHER } from './raw-client.ts'

const SENTENCE = 'Hello, this is alpha, a simulated model that answers every call with the same twenty words so that tests agree.'
const TOOLS = [WEATHER, TIME].map(({ name, description, schema }) => ({
  type: 'function' as const,
  function: { name, description, parameters: schema },
}))

/** Asks a fresh simulator once; for answers that differ in the call alone. */
async function answerTo(body: unknown, about: Partial<SimulatorConfig> = {}, request = {}) {
  await using simulator = await disposable(about)
  return await ask(simulator.url, { body, ...request })
}

async function disposable(about: Partial<SimulatorConfig>) {
  const simulator = await startSimulator(config(about))
  return { url: simulator.url, [Symbol.asyncDispose]: () => simulator.close() }
}

test('a whole answer has the fields of the API in their order', async () => {
  const heard = await answerTo(SAY_HELLO)
  assert.equal(heard.status, 200)
  assert.equal(heard.headers['content-type'], 'application/json')
  assert.match(heard.headers['x-request-id']!, /^req_[0-9a-f]{32}$/)
  const { id, created, ...rest } = JSON.parse(heard.body)
  assert.match(id, /^chatcmpl-\w{29}$/)
  assert.ok(Math.abs(created - Date.now() / 1000) < 5)
  assert.deepEqual(Object.keys(JSON.parse(heard.body)), [
    'id',
    'object',
    'created',
    'model',
    'choices',
    'usage',
    'service_tier',
    'system_fingerprint',
  ])
  assert.equal(rest.model, 'gpt-4o')
  assert.deepEqual(rest.choices, [
    {
      index: 0,
      message: { role: 'assistant', content: SENTENCE, refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: 'stop',
    },
  ])
  assert.equal(rest.usage.prompt_tokens, 3)
  assert.equal(rest.usage.completion_tokens, 20)
  assert.equal(rest.usage.total_tokens, 23)
})

test('a stream is a role, the words, a finish, the usage where it was asked for, and the terminator', async () => {
  const heard = await answerTo({ ...SAY_HELLO, stream: true, stream_options: { include_usage: true } })
  assert.equal(heard.headers['content-type'], 'text/event-stream; charset=utf-8')
  const events = eventsIn(heard.body)
  assert.equal(events.length, 1 + 20 + 1 + 1 + 1)
  assert.deepEqual(events[0].choices[0].delta, { role: 'assistant', content: '', refusal: null })
  const words = events.slice(1, 21)
  assert.equal(words.map(event => event.choices[0].delta.content).join(''), SENTENCE)
  assert.ok(words.every(event => event.usage === null && event.choices[0].finish_reason === null && event.id === events[0].id))
  assert.deepEqual(events[21].choices, [{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }])
  assert.deepEqual(events[22].choices, [])
  assert.equal(events[22].usage.completion_tokens, 20)
  assert.equal(events[23], '[DONE]')
})

test('a stream does not mention usage when it was not asked for, nor padding when it was refused', async () => {
  const events = eventsIn((await answerTo({ ...SAY_HELLO, stream: true, stream_options: { include_obfuscation: false } })).body)
  assert.ok(events.slice(0, -1).every(event => !('usage' in event) && !('obfuscation' in event)))
  const padded = eventsIn((await answerTo({ ...SAY_HELLO, stream: true })).body)
  assert.ok(padded.slice(0, -1).every(event => typeof event.obfuscation === 'string'))
})

test('max_tokens and max_completion_tokens cut the answer', async () => {
  const { choices, usage } = JSON.parse((await answerTo({ ...SAY_HELLO, max_completion_tokens: 3 })).body)
  assert.equal(choices[0].message.content, 'Hello, this is ')
  assert.equal(choices[0].finish_reason, 'length')
  assert.equal(usage.completion_tokens, 3)
  const events = eventsIn((await answerTo({ ...SAY_HELLO, stream: true, max_tokens: 3 })).body)
  assert.equal(events.at(-2).choices[0].finish_reason, 'length')
  const enough = JSON.parse((await answerTo({ ...SAY_HELLO, max_tokens: 20 })).body)
  assert.equal(enough.choices[0].finish_reason, 'stop')
})

test('stop sequences end the answer before themselves', async () => {
  const { choices } = JSON.parse((await answerTo({ ...SAY_HELLO, stop: ['model', 'simul'] })).body)
  assert.equal(choices[0].message.content, 'Hello, this is alpha, a ')
  assert.equal(choices[0].finish_reason, 'stop')
})

test('several choices come side by side', async () => {
  const body = { ...SAY_HELLO, n: 2, max_tokens: 2, stream: true }
  const indices = eventsIn((await answerTo(body)).body)
    .slice(0, -1)
    .map(event => event.choices[0].index)
  assert.deepEqual(indices, [0, 1, 0, 1, 0, 1, 0, 1])
  assert.equal(JSON.parse((await answerTo({ ...body, stream: false })).body).choices.length, 2)
  assert.equal((await answerTo({ ...SAY_HELLO, n: 9 })).status, 400)
})

test('the answer of the configuration is said instead of the sentence', async () => {
  const { choices } = JSON.parse((await answerTo(SAY_HELLO, { answer: 'Blue. Émile says: 日本' })).body)
  assert.equal(choices[0].message.content, 'Blue. Émile says: 日本')
})

test('a response format is answered with JSON', async () => {
  const schema = { type: 'object', properties: { colour: { enum: ['red', 'blue'] } }, required: ['colour'] }
  const format = { type: 'json_schema', json_schema: { name: 'paint', schema } }
  const content = async (body: object) =>
    JSON.parse(JSON.parse((await answerTo({ ...SAY_HELLO, ...body })).body).choices[0].message.content)
  assert.deepEqual(await content({ response_format: format }), { colour: 'red' })
  assert.deepEqual(await content({ response_format: { type: 'json_object' } }), { answer: SENTENCE })
})

test('tools that are offered are called, and their results quoted', async () => {
  const call = { ...SAY_HELLO, tools: TOOLS }
  const { choices } = JSON.parse((await answerTo(call)).body)
  const [made] = choices[0].message.tool_calls
  assert.equal(choices[0].finish_reason, 'tool_calls')
  assert.equal(choices[0].message.content, null)
  assert.match(made.id, /^call_\w{24}$/)
  assert.equal(made.function.name, 'get_weather')
  assert.deepEqual(JSON.parse(made.function.arguments), { city: 'some city', unit: 'celsius' })

  const result = { role: 'tool', tool_call_id: made.id, content: 'rain and 12 degrees' }
  const again = JSON.parse((await answerTo({ ...call, messages: [...call.messages, choices[0].message, result] })).body)
  assert.equal(again.choices[0].message.content, 'The tool returned: rain and 12 degrees')
  assert.equal(again.choices[0].finish_reason, 'stop')
})

test('tool_choice decides which tool is called, or that none is', async () => {
  const names = async (body: object) => {
    const answer = JSON.parse((await answerTo({ ...SAY_HELLO, tools: TOOLS, ...body })).body)
    return (answer.choices[0].message.tool_calls ?? []).map((made: { function: { name: string } }) => made.function.name)
  }
  assert.deepEqual(await names({ tool_choice: { type: 'function', function: { name: 'get_time' } } }), ['get_time'])
  assert.deepEqual(await names({ tool_choice: 'none' }), [])
  const both = [{ role: 'user', content: 'I want both of them' }]
  assert.deepEqual(await names({ messages: both }), ['get_weather', 'get_time'])
  assert.deepEqual(await names({ messages: both, parallel_tool_calls: false }), ['get_weather'])
})

test('a tool call is streamed as its name and then its arguments in fragments', async () => {
  const body = { ...SAY_HELLO, tools: TOOLS, stream: true }
  const [role, start, ...rest] = eventsIn((await answerTo(body)).body).map(event => event.choices?.[0].delta)
  assert.deepEqual(role, { role: 'assistant', content: null, refusal: null })
  const { id, ...named } = start.tool_calls[0]
  assert.match(id, /^call_/)
  assert.deepEqual(named, { index: 0, type: 'function', function: { name: 'get_weather', arguments: '' } })
  const fragments = rest.slice(0, -2).map(delta => delta.tool_calls[0])
  assert.ok(fragments.length > 2)
  assert.ok(fragments.every(fragment => Object.keys(fragment).join() === 'index,function'))
  assert.deepEqual(JSON.parse(fragments.map(fragment => fragment.function.arguments).join('')), {
    city: 'some city',
    unit: 'celsius',
  })
})

test('what the API would refuse is refused in its shape', async () => {
  const refused = async (body: unknown, request = {}) => {
    const heard = await answerTo(body, {}, request)
    const { error } = JSON.parse(heard.body)
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code'])
    return [heard.status, error.type, error.param, error.code]
  }
  const invalid = 'invalid_request_error'
  assert.deepEqual(await refused('{"model": '), [400, invalid, null, null])
  assert.deepEqual(await refused({ messages: [] }), [400, invalid, null, null])
  assert.deepEqual(await refused({ model: 'm' }), [400, invalid, 'messages', 'missing_required_parameter'])
  assert.deepEqual(await refused({ model: 'm', messages: [] }), [400, invalid, 'messages', 'empty_array'])
  assert.deepEqual(await refused({ model: 'm', messages: ['hi'] }), [400, invalid, 'messages[0]', 'invalid_type'])
  const badKey = { headers: { authorization: 'Bearer sk-bad-1' } }
  assert.deepEqual(await refused(SAY_HELLO, badKey), [401, invalid, null, 'invalid_api_key'])
  assert.deepEqual(await refused(SAY_HELLO, { path: '/v1/completions' }), [404, invalid, null, null])
})

test('paths are served with and without /v1', async () => {
  assert.equal((await answerTo(SAY_HELLO, {}, { path: '/chat/completions?trace=1' })).status, 200)
  for (const path of ['/v1/models', '/models']) {
    const list = JSON.parse((await answerTo(undefined, {}, { method: 'GET', path })).body)
    assert.equal(list.object, 'list')
    assert.deepEqual(Object.keys(list.data[0]), ['id', 'object', 'created', 'owned_by'])
  }
})

test('ids are never given twice', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, async () => JSON.parse((await answerTo(SAY_HELLO)).body).id))
  assert.equal(new Set(ids).size, 20)
})

test('the official SDK gets whole answers, streams and tool calls', async () => {
  await using simulator = await disposable({ token_delay: 1 })
  const client = new OpenAI({ apiKey: 'sk-good', baseURL: `${simulator.url}/v1`, maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'Say hello' }]

  const whole = await client.chat.completions.create({ model: 'gpt-4o', messages })
  assert.equal(whole.choices[0]?.message.content, SENTENCE)
  assert.match(whole._request_id ?? '', /^req_/)

  const stream = client.chat.completions.stream({ model: 'gpt-4o', messages, stream_options: { include_usage: true } })
  const streamed = await stream.finalChatCompletion()
  assert.equal(streamed.choices[0]?.message.content, SENTENCE)
  assert.equal(streamed.usage?.completion_tokens, 20)

  const runner = client.chat.completions.runTools({
    model: 'gpt-4o',
    messages,
    stream: true,
    tools: [
      {
        type: 'function',
        function: {
          name: WEATHER.name,
          description: WEATHER.description,
          parameters: WEATHER.schema,
          parse: JSON.parse,
          function: ({ city }: { city: string }) => `sunny in ${city}`,
        },
      },
    ],
  })
  assert.equal(await runner.finalContent(), 'The tool returned: sunny in some city')

  const models = await client.models.list()
  assert.ok(models.data.some(model => model.id === 'gpt-4o'))
})
