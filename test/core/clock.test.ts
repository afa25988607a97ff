import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep, systemClock } from '../../src/core/clock.ts'
import { Fault } from '../../src/core/fault.ts'
import { stopper } from '../../src/core/stop.ts'
import { heldClock } from '../support/clock.ts'

test('a sleep lasts as long as its clock says', async () => {
  const clock = heldClock()
  let awake = false
  const slept = sleep(clock, 100, stopper()).then(() => (awake = true))
  await clock.pass(99)
  assert.equal(awake, false)
  await clock.pass(1)
  assert.equal(awake, true)
  await slept
})

test('a sleep ends with the fault that stops it, and leaves no timer and no listener behind', async () => {
  const clock = heldClock()
  const stop = stopper()
  const reason = new Fault('client-gone')
  const slept = sleep(clock, 100, stop)
  stop.stop(reason)
  await assert.rejects(slept, error => error === reason)
  assert.equal(clock.waiting(), 0)
  await assert.rejects(sleep(clock, 100, stop), error => error === reason)
  assert.equal(clock.waiting(), 0)
})

test('the system’s clock fires, can be called off, and does not take a very long time for none', async () => {
  const fired: string[] = []
  const cancel = systemClock.after(5, () => fired.push('called off'))
  const cancelLong = systemClock.after(2 ** 40, () => fired.push('long'))
  cancel()
  // Alone, an unreferenced timer would not keep this test alive.
  const alive = setInterval(() => {}, 1_000)
  await new Promise<void>(resolve => systemClock.after(20, resolve))
  clearInterval(alive)
  cancelLong()
  assert.deepEqual(fired, [])
})
