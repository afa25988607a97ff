/* Which calls the ceiling allows, look by look; ten looks are a second. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ceiling, ceiling, type Look } from '../../src/http/ceiling.ts'

const FULL: Look = { ms: 100, waitedMs: 25, utilization: 1, owedMs: 0 }
const BUSY: Look = { ...FULL, waitedMs: 24 }
const OWING: Look = { ms: 100, waitedMs: 0, utilization: 0.9, owedMs: 25 }
const EVEN: Look = { ...OWING, owedMs: 24 }
const WITH_PAUSES: Look = { ...OWING, utilization: 0.89 }

const times = (count: number, look: Look): readonly Look[] => Array.from({ length: count }, () => look)

function after(...looks: readonly Look[]): Ceiling {
  const one = ceiling()
  for (const look of looks) one.look(look)
  return one
}

/** Whether it allows everything, however long the others have waited. */
const isUnlimited = (one: Ceiling) => one.allows(100_000, 60_000)

test('calls that soon have their turns are no overload, however many there are', () => {
  assert.ok(isUnlimited(after(...times(100, BUSY))))
})

test('a burst of less than half a second is none, and nor is one thing that holds the loop up for longer', () => {
  assert.ok(isUnlimited(after(...times(4, FULL))))
  assert.ok(isUnlimited(after(...times(4, FULL), BUSY, ...times(4, FULL))))
  assert.ok(isUnlimited(after({ ...FULL, ms: 2_000, waitedMs: 2_000 })))
})

test('after half a second in which every call found one that had waited for 25 ms, none may find one that has waited for a whole round', () => {
  const one = after(...times(5, FULL))
  assert.deepEqual(
    [0, 0.9, 1, 25].map(waitedMs => one.allows(1_000, waitedMs)),
    [true, true, false, false],
  )
})

test('the first 32 are allowed whatever happens', () => {
  const one = after(...times(5, FULL))
  assert.deepEqual(
    [31, 32].map(inFlight => one.allows(inFlight, 1_000)),
    [true, false],
  )
})

test('it stays while those that were told to wait would be too many at once, and is gone two seconds after that', () => {
  const one = after(...times(5, FULL), ...times(1_000, OWING))
  assert.ok(!isUnlimited(one))
  for (const look of [...times(19, EVEN), OWING, ...times(19, EVEN)]) one.look(look)
  assert.ok(!isUnlimited(one))
  one.look(EVEN)
  assert.ok(isUnlimited(one))
  for (const look of times(4, FULL)) one.look(look)
  assert.ok(isUnlimited(one), 'it takes half a second again')
})

test('it is gone two seconds after the core has time left, however many were told to wait', () => {
  const one = after(...times(5, FULL), ...times(19, WITH_PAUSES))
  assert.ok(!isUnlimited(one))
  one.look(WITH_PAUSES)
  assert.ok(isUnlimited(one))
})
