/* Every fault, on Gemini's wire. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { ask, config, eventsIn, GENERATE, type Heard, type Request, SAY_HELLO_TO_GEMINI, STREAM_GENERATE } from './raw-client.ts'

const simulator = await startSimulator(config({ speaks: 'gemini' }))
after(() => simulator.close())

function under(rule: ScriptRule, stream: boolean, request: Request = {}): Promise<Heard> {
  simulator.script([rule])
  return ask(simulator.url, { path: stream ? STREAM_GENERATE : GENERATE, body: SAY_HELLO_TO_GEMINI, ...request })
}

const wordsIn = (heard: Heard) =>
  eventsIn(heard.body).flatMap(event => event.candidates?.[0]?.content?.parts[0].text || []) as readonly string[]
const hasFinish = (heard: Heard) => heard.body.includes('finishReason')

test('a status is answered with the error of the API that fits it', async () => {
  const expected = {
    400: 'INVALID_ARGUMENT',
    401: 'UNAUTHENTICATED',
    402: 'RESOURCE_EXHAUSTED',
    403: 'PERMISSION_DENIED',
    404: 'NOT_FOUND',
    408: 'DEADLINE_EXCEEDED',
    409: 'ABORTED',
    413: 'INVALID_ARGUMENT',
    429: 'RESOURCE_EXHAUSTED',
    500: 'INTERNAL',
    502: 'INTERNAL',
    503: 'UNAVAILABLE',
    504: 'DEADLINE_EXCEEDED',
  }
  for (const [status, word] of Object.entries(expected)) {
    const heard = await under({ status: Number(status) }, Number(status) % 2 === 0)
    const { error } = JSON.parse(heard.body)
    assert.deepEqual([heard.status, error.code, error.status], [Number(status), Number(status), word])
    assert.ok(error.message.length > 0)
  }
})

test('how long to wait stands in the details of an error', async () => {
  const delayOf = async (rule: ScriptRule) => JSON.parse((await under(rule, false)).body).error.details[0].retryDelay
  assert.equal(await delayOf({ status: 429 }), '1s')
  assert.equal(await delayOf({ status: 429, headers: { 'Retry-After': '7' } }), '7s')
  assert.equal(await delayOf({ status: 429, headers: { 'retry-after-ms': '20' } }), '0.02s')
})

test('connections are reset, refused and left without a word', async () => {
  for (const rule of [{ reset: true }, { refuse: true }] as const) {
    const heard = await under(rule, true)
    assert.deepEqual([heard.status, heard.endedBy], [0, 'reset'])
  }
  const silent = await under({ never_answer: true }, true, { leaveAfterMs: 30 })
  assert.deepEqual([silent.status, silent.endedBy], [0, 'us'])
})

test('time passes before the first token, but not before the head of a stream, and between two tokens', async () => {
  const late = await under({ slow_first_token: 5_000 }, true, { leaveAfterMs: 40 })
  assert.deepEqual([late.status, late.body], [200, ''])
  const slow = await under({ slow_tokens: 3 }, true)
  assert.ok(slow.totalMs - slow.headMs >= 40, `${slow.totalMs} ms`)
  const whole = await under({ slow_tokens: 3 }, false)
  assert.ok(whole.headMs >= 50, `${whole.headMs} ms`)
})

test('answers stall and are cut in every way', async () => {
  const stalled = await under({ stall_after: 4 }, true, { leaveAfterMs: 50 })
  assert.deepEqual([wordsIn(stalled).length, stalled.endedBy], [4, 'us'])
  const reset = await under({ cut_after: 5 }, true)
  assert.deepEqual([wordsIn(reset).length, reset.endedBy, hasFinish(reset)], [5, 'reset', false])
  const clean = await under({ cut_after: 1_000, cut_how: 'clean' }, true)
  assert.deepEqual([wordsIn(clean).length, clean.isComplete, hasFinish(clean)], [20, true, false])
  const half = await under({ cut_after: 5, cut_how: 'half-chunk' }, true)
  assert.deepEqual([wordsIn(half).length, half.endedBy, half.body.endsWith('\r\n')], [5, 'fin', false])
  for (const rule of [{ stall_after: 4 }, { cut_after: 4 }, { cut_after: 4, cut_how: 'half-chunk' }] as const) {
    const whole = await under(rule, false, { leaveAfterMs: 50 })
    assert.ok(whole.status === 200 && !whole.isComplete && whole.body.length > 0)
  }
})

test('an answer has an event that is not JSON, holds nothing, or an error, or is a page, or huge', async () => {
  const garbled = await under({ garbled_at: 4 }, true)
  assert.deepEqual([wordsIn(garbled).length, garbled.isComplete], [19, true])
  assert.throws(() => JSON.parse(eventsIn(garbled.body)[4]))

  const empty = [await under({ empty_choices: true }, true), await under({ empty_choices: true }, false)]
  for (const heard of empty) assert.deepEqual([heard.status, heard.body.includes('candidates"')], [200, false])

  const inside = JSON.parse((await under({ error_in_200: true }, false)).body).error
  assert.deepEqual([inside.code, inside.status], [503, 'UNAVAILABLE'])
  const later = await under({ error_in_200: { after: 3, type: 'INTERNAL', message: 'odd' } }, true)
  const last = eventsIn(later.body).at(-1)
  assert.deepEqual([wordsIn(later).length, last.error.status, last.error.message], [3, 'INTERNAL', 'odd'])

  assert.match((await under({ html: true }, true)).body, /<\/html>/)
  for (const stream of [true, false]) {
    const { body, isComplete } = await under({ huge: 200_000 }, stream)
    assert.ok(isComplete && body.length > 200_000)
    for (const event of stream ? eventsIn(body) : [JSON.parse(body)]) assert.equal(typeof event, 'object')
  }
})

test('a stream that has no terminator cannot lack one', async () => {
  assert.equal(hasFinish(await under({ no_done: true }, true)), true)
  assert.equal(simulator.calls.at(-1)!.ended, 'answered')
})
