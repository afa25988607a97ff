import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { ask, config, eventsIn, GENERATE, SAY_HELLO_TO_GEMINI, STREAM_GENERATE, TIME, WEATHER } from './raw-client.ts'

const SENTENCE = 'Hello, this is gamma, a simulated model that answers every call with the same twenty words so that tests agree.'
const TOOLS = [
  {
    functionDeclarations: [
      { name: WEATHER.name, description: WEATHER.description, parametersJsonSchema: WEATHER.schema },
      { name: TIME.name, parameters: TIME.schema },
    ],
  },
]

const simulator = await startSimulator(config({ name: 'gamma', speaks: 'gemini' }))
after(() => simulator.close())

const call = (fields: object = {}, request = {}) =>
  ask(simulator.url, { path: GENERATE, body: { ...SAY_HELLO_TO_GEMINI, ...fields }, ...request })
const answer = async (fields: object = {}) => JSON.parse((await call(fields)).body)
const stream = async (fields: object = {}) => eventsIn((await call(fields, { path: STREAM_GENERATE })).body)

test('a whole answer has the fields of the API', async () => {
  const heard = await call()
  assert.equal(heard.headers['content-type'], 'application/json; charset=UTF-8')
  const { responseId, ...rest } = JSON.parse(heard.body)
  assert.match(responseId, /^\w{22}$/)
  assert.deepEqual(rest, {
    candidates: [{ content: { parts: [{ text: SENTENCE }], role: 'model' }, finishReason: 'STOP', index: 0 }],
    usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 20, totalTokenCount: 23 },
    modelVersion: 'gemini-2.5-flash',
  })
})

test('the model and the form stand in the address, whatever the version', async () => {
  for (const version of ['', '/v1', '/v1beta', '/v1alpha']) {
    const { body, status } = await call({}, { path: `${version}/models/a%2Fb:generateContent` })
    assert.deepEqual([status, JSON.parse(body).modelVersion], [200, 'a/b'])
    assert.deepEqual([simulator.calls.at(-1)!.model, simulator.calls.at(-1)!.stream], ['a/b', false])
  }
  await call({}, { path: STREAM_GENERATE })
  assert.equal(simulator.calls.at(-1)!.stream, true)
})

test('a stream is chunks with the usage so far, lines that end in CR and LF, and no terminator', async () => {
  const heard = await call({}, { path: STREAM_GENERATE })
  assert.equal(heard.headers['content-type'], 'text/event-stream')
  assert.ok(heard.isComplete && heard.body.endsWith('}\r\n\r\n'))
  assert.equal(heard.body.match(/\r\n\r\n/g)?.length, 21)
  const events = eventsIn(heard.body)
  const texts = events.map(event => event.candidates[0].content.parts[0].text)
  assert.equal(texts.join(''), SENTENCE)
  assert.deepEqual(
    [events[0], events[19]].map(event => event.usageMetadata.candidatesTokenCount),
    [1, 20],
  )
  assert.equal(new Set(events.map(event => event.responseId)).size, 1)
  assert.deepEqual(
    events.map(event => event.candidates[0].finishReason),
    [...Array(20).fill(undefined), 'STOP'],
  )
})

test('a stream that is not asked for as events is one list', async () => {
  const { headers, body } = await call({}, { path: STREAM_GENERATE.replace('?alt=sse', '') })
  assert.equal(headers['content-type'], 'application/json; charset=UTF-8')
  const chunks: any[] = JSON.parse(body)
  assert.equal(chunks.map(chunk => chunk.candidates[0].content.parts[0].text).join(''), SENTENCE)
})

test('maxOutputTokens and stopSequences end the answer', async () => {
  const cut = await answer({ generationConfig: { maxOutputTokens: 2 } })
  assert.deepEqual([cut.candidates[0].content.parts, cut.candidates[0].finishReason], [[{ text: 'Hello, this ' }], 'MAX_TOKENS'])
  const stopped = await answer({ generationConfig: { stopSequences: ['gamma'], candidateCount: 2 } })
  assert.deepEqual(
    stopped.candidates.map((one: any) => [one.index, one.content.parts[0].text, one.finishReason]),
    [0, 1].map(index => [index, 'Hello, this is ', 'STOP']),
  )
})

