/* How the ceiling of calls at once moves, look by look; ten looks are a second. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ceiling, ceiling, type Look } from '../../src/http/ceiling.ts'

const full: Look = { utilization: 1, leastRoundMs: 40, meanRoundMs: 60, inFlight: 1_000 }

const times = (count: number, look: Look): readonly Look[] => Array.from({ length: count }, () => look)

function after(...looks: readonly Look[]): Ceiling {
  const one = ceiling()
  for (const look of looks) one.look(look)
  return one
}

test('ten thousand calls that wait for slow models are no overload', () => {
  const waiting = { utilization: 0.4, leastRoundMs: 10, meanRoundMs: 11, inFlight: 10_000 }
  assert.equal(after(...times(20, waiting)).most(), Number.POSITIVE_INFINITY)
})

test('a core that is busy and keeps up is no overload: its rounds are short', () => {
  const busy = { utilization: 1, leastRoundMs: 10, meanRoundMs: 14, inFlight: 500 }
  assert.equal(after(...times(20, busy)).most(), Number.POSITIVE_INFINITY)
})

test('one large call that holds the loop up is no overload, and nor is a burst of less than a second', () => {
  const held = { utilization: 1, leastRoundMs: 10, meanRoundMs: 80, inFlight: 100 }
  assert.equal(after(...times(20, held)).most(), Number.POSITIVE_INFINITY)
  assert.equal(after(...times(9, full)).most(), Number.POSITIVE_INFINITY)
  assert.equal(after(...times(9, full), held, full).most(), Number.POSITIVE_INFINITY)
})

test('a second without a pause in which all rounds were long makes a ceiling, which goes down until they are short', () => {
  const one = after(...times(10, full))
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
  assert.equal(after(...times(10, stuck)).most(), 85)
})

test('it never goes below 32, and is gone at once when the loop has pauses', () => {
  const one = after(...times(60, full))
  assert.equal(one.most(), 32)
  one.look({ utilization: 0.8, leastRoundMs: 10, meanRoundMs: 11, inFlight: 32 })
  assert.equal(one.most(), Number.POSITIVE_INFINITY)
})
