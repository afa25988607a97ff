/* How the ceiling of calls at once moves, look by look. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ceiling, ceiling, type Look } from '../../src/http/ceiling.ts'

const full: Look = { utilization: 1, leastRoundMs: 40, meanRoundMs: 60, inFlight: 1_000 }

function after(...looks: readonly Look[]): Ceiling {
  const one = ceiling()
  for (const look of looks) one.look(look)
  return one
}

test('ten thousand calls that wait for slow models are no overload', () => {
  const waiting = { utilization: 0.4, leastRoundMs: 10, meanRoundMs: 11, inFlight: 10_000 }
  assert.equal(after(waiting, waiting, waiting).most(), Number.POSITIVE_INFINITY)
})

test('a core that is busy and keeps up is no overload: its rounds are short', () => {
  const busy = { utilization: 1, leastRoundMs: 10, meanRoundMs: 14, inFlight: 500 }
  assert.equal(after(busy, busy, busy).most(), Number.POSITIVE_INFINITY)
})

test('one large call that holds the loop up is no overload, and nor is one look', () => {
  const held = { utilization: 1, leastRoundMs: 10, meanRoundMs: 80, inFlight: 100 }
  assert.equal(after(held, held).most(), Number.POSITIVE_INFINITY)
  assert.equal(after(full).most(), Number.POSITIVE_INFINITY)
  assert.equal(after(full, held, full).most(), Number.POSITIVE_INFINITY)
})

test('two looks without a pause in which all rounds were long make a ceiling, which goes down until they are short', () => {
  const one = after(full, full)
  assert.equal(one.most(), 850)
  one.look({ ...full, inFlight: 850 })
  assert.equal(one.most(), 722)
  const bearable = { utilization: 1, leastRoundMs: 18, meanRoundMs: 20, inFlight: 722 }
  one.look(bearable)
  assert.equal(one.most(), 722)
  one.look({ ...bearable, meanRoundMs: 12 })
  assert.equal(one.most(), 759)
})

test('a loop that is stuck for a whole look has had no round, and that is the longest one', () => {
  const stuck = { utilization: 1, leastRoundMs: undefined, meanRoundMs: undefined, inFlight: 100 }
  assert.equal(after(stuck, stuck).most(), 85)
})

test('it never goes below 32, and is gone at once when the loop has pauses', () => {
  const one = after(...Array.from({ length: 50 }, () => full))
  assert.equal(one.most(), 32)
  one.look({ utilization: 0.8, leastRoundMs: 10, meanRoundMs: 11, inFlight: 32 })
  assert.equal(one.most(), Number.POSITIVE_INFINITY)
})
