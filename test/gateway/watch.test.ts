import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fault } from '../../src/core/fault.ts'
import { type Watch, watch } from '../../src/gateway/watch.ts'
import { heldClock } from '../support/clock.ts'

const TIMEOUTS = { connectMs: 500, firstTokenMs: 3_000, idleMs: 2_000, totalMs: 60_000 }
const NEVER = Number.POSITIVE_INFINITY

interface Options {
  readonly deadlineMs?: number
  readonly hadWholeDeadline?: boolean
  readonly timeouts?: Partial<typeof TIMEOUTS>
}

function watched({ deadlineMs = NEVER, hadWholeDeadline = true, timeouts = {} }: Options = {}) {
  const clock = heldClock()
  const faults: string[] = []
  const onFault = (fault: Fault) =>
    void faults.push(`${clock.ticks()} ${fault.kind}${fault.details.blameless ? ' blameless' : ''}: ${fault.details.detail}`)
  const times: Watch = watch(
    clock,
    clock.ticks(),
    { ...TIMEOUTS, ...timeouts },
    clock.ticks() + deadlineMs,
    hadWholeDeadline,
    onFault,
  )
  return { clock, faults, times }
}

const first = (at: string) => `${at} upstream-timeout: not within 3000 ms (first_token)`

test('without content within first_token it is a timeout, once', async () => {
  const { clock, faults } = watched()
  await clock.pass(2_998)
  assert.deepEqual(faults, [])
  await clock.pass(60_000)
  assert.deepEqual(faults, [first('3000')])
  assert.equal(clock.waiting(), 0)
})

test('what comes before the content, headers and empty pieces, does not prolong first_token', async () => {
  const { clock, faults, times } = watched()
  for (let at = 0; at < 10; at++) {
    times.heard()
    await clock.pass(250)
    times.waiting(clock.ticks())
    await clock.pass(250)
  }
  assert.deepEqual(faults, [first('3000')])
})

test('once begun, a silence longer than idle is a stall, measured from when we began to wait', async () => {
  const { clock, faults, times } = watched()
  await clock.pass(1_000)
  times.heard()
  times.begun()
  for (let piece = 0; piece < 20; piece++) {
    times.waiting(clock.ticks())
    await clock.pass(1_900)
    times.heard()
  }
  assert.deepEqual(faults, [])
  const since = clock.ticks()
  times.waiting(clock.ticks())
  await clock.pass(1_998)
  assert.deepEqual(faults, [])
  await clock.pass(2)
  assert.deepEqual(faults, [`${since + 2_000} upstream-stalled: silent for 2000 ms (idle)`])
})

test('while nobody waits for the upstream, its silence does not count', async () => {
  const { clock, faults, times } = watched()
  times.heard()
  times.begun()
  await clock.pass(50_000)
  assert.deepEqual(faults, [], 'a client that reads slowly')
  times.waiting(clock.ticks())
  await clock.pass(1_998)
  assert.deepEqual(faults, [])
  await clock.pass(2)
  assert.equal(faults.length, 1)
})

test('an idle that is shorter than what is left of first_token is not missed', async () => {
  const { clock, faults, times } = watched({ timeouts: { firstTokenMs: 30_000, idleMs: 1_000 } })
  times.heard()
  times.begun()
  times.waiting(clock.ticks())
  await clock.pass(1_000)
  assert.deepEqual(faults, ['1000 upstream-stalled: silent for 1000 ms (idle)'])
})

test('the whole attempt is bounded by total; it is not blamed while we were the ones to wait for', async () => {
  for (const weWait of [false, true]) {
    const { clock, faults, times } = watched({ timeouts: { totalMs: 10_000 } })
    times.heard()
    times.begun()
    for (let at = 0; at < 9; at++) {
      times.waiting(clock.ticks())
      await clock.pass(1_000)
      times.heard()
    }
    if (!weWait) times.waiting(clock.ticks())
    await clock.pass(60_000)
    assert.deepEqual(faults, [`10000 upstream-timeout${weWait ? ' blameless' : ''}: not within 10000 ms (total)`])
  }
})

test('the deadline of the call ends it, blamed only when the attempt had all of it and gave no content', async () => {
  for (const [hadWholeDeadline, hasBegun, blameless] of [
    [true, false, false],
    [false, false, true],
    [true, true, true],
    [false, true, true],
  ] as const) {
    const { clock, faults, times } = watched({ deadlineMs: 1_500, hadWholeDeadline })
    if (hasBegun) {
      times.heard()
      times.begun()
      times.waiting(clock.ticks())
    }
    await clock.pass(1_498)
    assert.deepEqual(faults, [])
    await clock.pass(2)
    assert.deepEqual(faults, [`1500 upstream-timeout${blameless ? ' blameless' : ''}: the call's deadline passed`])
  }
})

test('a silence is blamed though the call has had other attempts', async () => {
  const { clock, faults } = watched({ deadlineMs: 10_000, hadWholeDeadline: false })
  await clock.pass(10_000)
  assert.deepEqual(faults, [first('3000')])
})

test('there is one timer at a time, however many pieces come, and none when it has stopped', async () => {
  const { clock, faults, times } = watched()
  assert.equal(clock.waiting(), 1)
  times.heard()
  times.begun()
  assert.equal(clock.waiting(), 1)
  for (let piece = 0; piece < 1_000; piece++) {
    times.waiting(clock.ticks())
    times.heard()
    if (piece % 100 === 0) await clock.pass(700)
    assert.equal(clock.waiting(), 1)
  }
  times.stop()
  times.stop()
  assert.equal(clock.waiting(), 0)
  times.waiting(clock.ticks())
  times.heard()
  times.begun()
  assert.equal(clock.waiting(), 0, 'what comes after the end begins nothing again')
  await clock.pass(100_000)
  assert.deepEqual(faults, [])
})

test('a timer that comes a little early is no reason to go on waiting', async () => {
  const clock = heldClock()
  const faults: number[] = []
  const early = { ...clock, after: (ms: number, run: () => void) => clock.after(ms - 0.7, run) }
  watch(early, early.ticks(), TIMEOUTS, NEVER, true, () => void faults.push(clock.ticks()))
  await clock.pass(10_000)
  assert.deepEqual(faults, [2_999.3])
})

test('a deadline that is over already is told, but not before the watch is in the hands of who started it', async () => {
  const clock = heldClock()
  let told = 0
  const times: Watch = watch(clock, clock.ticks(), TIMEOUTS, clock.ticks() - 5, true, () => {
    told++
    times.stop()
  })
  assert.equal(told, 0)
  await clock.pass(0)
  assert.equal(told, 1)
  assert.equal(clock.waiting(), 0)
})
