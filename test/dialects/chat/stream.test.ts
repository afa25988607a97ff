import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { Fault } from '../../../src/core/fault.ts'
import { AT, dataOf, FINISH, START, said, streaming, written } from './calls.ts'

const USAGE: ChatEvent = { type: 'usage', usage: { input: 5, output: 7 } }
const COUNTED = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }

/** The chunks that these events become, each in a piece of its own, and what stands last. */
function chunksOf(events: readonly ChatEvent[], includeUsage?: boolean): any[] {
  const data = dataOf(
    written(
      streaming(includeUsage),
      events.map(event => ({ events: [event] })),
    ),
  )
  assert.equal(data.pop(), '[DONE]')
  return data
}

const deltasOf = (events: readonly ChatEvent[]) =>
  chunksOf(events).flatMap(({ choices }) => choices.map((choice: any) => choice.delta))

test('a text is a chunk with the role, a chunk for each delta, the finish and [DONE]', () => {
  const chunks = chunksOf([START, said('Hel'), said('lo\n"🙂"'), FINISH])
  const same = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: Math.floor(AT / 1000), model: 'gpt-4o-2024-08-06' }
  assert.deepEqual(chunks, [
    { ...same, choices: [{ index: 0, delta: { role: 'assistant', content: '', refusal: null }, finish_reason: null }] },
    { ...same, choices: [{ index: 0, delta: { content: 'Hel' }, finish_reason: null }] },
    { ...same, choices: [{ index: 0, delta: { content: 'lo\n"🙂"' }, finish_reason: null }] },
    { ...same, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  ])
})

test('the events of one piece go out together', () => {
  const writer = streaming()
  const bytes = writer.write({ events: [START, said('a'), said('b')] })
  assert.equal(dataOf(Buffer.from(bytes!).toString()).length, 3)
})

test('what says nothing to the client writes nothing', () => {
  const writer = streaming()
  assert.equal(writer.write({ events: [] }), undefined)
  assert.equal(writer.write({ events: [START] }), undefined)
  assert.equal(writer.write({ events: [USAGE] }), undefined)
})

test('the role comes once for each choice, before its first delta', () => {
  const chunks = chunksOf([START, said('a', 0), said('b', 1), said('c', 0), { ...FINISH, choice: 1 }, FINISH] as ChatEvent[])
  const roles = chunks.filter(({ choices }) => choices[0].delta.role !== undefined).map(({ choices }) => choices[0].index)
  assert.deepEqual(roles, [0, 1])
  assert.deepEqual(
    chunks.map(({ choices }) => choices[0].index),
    [0, 0, 1, 1, 0, 1, 0],
  )
})

test('an answer without an id gets one, the same in every chunk, and the model that was asked for where none is told', () => {
  for (const events of [
    [said('a'), FINISH],
    [{ type: 'start', id: '', model: '' }, said('a'), FINISH],
  ] as ChatEvent[][]) {
    const chunks = chunksOf(events)
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1)
    assert.match(chunks[0].id, /^chatcmpl-[\w-]{20}$/)
    assert.equal(chunks[0].model, 'a-route')
  }
  assert.notEqual(chunksOf([said('a')])[0].id, chunksOf([said('a')])[0].id)
})

test('a tool call has its id and name once, and its arguments as they come', () => {
  const events: ChatEvent[] = [
    START,
    { type: 'tool-start', choice: 0, index: 0, id: 'call_1', name: 'weather' },
    { type: 'tool-delta', choice: 0, index: 0, json: '{"city":' },
    { type: 'tool-delta', choice: 0, index: 0, json: '"Köln"}' },
    { type: 'tool-start', choice: 0, index: 1, id: 'call_2', name: 'time' },
    { type: 'finish', choice: 0, reason: 'tool_calls', raw: 'tool_use' },
  ]
  const [, ...deltas] = deltasOf(events)
  assert.deepEqual(deltas, [
    { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }] },
    { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] },
    { tool_calls: [{ index: 0, function: { arguments: '"Köln"}' } }] },
    { tool_calls: [{ index: 1, id: 'call_2', type: 'function', function: { name: 'time', arguments: '' } }] },
    {},
  ])
  const { choices } = chunksOf(events).at(-1)
  assert.deepEqual([choices[0].finish_reason, choices[0].native_finish_reason], ['tool_calls', 'tool_use'])
})

test('refusals, reasoning and its signature, and what has no meaning here have their places', () => {
  const [, ...deltas] = deltasOf([
    START,
    { type: 'reasoning-delta', choice: 0, text: 'hm' },
    { type: 'reasoning-delta', choice: 0, text: 'm', signature: 'sig-1' },
    { type: 'reasoning-delta', choice: 0, text: 'so' },
    { type: 'reasoning-delta', choice: 0, text: '', signature: 'sig-2' },
    { type: 'refusal-delta', choice: 0, text: 'no' },
    { type: 'extra-delta', choice: 0, fields: { audio: { id: 'a' } } },
  ])
  assert.deepEqual(deltas, [
    { reasoning_content: 'hm' },
    { reasoning_content: 'm', reasoning_details: [{ type: 'reasoning.text', text: 'hmm', signature: 'sig-1' }] },
    { reasoning_content: 'so' },
    { reasoning_details: [{ type: 'reasoning.text', text: 'so', signature: 'sig-2' }] },
    { refusal: 'no' },
    { audio: { id: 'a' } },
  ])
})

