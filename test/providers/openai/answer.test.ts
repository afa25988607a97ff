import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { Fault } from '../../../src/core/fault.ts'
import { eventsOf } from '../../../src/core/provider.ts'
import { openai } from '../../../src/providers/openai/openai.ts'

function whole(message: object, rest: object = {}): readonly ChatEvent[] {
  return openai.decode({ id: 'c1', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop', ...rest }] })
}

function kindOf(run: () => unknown): string {
  try {
    run()
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, String(thrown))
    return thrown.kind
  }
  return 'no fault'
}

function stream(...chunks: readonly object[]): readonly ChatEvent[] {
  const decoder = openai.decoder()
  const events = chunks.flatMap(chunk => {
    const decoded = decoder.push({ data: JSON.stringify(chunk) })
    assert.ok(typeof decoded !== 'string', String(decoded))
    return eventsOf(decoded)
  })
  return [...events, ...decoder.end()]
}

const delta = (fields: object, rest: object = {}) => ({ id: 'c1', model: 'm', choices: [{ index: 0, delta: fields, ...rest }] })
const END = delta({}, { finish_reason: 'stop' })

test('a whole answer is its start, what it says, and its finish', () => {
  assert.deepEqual(whole({ content: 'hi', refusal: null, annotations: [] }), [
    { type: 'start', id: 'c1', model: 'm' },
    { type: 'text-delta', choice: 0, text: 'hi' },
    { type: 'finish', choice: 0, reason: 'stop', raw: 'stop' },
  ])
})

test('fields without a meaning here are carried through', () => {
  const annotations = [{ type: 'url_citation' }]
  const logprobs = { content: [{ token: 'hi', logprob: -1 }], refusal: null }
  const events = whole({ content: 'hi', annotations, audio: { id: 'a', data: 'AAAA' } }, { logprobs })
  assert.deepEqual(events[2], {
    type: 'extra-delta',
    choice: 0,
    fields: { annotations, audio: { id: 'a', data: 'AAAA' }, logprobs },
  })
})

test('several choices keep their numbers', () => {
  const choice = (index: number, content: string) => ({ index, message: { content }, finish_reason: 'length' })
  const events = openai.decode({ id: 'c', model: 'm', choices: [choice(0, 'a'), choice(1, 'b')] })
  assert.deepEqual(
    events.flatMap(event => (event.type === 'text-delta' ? [[event.choice, event.text]] : [])),
    [
      [0, 'a'],
      [1, 'b'],
    ],
  )
  assert.equal(events.filter(event => event.type === 'finish').length, 2)
})

test('a whole answer without a finish reason has finished', () => {
  assert.deepEqual(whole({ content: 'hi' }, { finish_reason: null }).at(-1), {
    type: 'finish',
    choice: 0,
    reason: 'stop',
    raw: '',
  })
  const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }]
  assert.deepEqual(whole({ tool_calls: calls }, { finish_reason: undefined }).at(-1), {
    type: 'finish',
    choice: 0,
    reason: 'tool_calls',
    raw: '',
  })
})

for (const [raw, reason] of [
  ['eos', 'stop'],
  ['model_length', 'length'],
  ['max_tokens', 'length'],
  ['tool_use', 'tool_calls'],
  ['content_filter', 'content_filter'],
  ['function_call', 'function_call'],
  ['something_new', 'stop'],
] as const) {
  test(`the finish reason ${raw} is ${reason}`, () => {
    assert.deepEqual(whole({ content: 'hi' }, { finish_reason: raw }).at(-1), { type: 'finish', choice: 0, reason, raw })
  })
}

for (const [name, body] of [
  ['null', null],
  ['a text', 'hello'],
  ['a list', []],
  ['no choices', { id: 'x' }],
  ['empty choices', { choices: [] }],
  ['choices of nothing', { choices: [null, 5] }],
  ['choices that are no list', { choices: {} }],
  ['an empty answer', { choices: [{ message: { content: '' }, finish_reason: 'stop' }] }],
  ['an answer of null', { choices: [{ message: null, finish_reason: null }] }],
] as const) {
  test(`it is no answer: ${name}`, () =>
    assert.equal(
      kindOf(() => openai.decode(body)),
      'upstream-garbled',
    ))
}

test('an error inside a 200 is the error, also without the word', () => {
  assert.equal(
    kindOf(() => openai.decode({ error: { message: 'x', code: 503 } })),
    'upstream-overloaded',
  )
  assert.equal(
    kindOf(() => openai.decode([{ error: { message: 'x', code: 429 } }])),
    'upstream-rate-limited',
  )
  assert.equal(
    kindOf(() => openai.decode({ object: 'error', message: 'x', type: 'invalid_request_error' })),
    'upstream-refused-call',
  )
  assert.equal(
    kindOf(() => openai.decode({ detail: 'Not Found', status_code: 404 })),
    'upstream-unknown-model',
  )
})

test('an error that is null or empty is none', () => {
  const choices = [{ message: { content: 'hi' }, finish_reason: 'stop', error: null }]
  for (const error of [null, '', {}]) assert.equal(openai.decode({ error, choices }).length, 3)
})

