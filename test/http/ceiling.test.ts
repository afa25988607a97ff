/* Which calls the ceiling allows, look by look and round by round; ten looks are a second. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ceiling, type Look } from '../../src/http/ceiling.ts'

const FULL: Look = { ms: 100, utilization: 1, roundMs: 40 }
const BUSY: Look = { ms: 100, utilization: 1, roundMs: 2 }
const WITH_PAUSES: Look = { ms: 100, utilization: 0.5, roundMs: 0.2 }

/** One on an event loop that is moved by hand. */
function held(...looks: readonly Look[]) {
  const at = { round: 1, nowMs: 1_000 }
  const one = ceiling({ round: () => at.round, nowMs: () => at.nowMs })
  for (const look of looks) one.look(look)
  return {
    look: one.look,
    allows: (inFlight = 1_000) => one.allows(inFlight),
    wait(ms: number) {
      at.nowMs += ms
    },
    nextRound() {
      at.round++
    },
  }
}

const times = (count: number, look: Look): readonly Look[] => Array.from({ length: count }, () => look)

/** Whether it allows everything, however long the round has been. */
function isUnlimited(one: ReturnType<typeof held>): boolean {
  const first = one.allows()
  one.wait(1_000)
  return first && one.allows()
}

test('ten thousand calls that wait for slow models are no overload', () => {
  assert.ok(isUnlimited(held(...times(20, { ms: 100, utilization: 0.4, roundMs: 0.3 }))))
})

test('a core that is busy and keeps up is no overload: its rounds are short', () => {
  assert.ok(isUnlimited(held(...times(20, { ms: 100, utilization: 1, roundMs: 14 }))))
})

test('a burst of less than half a second is none, and nor is one call that holds the loop up for longer', () => {
  assert.ok(isUnlimited(held(...times(4, FULL))))
  assert.ok(isUnlimited(held(...times(4, FULL), BUSY, ...times(4, FULL))))
  assert.ok(isUnlimited(held({ ms: 2_000, utilization: 1, roundMs: Number.POSITIVE_INFINITY })))
})

test('after half a second without a pause, in long rounds, each round takes calls for a millisecond', () => {
  const one = held(...times(5, FULL))
  for (let round = 0; round < 3; round++) {
    one.nextRound()
    assert.ok(one.allows())
    one.wait(0.9)
    assert.ok(one.allows())
    one.wait(0.1)
    assert.ok(!one.allows())
    one.wait(5)
    assert.ok(!one.allows())
  }
})

test('rounds that leave pauses take calls for longer, up to 8 ms, and for less when there are none again', () => {
  const one = held(...times(5, FULL), ...times(20, WITH_PAUSES))
  const openMs = () => {
    one.nextRound()
    let ms = 0
    for (; one.allows(); ms++) one.wait(1)
    return ms
  }
  assert.equal(openMs(), 8)
  one.look(BUSY)
  assert.equal(openMs(), 6)
  for (const look of times(10, BUSY)) one.look(look)
  assert.equal(openMs(), 1)
})

test('after a long round even those under way are too much, but never the first 32', () => {
  const one = held(...times(5, FULL))
  one.nextRound()
  assert.ok(one.allows())
  one.wait(30)
  one.nextRound()
  assert.deepEqual([one.allows(1_000), one.allows(32), one.allows(31)], [false, false, true])
  one.wait(2)
  one.nextRound()
  assert.ok(one.allows(1_000), 'the next round was short')
})

test('a round without a call before this one tells nothing of its length', () => {
  const one = held(...times(5, FULL))
  one.nextRound()
  assert.ok(one.allows())
  one.wait(500)
  one.nextRound()
  one.nextRound()
  assert.ok(one.allows())
})

test('it is gone ten seconds after the last call too many', () => {
  const one = held(...times(5, FULL))
  one.nextRound()
  one.allows()
  one.wait(50)
  assert.ok(!one.allows())
  for (const look of times(99, WITH_PAUSES)) one.look(look)
  assert.ok(!isUnlimited(one))
  for (const look of times(100, WITH_PAUSES)) one.look(look)
  assert.ok(isUnlimited(one))
})
