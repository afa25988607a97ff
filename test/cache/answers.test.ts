import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { type Answer, answers, isGood } from '../../src/cache/answers.ts'
import { flights, type Landing } from '../../src/cache/flights.ts'
import { recording } from '../../src/cache/recording.ts'
import { memoryShelf } from '../../src/cache/shelf.ts'
import type { ChatEvent } from '../../src/core/chat.ts'
import { heldClock } from '../support/clock.ts'

const text = (said: string, choice = 0): ChatEvent => ({ type: 'text-delta', choice, text: said })
const finish = (reason: 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'function_call', choice = 0): ChatEvent => ({
  type: 'finish',
  choice,
  reason,
  raw: reason,
})
const ANSWER: Answer = { events: [text('Hello'), finish('stop')], target: 'p/m', leftOut: ['seed'] }
const TERMS = { ttlMs: 1_000, staleMs: 5_000 }

describe('answers', () => {
  it('are fresh for their time, then old, then gone', async () => {
    const clock = heldClock()
    const kept = answers(memoryShelf(clock, 10_000), clock, 1_000)
    kept.keep('k', ANSWER, TERMS)
    await clock.pass(999)
    assert.deepEqual(await kept.find('k', TERMS), { answer: ANSWER, isFresh: true })
    await clock.pass(1)
    assert.deepEqual(await kept.find('k', TERMS), { answer: ANSWER, isFresh: false })
    assert.equal(await kept.find('k', { ttlMs: 500, staleMs: 0 }), undefined, 'the terms have become shorter')
    await clock.pass(5_000)
    assert.equal(await kept.find('k', TERMS), undefined)
  })

  it('are not kept when they are too large, in bytes', async () => {
    const clock = heldClock()
    const kept = answers(memoryShelf(clock, 10_000), clock, 1_000)
    kept.keep('k', { ...ANSWER, events: [text('é'.repeat(450)), finish('stop')] }, TERMS)
    assert.equal(await kept.find('k', TERMS), undefined)
  })

  it('of another release, or of anybody else, are not there', async () => {
    const clock = heldClock()
    const good = JSON.parse(JSON.stringify({ version: 1, atMs: clock.now(), answer: ANSWER }))
    const found = async (text: string) => {
      const shelf = { take: () => text, put() {} }
      return (await answers(shelf, clock, 1_000).find('k', TERMS)) !== undefined
    }
    assert.equal(await found(JSON.stringify(good)), true)
    for (const bad of [
      '',
      'not JSON',
      'null',
      '[]',
      JSON.stringify({ ...good, version: 2 }),
      JSON.stringify({ ...good, atMs: 'now' }),
      JSON.stringify({ ...good, answer: undefined }),
      JSON.stringify({ ...good, answer: { ...ANSWER, events: 'none' } }),
      ...[
        [null],
        [],
        [text('without an end')],
        [{ type: 'text-delta', choice: 0 }, finish('stop')],
        [{ type: 'extra-delta', choice: 0, fields: null }, finish('stop')],
        [{ type: 'of another release', choice: 0 }, finish('stop')],
        [{ type: 'toString' }, finish('stop')],
      ].map(events => JSON.stringify({ ...good, answer: { ...ANSWER, events } })),
      JSON.stringify({ ...good, answer: { ...ANSWER, whole: 'text' } }),
    ]) {
      assert.equal(await found(bad), false, bad)
    }
  })
})

test('an answer is good when each of its choices came to a good end', () => {
  assert.ok(isGood([text('a'), finish('stop')]))
  assert.ok(isGood([text('a'), text('b', 1), finish('stop'), finish('tool_calls', 1)]))
  for (const bad of [
    [],
    [text('a')],
    [text('a'), text('b', 1), finish('stop')],
    [text('a'), finish('length')],
    [text('a'), finish('content_filter')],
    [text('a'), finish('stop'), finish('content_filter', 1)],
    [{ type: 'extra-delta', choice: 0, fields: { audio: {} } } as const, finish('stop')],
  ]) {
    assert.equal(isGood(bad), false, JSON.stringify(bad))
  }
})

describe('a recording', () => {
  it('puts pieces of the same kind together, up to a handy length', () => {
    const record = recording(100_000)
    for (let n = 0; n < 4_500; n++) assert.ok(record.add([text('x')]))
    assert.deepEqual(
      record.events.map(event => 'text' in event && event.text.length),
      [2_000, 2_000, 500],
    )
  })

  it('keeps apart what belongs to different choices, calls and thoughts', () => {
    const events: ChatEvent[] = [
      text('a'),
      text('b', 1),
      { type: 'reasoning-delta', choice: 0, text: 'c' },
      { type: 'reasoning-delta', choice: 0, text: 'd', signature: 's' },
      { type: 'reasoning-delta', choice: 0, text: 'e' },
      { type: 'tool-delta', choice: 0, index: 0, json: '{' },
      { type: 'tool-delta', choice: 0, index: 0, json: '}' },
      { type: 'tool-delta', choice: 0, index: 1, json: '{}' },
      finish('stop'),
    ]
    const record = recording(100_000)
    for (const event of events) record.add([event])
    assert.deepEqual(record.events, [
      text('a'),
      text('b', 1),
      { type: 'reasoning-delta', choice: 0, text: 'cd', signature: 's' },
      { type: 'reasoning-delta', choice: 0, text: 'e' },
      { type: 'tool-delta', choice: 0, index: 0, json: '{}' },
      { type: 'tool-delta', choice: 0, index: 1, json: '{}' },
      finish('stop'),
    ])
  })

  it('ends when it becomes too large, and keeps nothing of it', () => {
    const record = recording(100)
    assert.ok(record.add([text('x'.repeat(20))]))
    assert.equal(record.add([text('x'.repeat(100))]), false)
    assert.deepEqual(record.events, [])
  })
})

describe('flights', () => {
  it('tell their landing once, and make way', () => {
    const all = flights()
    const flight = all.begin('k')
    const heard: Landing['kind'][] = []
    flight.heard(({ kind }) => heard.push(kind))
    flight.heard(() => assert.fail('nobody listens any more'))()
    assert.equal(all.of('k'), flight)
    flight.land({ kind: 'left' })
    flight.land({ kind: 'failed' })
    assert.deepEqual(heard, ['left'])
    assert.equal(all.of('k'), undefined)
  })

  it('that were overtaken leave the new one in its place', () => {
    const all = flights()
    const slow = all.begin('k')
    const next = all.begin('k')
    slow.land({ kind: 'failed' })
    assert.equal(all.of('k'), next)
  })
})