test('logprobs stand beside the delta, where OpenAI has them', () => {
  const logprobs = { content: [{ token: 'a' }], refusal: null }
  const [, { choices }] = chunksOf([{ type: 'extra-delta', choice: 0, fields: { logprobs } }])
  assert.deepEqual(choices, [{ index: 0, delta: {}, finish_reason: null, logprobs }])
})

test('usage goes to who asked for it: last, without choices, and null in every chunk before', () => {
  const asked = chunksOf([START, said('a'), USAGE, FINISH], true)
  const last = asked.pop()
  assert.deepEqual([last.choices, last.usage], [[], COUNTED])
  assert.equal(last.id, 'chatcmpl-1')
  assert.equal(asked.length, 3)
  for (const chunk of asked) assert.equal(chunk.usage, null)
  for (const chunk of chunksOf([START, said('a'), USAGE, FINISH])) assert.ok(!('usage' in chunk))
  for (const chunk of chunksOf([START, said('a'), USAGE, FINISH], false)) assert.ok(!('usage' in chunk))
})

test('an unknown usage is not told as zero', () => {
  const chunks = chunksOf([START, said('a'), { type: 'usage', usage: { reasoning: 3 } }, FINISH], true)
  assert.deepEqual(
    chunks.map(({ usage }) => usage),
    [null, null, null],
  )
})

test('the last usage counts', () => {
  assert.deepEqual(chunksOf([said('a'), { type: 'usage', usage: { input: 1, output: 1 } }, USAGE], true).at(-1).usage, COUNTED)
})

test('an answer that breaks off ends with OpenAI’s error and no [DONE]', () => {
  const text = Buffer.from(streaming().fail(new Fault('upstream-stalled'))).toString()
  assert.deepEqual(dataOf(text), [
    { error: { message: 'The model provider could not answer.', type: 'server_error', param: null, code: 'upstream_stalled' } },
  ])
})

test('a sign of life is a comment, which no client takes for an event', () => {
  assert.match(Buffer.from(streaming().heartbeat()).toString(), /^:[^\n]*\n\n$/)
})

// ── relay ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const chunk = (fields: object) => ({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', ...fields })
const frame = (fields: object, ends = '\n') => Buffer.from(`data: ${JSON.stringify(chunk(fields))}${ends}${ends}`)
const TEXT = { choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }], new_field: 1 }

test('what the provider wrote in the client’s dialect goes out as the very bytes', () => {
  const wire = Buffer.from('event: x\r\ndata:{"choices" : [ ],"usage":null}\r\n\r\n')
  for (const asked of [undefined, true]) assert.equal(streaming(asked).write({ events: [said('a')], wire }), wire)
})

test('the provider’s usage goes to who asked for it as it came, and to nobody else', () => {
  const wire = frame({ choices: [], usage: COUNTED })
  assert.equal(streaming(true).write({ events: [USAGE], wire }), wire)
  assert.equal(streaming().write({ events: [USAGE], wire }), undefined)
  assert.equal(streaming(false).write({ events: [USAGE], wire }), undefined)
})

test('where usage comes together with a finish, only the usage is kept back', () => {
  for (const ends of ['\n', '\r\n', '\r']) {
    const fields = { choices: [{ index: 0, delta: { content: '🙂' }, finish_reason: 'stop' }], system_fingerprint: 'fp', x: [1] }
    const wire = frame({ ...fields, usage: COUNTED }, ends)
    const told = streaming().write({ events: [said('🙂'), FINISH, USAGE], wire })
    assert.deepEqual(dataOf(Buffer.from(told!).toString()), [chunk(fields)])
  }
})

test('a usage in several lines of data is kept back, too', () => {
  const wire = Buffer.from('data: {"choices":[],\ndata: "usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n')
  assert.equal(streaming().write({ events: [USAGE], wire }), undefined)
})

test('a relayed stream whose provider sent usage gets no second one', () => {
  const writer = streaming(true)
  const text = written(writer, [
    { events: [START, said('a')], wire: frame(TEXT) },
    { events: [USAGE], wire: frame({ choices: [], usage: COUNTED }) },
  ])
  assert.equal(dataOf(text).filter(({ usage }) => usage).length, 1)
  assert.ok(text.endsWith('data: [DONE]\n\n'))
})

test('what is added to a relayed stream belongs to the same answer, and does not begin it again', () => {
  const writer = streaming()
  const text = written(writer, [{ events: [START, said('a')], wire: frame(TEXT) }, { events: [FINISH] }])
  const [, finish, done] = dataOf(text)
  assert.deepEqual(finish.choices, [{ index: 0, delta: {}, finish_reason: 'stop' }])
  assert.equal(finish.id, 'chatcmpl-1')
  assert.equal(done, '[DONE]')
})

test('what a provider adds to a tool call is told with its start', () => {
  const extra = { extra_content: { google: { thought_signature: 'c2ln' } } }
  const text = written(streaming(), [
    {
      events: [
        { type: 'tool-start', choice: 0, index: 0, id: 'call_1', name: 'f', extra },
        { type: 'tool-delta', choice: 0, index: 0, json: '{}' },
      ],
    },
  ])
  const calls = dataOf(text).flatMap(({ choices }) => choices?.[0].delta.tool_calls ?? [])
  assert.deepEqual(calls, [
    { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' }, ...extra },
    { index: 0, function: { arguments: '{}' } },
  ])
})
