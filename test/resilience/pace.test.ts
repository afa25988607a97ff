import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Fault, type FaultDetails, type FaultName } from '../../src/core/fault.ts'
import { type AnswerKind, paces } from '../../src/resilience/pace.ts'
import { heldClock } from '../support/clock.ts'

const T = 'p/m'
const TAU_MS = 10_000

function watched() {
  const clock = heldClock()
  const all = paces(clock)
  return {
    clock,
    all,
    answer(ms: number, target = T, kind: AnswerKind = 'stream') {
      const pace = all.begun(target, kind)
      all.answered(pace, kind, ms)
      all.over(pace, undefined, 0)
    },
    fail(kind: FaultName, details: FaultDetails = {}, silentMs = 1) {
      all.over(all.begun(T, 'stream'), new Fault(kind, details), silentMs)
    },
  }
}

const near = (actual: number | undefined, expected: number, slack = 1e-6) =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < slack, `${actual}, not about ${expected}`)

test('of a target that nobody called nothing is known', () => {
  const { all } = watched()
  assert.equal(all.answerMs(T, 'stream'), undefined)
  assert.equal(all.medianMs(T, 'stream'), undefined)
  assert.equal(all.tokensPerSecond(T), undefined)
  assert.equal(all.inFlight(T), 0)
  assert.equal(all.costMs(T, 'stream', 70), 70)
  assert.ok(all.wantsTrial(T, 'stream'))
})

test('a slow answer counts in full at once, and a quick one by the time that has passed', async () => {
  const { clock, all, answer } = watched()
  answer(100)
  near(all.answerMs(T, 'stream'), 100)
  answer(900)
  near(all.answerMs(T, 'stream'), 900)
  answer(100)
  near(all.answerMs(T, 'stream'), 900)
  await clock.pass(TAU_MS)
  answer(100)
  near(all.answerMs(T, 'stream'), 100 + 800 / Math.E)
})

test('an estimate sinks while nobody asks, and a later slow answer lifts it again', async () => {
  const { clock, all, answer } = watched()
  answer(800)
  await clock.pass(TAU_MS)
  near(all.answerMs(T, 'stream'), 800 / Math.E)
  await clock.pass(9 * TAU_MS)
  assert.ok(all.answerMs(T, 'stream')! < 1)
  answer(850)
  near(all.answerMs(T, 'stream'), 850)
})

test('streams and whole answers are kept apart', () => {
  const { all, answer } = watched()
  answer(100, T, 'stream')
  answer(9_000, T, 'whole')
  near(all.answerMs(T, 'stream'), 100)
  near(all.answerMs(T, 'whole'), 9_000)
})

test('cost is time to first content times the calls that would be in flight', () => {
  const { all, answer } = watched()
  answer(100)
  near(all.costMs(T, 'stream', 70), 100)
  const [one, two] = [all.begun(T, 'stream'), all.begun(T, 'whole')]
  assert.equal(all.inFlight(T), 2)
  near(all.costMs(T, 'stream', 70), 300)
  near(all.costMs(T, 'whole', 70), 210)
  all.over(one, undefined, 0)
  all.over(two, undefined, 0)
  assert.equal(all.inFlight(T), 0)
})

test('a failure costs 5 s on top, its Retry-After, or the silence before it, whichever is longest, and it is forgiven with time', async () => {
  const { clock, all, answer, fail } = watched()
  const cost = () => all.costMs(T, 'stream', 0)
  answer(20_000)
  await clock.pass(12 * TAU_MS)
  fail('upstream-error')
  near(cost(), 5_000, 1)
  near(all.answerMs(T, 'stream'), 0, 1)
  fail('upstream-rate-limited', { retryAfterMs: 60_000 })
  near(cost(), 60_000, 1)
  fail('upstream-error')
  near(cost(), 60_000, 1)
  fail('upstream-timeout', {}, 90_000)
  near(cost(), 90_000, 1)
  await clock.pass(TAU_MS)
  near(cost(), 90_000 / Math.E, 1)
  await clock.pass(7 * TAU_MS)
  near(cost(), 0, 0.1)
})

test('only what is the doing of the target is held against it', () => {
  const doings: readonly FaultName[] = [
    'upstream-error',
    'upstream-overloaded',
    'upstream-truncated',
    'upstream-refused-key',
    'upstream-rate-limited',
    'upstream-quota-exhausted',
  ]
  for (const kind of doings) {
    const { all, fail } = watched()
    fail(kind)
    near(all.costMs(T, 'stream', 0), 5_000)
  }
  for (const kind of ['client-gone', 'upstream-refused-call', 'context-too-long', 'content-filtered', 'internal'] as const) {
    const { all, fail } = watched()
    fail(kind, {}, 8_000)
    assert.equal(all.costMs(T, 'stream', 0), 0, kind)
    assert.equal(all.inFlight(T), 0, kind)
  }
  const { all, fail } = watched()
  fail('upstream-unreachable', { blameless: true })
  assert.equal(all.costMs(T, 'stream', 0), 0)
})