test('functions are called whole, and their results quoted', async () => {
  const args = { city: 'some city', unit: 'celsius' }
  const whole = (await answer({ tools: TOOLS })).candidates[0]
  assert.deepEqual(whole.content.parts, [{ functionCall: { name: 'get_weather', args } }])
  assert.deepEqual([whole.finishReason, whole.finishMessage], ['STOP', 'Model generated function call(s).'])
  const [first, last, ...none] = await stream({ tools: TOOLS })
  assert.deepEqual(first.candidates[0].content.parts, whole.content.parts)
  assert.deepEqual([last.candidates[0].finishReason, none], ['STOP', []])

  const again = async (response: object) => {
    const results = [{ functionResponse: { name: 'get_weather', response } }]
    const contents = [...SAY_HELLO_TO_GEMINI.contents, whole.content, { role: 'user', parts: results }]
    return (await answer({ tools: TOOLS, contents })).candidates[0].content.parts[0].text
  }
  assert.equal(await again({ result: 'rain' }), 'The tool returned: rain')
  assert.equal(await again({ a: 1 }), 'The tool returned: {"a":1}')
})

test('functionCallingConfig decides which functions are called', async () => {
  const names = async (functionCallingConfig: object, text = 'Do both') => {
    const contents = [{ role: 'user', parts: [{ text }] }]
    const { content } = (await answer({ tools: TOOLS, contents, toolConfig: { functionCallingConfig } })).candidates[0]
    return content.parts.flatMap((part: any) => part.functionCall?.name ?? [])
  }
  assert.deepEqual(await names({ mode: 'AUTO' }), ['get_weather', 'get_time'])
  assert.deepEqual(await names({ mode: 'ANY', allowedFunctionNames: ['get_time'] }), ['get_time'])
  assert.deepEqual(await names({ mode: 'NONE' }), [])
})

test('thoughts are told to who asks for them, and counted apart', async () => {
  const generationConfig = { thinkingConfig: { includeThoughts: true } }
  const { candidates, usageMetadata } = await answer({ generationConfig })
  assert.deepEqual(
    candidates[0].content.parts.map((part: any) => part.thought === true),
    [true, false],
  )
  assert.deepEqual([usageMetadata.thoughtsTokenCount, usageMetadata.candidatesTokenCount], [13, 20])
  assert.deepEqual((await stream({ generationConfig })).at(-1).usageMetadata, usageMetadata)
})

test('an answer as JSON fits its schema', async () => {
  const schema = { type: 'object', properties: { colour: { enum: ['red', 'blue'] } }, required: ['colour'] }
  const asked = { responseMimeType: 'application/json', responseJsonSchema: schema }
  const text = async (generationConfig: object) => (await answer({ generationConfig })).candidates[0].content.parts[0].text
  assert.deepEqual(JSON.parse(await text(asked)), { colour: 'red' })
  assert.ok('answer' in JSON.parse(await text({ responseMimeType: 'application/json' })))
})

test('what the API would refuse is refused in its shape', async () => {
  const refused = async (body: unknown, request = {}) => {
    const heard = await ask(simulator.url, { path: GENERATE, body, ...request })
    const { error } = JSON.parse(heard.body)
    assert.equal(error.code, heard.status)
    return [heard.status, error.status, error.details?.[0].reason]
  }
  const invalid = [400, 'INVALID_ARGUMENT', undefined]
  for (const contents of [undefined, [], [{ role: 'assistant', parts: [{ text: 'x' }] }], [{ role: 'user', parts: [] }]])
    assert.deepEqual(await refused({ contents }), invalid)
  assert.deepEqual(await refused('{'), invalid)
  assert.deepEqual(await refused({ ...SAY_HELLO_TO_GEMINI, generationConfig: { candidateCount: 9 } }), invalid)
  const two = { ...SAY_HELLO_TO_GEMINI, generationConfig: { candidateCount: 2 } }
  assert.deepEqual(await refused(two, { path: STREAM_GENERATE }), invalid)
  const badKey = { headers: { 'x-goog-api-key': 'AIza-bad' } }
  assert.deepEqual(await refused(SAY_HELLO_TO_GEMINI, badKey), [400, 'INVALID_ARGUMENT', 'API_KEY_INVALID'])
  const elsewhere = { path: '/v1beta/models/x:countTokens' }
  assert.deepEqual(await refused(SAY_HELLO_TO_GEMINI, elsewhere), [404, 'NOT_FOUND', undefined])
})

test('the list of models has the shape of the API', async () => {
  const list = JSON.parse((await ask(simulator.url, { method: 'GET', path: '/v1beta/models' })).body)
  assert.match(list.models[0].name, /^models\/gemini-/)
})
