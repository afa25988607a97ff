import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import { startScript } from '../../src/simulator/script.ts'

const plain = { model: 'gpt-4o', stream: false }

/** The status of the rule that each of `count` calls meets; 0 for none. */
function statuses(rules: readonly ScriptRule[], count: number, random: () => number = () => 0.5, traits = plain): number[] {
  const script = startScript(rules, random)
  return Array.from({ length: count }, () => script.call(traits, script.draw())?.rule.status ?? 0)
}

test('each nth call is hit', () => {
  assert.deepEqual(statuses([{ every: 3, status: 500 }], 7), [0, 0, 500, 0, 0, 500, 0])
})

test('calls are counted from one, both ends included', () => {
  assert.deepEqual(statuses([{ calls: [2, 3], status: 500 }], 5), [0, 500, 500, 0, 0])
})

test('a share is drawn for each call', () => {
  const lots = [0.1, 0.3, 0.29, 0.9]
  assert.deepEqual(
    statuses([{ share: 0.3, status: 500 }], 4, () => lots.shift()!),
    [500, 0, 500, 0],
  )
})

test('the first rule whose conditions hold wins', () => {
  const rules = [{ calls: [2, 2], status: 501 }, { every: 2, status: 502 }, { status: 503 }] satisfies ScriptRule[]
  assert.deepEqual(statuses(rules, 4), [503, 501, 503, 502])
})

test('all conditions of a rule have to hold', () => {
  const rule = { every: 2, calls: [3, 6], model: 'gpt-4o', stream: false, status: 500 } satisfies ScriptRule
  assert.deepEqual(statuses([rule], 7), [0, 0, 0, 500, 0, 500, 0])
  assert.deepEqual(
    statuses([rule], 7, () => 0, { model: 'gpt-4o', stream: true }),
    Array(7).fill(0),
  )
  assert.deepEqual(
    statuses([rule], 7, () => 0, { model: 'other', stream: false }),
    Array(7).fill(0),
  )
})

test('times are counted from the start of the script', t => {
  let now = 1_000
  t.mock.method(performance, 'now', () => now)
  const script = startScript([{ from: 100, for: 50, status: 500 }], mock.fn())
  const hits = [0, 99, 100, 149, 150].map(ms => {
    now = 1_000 + ms
    return script.call(plain, script.draw()) !== undefined
  })
  assert.deepEqual(hits, [false, false, true, true, false])
})

test('a refusal of a connection counts as a call', () => {
  const script = startScript([{ calls: [1, 2], refuse: true }], Math.random)
  assert.equal(script.connection(script.draw())?.index, 0)
  assert.equal(script.connection(script.draw())?.index, 0)
  assert.equal(script.connection(script.draw()), undefined)
  assert.equal(script.call(plain, script.draw()), undefined)
})

test('a connection is not refused while a rule before it still waits for the call', () => {
  const rules = [{ model: 'gpt-4o', status: 503 }, { refuse: true }] satisfies ScriptRule[]
  const script = startScript(rules, Math.random)
  const lots = script.draw()
  assert.equal(script.connection(lots), undefined)
  assert.equal(script.call(plain, lots)?.index, 0)
  assert.equal(script.call({ model: 'other', stream: false }, script.draw())?.index, 1)
})

test('a connection and its first call draw one lot, not two', () => {
  const lots = [0.9, 0.1]
  const script = startScript([{ share: 0.5, refuse: true }], () => lots.shift()!)
  const drawn = script.draw()
  assert.equal(script.connection(drawn), undefined)
  assert.equal(script.call(plain, drawn), undefined)
  assert.deepEqual(lots, [0.1])
})

test('a question that is no call is met by rules without a number or a model', () => {
  const ask = (rule: ScriptRule) => {
    const script = startScript([rule], () => 0)
    return script.inquiry(script.draw()) !== undefined
  }
  assert.equal(ask({ status: 503 }), true)
  assert.equal(ask({ share: 0.5, status: 503 }), true)
  assert.equal(ask({ every: 1, status: 503 }), false)
  assert.equal(ask({ calls: [1, 9], status: 503 }), false)
  assert.equal(ask({ model: 'gpt-4o', status: 503 }), false)
})

test('down is a time when it depends on time alone, and a refusal when it depends on calls', () => {
  const script = startScript([{ down: true, from: 10, for: 5 }, { down: true }, { down: true, every: 2 }], Math.random)
  assert.deepEqual(script.downtimes, [
    { fromMs: 10, toMs: 15 },
    { fromMs: 0, toMs: Number.POSITIVE_INFINITY },
  ])
  assert.equal(script.call(plain, script.draw()), undefined)
  assert.equal(script.connection(script.draw())?.index, 2)
})
