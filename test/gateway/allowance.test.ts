import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Allowance, allowance } from '../../src/gateway/allowance.ts'
import { heldClock } from '../support/clock.ts'

/** How many extra attempts it allows now. */
function drained(from: Allowance): number {
  let taken = 0
  while (taken < 100_000 && from.take()) taken++
  return taken
}

test('ten a second are allowed, and no more are saved up however long nobody asks', async () => {
  const clock = heldClock()
  const extra = allowance(clock, 0)
  assert.equal(drained(extra), 10)
  await clock.pass(100)
  assert.equal(drained(extra), 1)
  await clock.pass(450)
  assert.equal(drained(extra), 4)
  await clock.pass(3_600_000)
  assert.equal(drained(extra), 10)
})

test('each call brings its share', () => {
  const extra = allowance(heldClock(), 0.2)
  drained(extra)
  for (let call = 0; call < 4; call++) extra.called()
  assert.equal(drained(extra), 0)
  extra.called()
  assert.equal(drained(extra), 1)
  for (let call = 0; call < 500; call++) extra.called()
  assert.equal(drained(extra), 100)
})

test('shares whose sum is a little off still make a whole', () => {
  const extra = allowance(heldClock(), 0.1)
  drained(extra)
  for (let call = 0; call < 10; call++) extra.called()
  assert.equal(drained(extra), 1)
})

test('an outage of every target is multiplied by the share, not by the number of targets', async () => {
  const clock = heldClock()
  const extra = allowance(clock, 0.2)
  let granted = 0
  for (let call = 0; call < 10_000; call++) {
    extra.called()
    for (let want = 0; want < 3; want++) if (extra.take()) granted++
    await clock.pass(1)
  }
  // 10 seconds: 20 % of 10,000 calls, 10 a second, and the 10 that were there.
  assert.ok(granted >= 2_090 && granted <= 2_111, String(granted))
})

test('the share of no more than a thousand calls is saved up', () => {
  const extra = allowance(heldClock(), 0.2)
  for (let call = 0; call < 100_000; call++) extra.called()
  assert.equal(drained(extra), 200 + 10)
})

test('what was not used after all is there again', () => {
  const extra = allowance(heldClock(), 0.2)
  assert.equal(drained(extra), 10)
  extra.giveBack()
  extra.giveBack()
  assert.equal(drained(extra), 2)
})

test('giving back saves up no more than could be saved up before', async () => {
  for (const [share, most] of [
    [0, 10],
    [0.01, 20],
  ] as const) {
    const clock = heldClock()
    const extra = allowance(clock, share)
    for (let second = 0; second < 1_000; second++) {
      const taken = drained(extra)
      for (let at = 0; at < taken; at++) extra.giveBack()
      await clock.pass(1_000)
    }
    assert.ok(drained(extra) <= most, `share ${share}`)
  }
})

test('taking and giving back in turn, second after second, earns nothing', async () => {
  const clock = heldClock()
  const extra = allowance(clock, 0.2)
  for (let second = 0; second < 100; second++) {
    assert.equal(extra.take(), true)
    extra.giveBack()
    await clock.pass(1_000)
  }
  assert.equal(drained(extra), 10)
})
