import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { ask, config, eventsIn, MESSAGES, SAY_HELLO_TO_CLAUDE, TIME, WEATHER } from './raw-client.ts'

const SENTENCE = 'Hello, this is beta, a simulated model that answers every call with the same twenty words so that tests agree.'
const TOOLS = [WEATHER, TIME].map(({ name, description, schema }) => ({ name, description, input_schema: schema }))

const simulator = await startSimulator(config({ name: 'beta', speaks: 'anthropic' }))
after(() => simulator.close())

const call = (fields: object = {}, request = {}) =>
  ask(simulator.url, { path: MESSAGES, body: { ...SAY_HELLO_TO_CLAUDE, ...fields }, ...request })
const message = async (fields: object = {}) => JSON.parse((await call(fields)).body)
const stream = async (fields: object = {}) => eventsIn((await call({ stream: true, ...fields })).body)

test('a whole answer has the fields of the API in their order', async () => {
  const heard = await call()
  assert.match(heard.headers['request-id']!, /^req_011C/)
  const { id, ...rest } = JSON.parse(heard.body)
  assert.match(id, /^msg_01\w{22}$/)
  assert.deepEqual(rest, {
    model: 'claude-sonnet-4-5',
    type: 'message',
    role: 'assistant',
    content: [{ type: 'text', text: SENTENCE }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: {
      input_tokens: 3,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
      output_tokens: 20,
      service_tier: 'standard',
      inference_geo: 'not_available',
    },
  })
})

test('a stream is a message, a block of deltas with a ping, the end of the block and of the message', async () => {
  const heard = await call({ stream: true })
  const events = eventsIn(heard.body)
  assert.deepEqual(
    events.map(event => event.type),
    [
      'message_start',
      'content_block_start',
      'ping',
      ...Array(20).fill('content_block_delta'),
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  )
  const names = heard.body.match(/^event: .*$/gm)
  assert.deepEqual(
    names,
    events.map(event => `event: ${event.type}`),
  )
  assert.deepEqual(events[0].message.content, [])
  assert.equal(events[0].message.usage.input_tokens, 3)
  const text = events.filter(event => event.type === 'content_block_delta').map(event => event.delta.text)
  assert.equal(text.join(''), SENTENCE)
  assert.deepEqual(events.at(-2), {
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: { input_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 20 },
  })
})

test('max_tokens and stop_sequences end the answer', async () => {
  const cut = await message({ max_tokens: 2 })
  assert.deepEqual([cut.content[0].text, cut.stop_reason], ['Hello, this ', 'max_tokens'])
  const stopped = await message({ stop_sequences: ['beta'] })
  assert.deepEqual(
    [stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence],
    ['Hello, this is ', 'stop_sequence', 'beta'],
  )
  const atOnce = await stream({ stop_sequences: ['Hello'] })
  assert.deepEqual(
    atOnce.map(event => event.type),
    ['message_start', 'ping', 'message_delta', 'message_stop'],
  )
})

test('tools are called, and their results quoted', async () => {
  const answer = await message({ tools: TOOLS })
  assert.equal(answer.stop_reason, 'tool_use')
  const [used] = answer.content
  assert.match(used.id, /^toolu_01/)
  assert.deepEqual([used.type, used.name, used.input], ['tool_use', 'get_weather', { city: 'some city', unit: 'celsius' }])

  const result = { type: 'tool_result', tool_use_id: used.id, content: [{ type: 'text', text: 'rain and wind' }] }
  const messages = [
    ...SAY_HELLO_TO_CLAUDE.messages,
    { role: 'assistant', content: answer.content },
    { role: 'user', content: [result] },
  ]
  const again = await message({ tools: TOOLS, messages })
  assert.deepEqual(again.content, [{ type: 'text', text: 'The tool returned: rain and wind' }])
})

test('tool_choice decides which tools are used', async () => {
  const names = async (fields: object) =>
    (await message({ tools: TOOLS, ...fields })).content
      .filter((block: { name?: string }) => block.name)
      .map((block: { name: string }) => block.name)
  const both = [{ role: 'user', content: [{ type: 'text', text: 'Do both' }] }]
  assert.deepEqual(await names({ tool_choice: { type: 'tool', name: 'get_time' } }), ['get_time'])
  assert.deepEqual(await names({ tool_choice: { type: 'none' } }), [])
  assert.deepEqual(await names({ messages: both }), ['get_weather', 'get_time'])
  assert.deepEqual(await names({ messages: both, tool_choice: { type: 'auto', disable_parallel_tool_use: true } }), [
    'get_weather',
  ])
})

test('tool use is streamed as a block of JSON fragments', async () => {
  const events = await stream({ tools: TOOLS })
  const start = events.find(event => event.type === 'content_block_start').content_block
  assert.deepEqual([start.type, start.name, start.input], ['tool_use', 'get_weather', {}])
  const fragments = events.filter(event => event.type === 'content_block_delta').map(event => event.delta)
  assert.ok(fragments.every(delta => delta.type === 'input_json_delta'))
  assert.equal(fragments[0].partial_json, '')
  assert.ok(fragments.length > 3)
  assert.deepEqual(JSON.parse(fragments.map(delta => delta.partial_json).join('')), { city: 'some city', unit: 'celsius' })
  assert.equal(events.at(-2).delta.stop_reason, 'tool_use')
})

test('thinking comes before the text, with a signature', async () => {
  for (const type of ['enabled', 'adaptive']) {
    const { content, usage } = await message({ thinking: { type, budget_tokens: 1024 } })
    assert.deepEqual(
      content.map((block: { type: string }) => block.type),
      ['thinking', 'text'],
    )
    assert.ok(content[0].thinking.length > 0 && content[0].signature.length > 40)
    assert.ok(usage.output_tokens_details.thinking_tokens > 0)
  }
  const events = await stream({ thinking: { type: 'adaptive' } })
  const kinds = new Set(events.filter(event => event.delta?.type).map(event => `${event.index} ${event.delta.type}`))
  assert.deepEqual([...kinds], ['0 thinking_delta', '0 signature_delta', '1 text_delta'])
  assert.equal((await message({ thinking: { type: 'disabled' } })).content.length, 1)
})

test('an output format is answered with JSON', async () => {
  const schema = { type: 'object', properties: { colour: { enum: ['red', 'blue'] } }, required: ['colour'] }
  const { content } = await message({ output_config: { format: { type: 'json_schema', schema } } })
  assert.deepEqual(JSON.parse(content[0].text), { colour: 'red' })
})

test('what the API would refuse is refused in its shape', async () => {
  const refused = async (body: unknown, request = {}) => {
    const heard = await ask(simulator.url, { path: MESSAGES, body, ...request })
    const answer = JSON.parse(heard.body)
    assert.equal(answer.type, 'error')
    assert.equal(answer.request_id, heard.headers['request-id'])
    assert.equal(heard.headers['x-should-retry'], 'false')
    return [heard.status, answer.error.type, answer.error.message]
  }
  const { max_tokens, messages, ...model } = SAY_HELLO_TO_CLAUDE
  const invalid = 'invalid_request_error'
  assert.deepEqual(await refused({ ...model, messages }), [400, invalid, 'max_tokens: Field required'])
  assert.deepEqual(await refused({ ...model, max_tokens }), [400, invalid, 'messages: Field required'])
  assert.deepEqual(await refused({ ...model, max_tokens, messages: ['hi'] }), [
    400,
    invalid,
    'messages.0: Input does not match the expected shape.',
  ])
  assert.deepEqual(await refused('{'), [400, invalid, 'The request body is not valid JSON'])
  const badKey = { headers: { 'x-api-key': 'sk-ant-bad' } }
  assert.deepEqual(await refused(SAY_HELLO_TO_CLAUDE, badKey), [401, 'authentication_error', 'invalid x-api-key'])
  assert.deepEqual(await refused(SAY_HELLO_TO_CLAUDE, { path: '/v1/chat/completions' }), [404, 'not_found_error', 'Not Found'])
})

test('the list of models has the shape of the API', async () => {
  const list = JSON.parse((await ask(simulator.url, { method: 'GET', path: '/v1/models' })).body)
  assert.deepEqual(Object.keys(list), ['data', 'has_more', 'first_id', 'last_id'])
  assert.equal(list.first_id, list.data[0].id)
})