test('odd fields are no reason to fail', () => {
  const oddities: readonly object[] = [
    { content: 5, tool_calls: 'x', reasoning: {}, refusal: [] },
    { content: [null, 5, { type: 'text' }, { type: 'new', x: 1 }], tool_calls: [null, 5, {}, { function: null }] },
    { content: null, tool_calls: [{ index: -1, id: 7, function: { name: 8, arguments: 9 } }], reasoning_details: [null, 'x'] },
  ]
  for (const message of oddities) {
    assert.equal(whole({ ...message }, { finish_reason: 'length', logprobs: 'x' }).at(-1)?.type, 'finish')
    assert.ok(stream(delta({ content: 'x' }), delta(message), delta({}, { finish_reason: 'length' })).length > 0)
  }
})

test('arguments that are an object are written as JSON', () => {
  const events = whole({ tool_calls: [{ id: 'a', function: { name: 'f', arguments: { n: 1 } } }] })
  assert.deepEqual(
    events.find(event => event.type === 'tool-delta'),
    { type: 'tool-delta', choice: 0, index: 0, json: '{"n":1}' },
  )
})

test('a call without an id gets one, always the same for the same answer', () => {
  const ids = (id: string) =>
    openai
      .decode({
        id,
        model: 'm',
        choices: [
          { message: { tool_calls: ['{"n":1}', '{"n":2}'].map(text => ({ function: { name: 'f', arguments: text } })) } },
        ],
      })
      .flatMap(event => (event.type === 'tool-start' ? [event.id] : []))
  assert.equal(new Set([...ids('one'), ...ids('two')]).size, 4)
  assert.deepEqual(ids('one'), ids('one'))
})

test('a stream starts once, when its name is known', () => {
  const events = stream(
    { id: '', model: '', choices: [] },
    delta({ role: 'assistant' }),
    { ...delta({ content: 'hi' }), id: 'other' },
    END,
  )
  assert.deepEqual(
    events.map(event => event.type),
    ['start', 'text-delta', 'finish'],
  )
  assert.deepEqual(events[0], { type: 'start', id: 'c1', model: 'm' })
})

test('after the finish only usage counts', () => {
  const late = delta({ content: 'late', tool_calls: [{ index: 0, id: 'x', function: { name: 'f' } }] }, { finish_reason: 'stop' })
  const events = stream(delta({ content: 'hi' }), END, late, { choices: [], usage: { prompt_tokens: 1 } })
  assert.deepEqual(
    events.map(event => event.type),
    ['start', 'text-delta', 'finish', 'usage'],
  )
})

test('the terminator is known by its word, and frames that are no object are left out', () => {
  const decoder = openai.decoder()
  assert.equal(decoder.push({ data: ' [DONE] ' }), 'done')
  for (const data of ['{"choices":', 'hello', '5', 'null', '[]']) assert.equal(decoder.push({ data }), 'malformed')
  assert.deepEqual(decoder.push({ data: undefined }), [])
  assert.deepEqual(decoder.push({ data: '' }), [])
})

test('an error event is an error whatever it holds', () => {
  assert.equal(
    kindOf(() => openai.decoder().push({ event: 'error', data: 'The model is overloaded' })),
    'upstream-overloaded',
  )
  assert.equal(
    kindOf(() => openai.decoder().push({ event: 'error', data: '{"message":"x"}' })),
    'upstream-garbled',
  )
})

test('every choice that began must finish', () => {
  const begun = (index: number) => ({ choices: [{ index, delta: { content: 'x' } }] })
  const finished = (index: number) => ({ choices: [{ index, delta: {}, finish_reason: 'stop' }] })
  assert.equal(
    kindOf(() => stream(begun(0), begun(1), finished(0))),
    'upstream-truncated',
  )
  assert.equal(
    kindOf(() => stream(begun(0), begun(1), finished(0), finished(1))),
    'no fault',
  )
  assert.equal(
    kindOf(() => stream()),
    'upstream-truncated',
  )
  assert.equal(
    kindOf(() => stream({ choices: [], usage: { prompt_tokens: 1 } })),
    'upstream-truncated',
  )
})

test('a stream that finishes without having said anything is garbled', () => {
  assert.equal(
    kindOf(() => stream(delta({ role: 'assistant', content: '' }), END)),
    'upstream-garbled',
  )
  assert.equal(
    kindOf(() => stream(delta({ role: 'assistant' }), delta({}, { finish_reason: 'length' }))),
    'no fault',
  )
})

test('parallel calls without an index are told apart by their ids', () => {
  const call = (id: string, text: string) => ({
    ...(id === '' ? {} : { id }),
    function: { ...(id === '' ? {} : { name: id }), arguments: text },
  })
  const events = stream(delta({ tool_calls: [call('a', '{'), call('b', '[')] }), delta({ tool_calls: [call('', ']')] }), END)
  const tools = events.flatMap(event => (event.type === 'tool-delta' ? [`${event.index}${event.json}`] : []))
  assert.deepEqual(tools, ['0{', '1[', '1]'])
  assert.deepEqual(events.at(-1), { type: 'finish', choice: 0, reason: 'tool_calls', raw: 'stop' })
})

test('a call whose name alone came is started by its finish', () => {
  const events = stream(delta({ tool_calls: [{ index: 0, function: { name: 'f' } }] }), END)
  assert.deepEqual(
    events.map(event => event.type),
    ['start', 'tool-start', 'finish'],
  )
})

test('a call that says nothing at all is none', () => {
  const events = stream(delta({ content: 'x', tool_calls: [{ index: 0, id: '', function: { name: '', arguments: '' } }] }), END)
  assert.deepEqual(events.at(-1), { type: 'finish', choice: 0, reason: 'stop', raw: 'stop' })
})