test('the median is of the latest 64, and unknown before there are 20', () => {
  const { all, answer } = watched()
  for (let ms = 1; ms <= 19; ms++) answer(ms)
  assert.equal(all.medianMs(T, 'stream'), undefined)
  answer(20)
  assert.equal(all.medianMs(T, 'stream'), 10.5)
  assert.equal(all.medianMs(T, 'whole'), undefined)
  answer(21)
  assert.equal(all.medianMs(T, 'stream'), 11)
  for (let ms = 1_000; ms < 1_064; ms++) answer(ms)
  assert.equal(all.medianMs(T, 'stream'), 1_031.5)
})

test('failures do not move the median', () => {
  const { all, answer, fail } = watched()
  for (let call = 0; call < 20; call++) answer(7)
  for (let call = 0; call < 40; call++) fail('upstream-error')
  assert.equal(all.medianMs(T, 'stream'), 7)
})

test('speed is tokens a second, moving slowly, and a stream that came all at once does not count', () => {
  const { all } = watched()
  const pace = all.begun(T, 'stream')
  all.streamed(pace, 500, 49)
  all.streamed(pace, 0, 1_000)
  assert.equal(all.tokensPerSecond(T), undefined)
  all.streamed(pace, 50, 1_000)
  assert.equal(all.tokensPerSecond(T), 50)
  all.streamed(pace, 90, 1_000)
  assert.equal(all.tokensPerSecond(T), 55)
})

test('an unknown target wants one call, and another one later when that has told nothing', async () => {
  const { clock, all } = watched()
  const pace = all.begun(T, 'stream')
  assert.ok(!all.wantsTrial(T, 'stream'), 'one is on its way')
  assert.ok(all.wantsTrial(T, 'whole'), 'of whole answers nothing is known')
  all.over(pace, new Fault('client-gone'), 1)
  await clock.pass(9_999)
  assert.ok(!all.wantsTrial(T, 'stream'))
  await clock.pass(1)
  assert.ok(all.wantsTrial(T, 'stream'))
  all.answered(all.begun(T, 'stream'), 'stream', 50)
  await clock.pass(100_000)
  assert.ok(!all.wantsTrial(T, 'stream'))
})

test('a target that failed is not unknown, and wants a trial only when it is forgiven', async () => {
  const { clock, all, fail } = watched()
  fail('upstream-refused-key')
  assert.ok(!all.wantsTrial(T, 'whole'))
  await clock.pass(45_000)
  assert.ok(!all.wantsTrial(T, 'stream'))
  await clock.pass(2_000)
  assert.ok(all.wantsTrial(T, 'stream'))
  assert.ok(all.wantsTrial(T, 'whole'))
})

function bytesInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

test('a million made-up targets leave those that are in use, and no more memory than five thousand take', () => {
  const { all, answer } = watched()
  answer(123, 'p/used')
  const busy = all.begun('p/busy', 'stream')
  for (let made = 0; made < 10_000; made++) answer(1, `p/before-${made}`)
  const before = bytesInUse()
  for (let made = 0; made < 1_000_000; made++) {
    answer(1, `p/made-${made}`)
    if (made % 1_000 === 0) answer(123, 'p/used')
  }
  const grown = bytesInUse() - before
  assert.ok(grown < 2_000_000, `${grown} bytes more than after ten thousand`)
  near(all.answerMs('p/used', 'stream'), 123)
  assert.equal(all.answerMs('p/made-0', 'stream'), undefined)
  assert.equal(all.answerMs('p/made-999999', 'stream'), 1)
  all.over(busy, undefined, 0)
  assert.equal(all.inFlight('p/busy'), 0, 'what is forgotten while it is in flight does not count below nothing')
})

test('a target that another one outran is as slow as it was silent, and no slower', async () => {
  const clock = heldClock()
  const all = paces(clock)
  const pace = all.begun('p/a', 'stream')
  await clock.pass(700)
  all.over(pace, new Fault('client-gone'), 700, true)
  assert.equal(all.costMs('p/a', 'stream', 0), 700)
  assert.equal(all.medianMs('p/a', 'stream'), undefined)
})
