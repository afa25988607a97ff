import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttemptRecord, Ending, Target } from '../../src/core/attempt.ts'
import { Fault } from '../../src/core/fault.ts'
import { stopper } from '../../src/core/stop.ts'
import type { Gateway, Journey } from '../../src/gateway/gateway.ts'
import { arrive } from '../../src/gateway/journey.ts'
import { ledger } from '../../src/gateway/ledger.ts'
import { recent } from '../../src/gateway/recent.ts'
import { log } from '../../src/telemetry/log.ts'
import { metrics } from '../../src/telemetry/metrics.ts'
import { heldClock } from '../support/clock.ts'
import { madeCall, madeClient, madeRoute, madeTarget } from './made.ts'

const A = madeTarget('p/a')
const B = madeTarget('q/b', { abilities: { price: { input: 2, output: 10 } } })

function open(more: Partial<Journey> = {}) {
  const clock = heldClock()
  const measured = metrics('test')
  const lines: Record<string, any>[] = []
  const settled: Journey[] = []
  const calls = recent()
  const logged = log('debug', text => text, { write: line => lines.push(JSON.parse(line)) })
  const own = ledger(clock, measured, logged, each => settled.push(each), calls)
  /** What is closed is written down after what is being done already. */
  const close = (closed: Journey, ending: Ending) => {
    own.close(closed, ending)
    return new Promise<void>(resolve => process.nextTick(resolve))
  }
  const written = { ...own, close }
  const journey = arrive({ clock } as unknown as Gateway, 'the-id', stopper())
  Object.assign(journey, { client: madeClient(), call: madeCall(), route: madeRoute('r', [A, B]), ...more })
  const series = async (name: string) => {
    const { text } = await measured.scrape()
    return text.split('\n').filter(line => line.startsWith(`${name}{`))
  }
  return { clock, written, journey, lines, series, settled, calls }
}

const tried = (target: Target, outcome: AttemptRecord['outcome'], more: Partial<AttemptRecord> = {}): AttemptRecord => ({
  target,
  outcome,
  ms: 12.34,
  ...more,
})

test('a journey is closed once: the first ending counts', async () => {
  const { written, journey, lines, series, settled } = open({ answeredBy: B, firstTokenMs: 5 })
  void written.close(journey, { kind: 'complete' })
  void written.close(journey, { kind: 'abandoned' })
  await written.close(journey, { kind: 'refused', fault: new Fault('internal') })
  assert.deepEqual(journey.ending, { kind: 'complete' })
  assert.equal(lines.length, 1)
  assert.deepEqual(settled, [journey])
  assert.deepEqual(await series('llm_requests_total'), [
    'llm_requests_total{route="r",client="team",target="q/b",status="200",stream="false"} 1',
  ])
})

test('a call that cannot be written down is told, and those beside it are', async () => {
  const { written, journey, lines, calls } = open({ answeredBy: B, firstTokenMs: 5 })
  const strange = { ...journey, id: 'strange', attempts: [null] } as unknown as Journey
  void written.close(strange, { kind: 'complete' })
  await written.close(journey, { kind: 'complete' })
  assert.deepEqual(
    lines.map(({ msg, id }) => [msg, id]),
    [
      ['call not written down', 'strange'],
      ['call', 'the-id'],
    ],
  )
  assert.equal(calls.list().length, 1)
})

test('a call that nothing is known of is counted all the same', async () => {
  const { written, journey, series, lines } = open({ client: undefined, call: undefined, route: undefined })
  await written.close(journey, { kind: 'refused', fault: new Fault('unauthorized') })
  assert.deepEqual(await series('llm_requests_total'), [
    'llm_requests_total{route="none",client="none",target="none",status="401",stream="false"} 1',
  ])
  assert.equal(lines[0]!.status, 401)
})

test('the status is the client’s: what was sent, or 499 when it left', async () => {
  for (const [ending, status] of [
    [{ kind: 'complete' }, '200'],
    [{ kind: 'broken', fault: new Fault('upstream-stalled') }, '200'],
    [{ kind: 'abandoned' }, '499'],
    [{ kind: 'refused', fault: new Fault('upstream-refused-call', { status: 422 }) }, '422'],
  ] as const) {
    const { written, journey, series, lines } = open()
    await written.close(journey, ending)
    assert.match((await series('llm_requests_total'))[0]!, new RegExp(`status="${status}"`))
    assert.equal(lines[0]!.ending, ending.kind)
  }
})

test('every attempt is counted with its outcome; what was passed over is no error and took no time', async () => {
  const { written, journey, series } = open()
  written.attempted(journey, tried(A, 'passed-over:circuit-open'))
  written.attempted(journey, tried(A, 'upstream-timeout'))
  written.attempted(journey, tried(A, 'client-gone'))
  written.attempted(journey, tried(B, 'answered'))
  assert.deepEqual((await series('llm_attempts_total')).sort(), [
    'llm_attempts_total{provider="p",model="a",outcome="client-gone"} 1',
    'llm_attempts_total{provider="p",model="a",outcome="passed-over:circuit-open"} 1',
    'llm_attempts_total{provider="p",model="a",outcome="upstream-timeout"} 1',
    'llm_attempts_total{provider="q",model="b",outcome="answered"} 1',
  ])
  assert.deepEqual(await series('llm_errors_total'), ['llm_errors_total{provider="p",model="a",fault="upstream-timeout"} 1'])
  const timed = (await series('llm_attempt_seconds_count')).map(line => /outcome="([^"]+)"/.exec(line)![1])
  assert.deepEqual(timed.sort(), ['answered', 'client-gone', 'upstream-timeout'])
})

test('a failover is counted from the target left to the target tried, with what was the reason', async () => {
  const { written, journey, series } = open()
  const C = madeTarget('r/c')
  for (const attempt of [
    tried(A, 'upstream-error'),
    tried(A, 'upstream-error'),
    tried(C, 'passed-over:circuit-open'),
    tried(B, 'answered'),
  ]) {
    written.attempted(journey, attempt)
  }
  await written.close(journey, { kind: 'complete' })
  assert.deepEqual(await series('llm_failover_total'), [
    'llm_failover_total{route="r",from="r/c",to="q/b",reason="passed-over:circuit-open"} 1',
  ])
})

test('tokens are counted by kind and paid by the price of the target', async () => {
  const usage = { input: 1_000, cached: 0, output: 200, reasoning: 50 }
  const { written, journey, series, lines } = open({ answeredBy: B, firstTokenMs: 5, usage })
  written.attempted(journey, tried(B, 'answered', { usage }))
  await written.close(journey, { kind: 'complete' })
  const kinds = (await series('llm_tokens_total')).map(line => line.replace(/.*kind="(\w+)"} /, '$1 '))
  assert.deepEqual(kinds, ['input 1000', 'output 200', 'reasoning 50'])
  assert.deepEqual(await series('llm_cost_usd_total'), ['llm_cost_usd_total{route="r",client="team",target="q/b"} 0.0045'])
  assert.deepEqual(await series('llm_unpriced_requests_total'), [])
  assert.equal(lines[0]!.costUsd, 0.0045)
})

test('an answer whose price or usage is unknown is counted as unpriced, not as free', async () => {
  for (const attempt of [tried(A, 'answered', { usage: { input: 1, output: 1 } }), tried(B, 'answered')]) {
    const { written, journey, series, lines } = open({ firstTokenMs: 5, answeredBy: attempt.target })
    written.attempted(journey, attempt)
    await written.close(journey, { kind: 'complete' })
    assert.equal((await series('llm_unpriced_requests_total')).length, 1)
    assert.deepEqual(await series('llm_cost_usd_total'), [])
    assert.equal(lines[0]!.costUsd, undefined)
  }
})

test('every attempt that was paid for counts, whatever became of it', async () => {
  const usage = { input: 1_000, output: 100 }
  const { written, journey, series, lines } = open({ answeredBy: B, firstTokenMs: 5, usage })
  written.attempted(journey, tried(B, 'answered', { usage, broke: 'upstream-stalled' }))
  written.attempted(journey, tried(B, 'cancelled', { usage, role: 'hedge' }))
  written.attempted(journey, tried(B, 'upstream-garbled', { usage }))
  written.attempted(journey, tried(B, 'answered', { usage, role: 'splice' }))
  await written.close(journey, { kind: 'recovered' })
  assert.deepEqual(await series('llm_cost_usd_total'), ['llm_cost_usd_total{route="r",client="team",target="q/b"} 0.012'])
  assert.equal(lines[0]!.costUsd, 0.012)
  assert.deepEqual(lines[0]!.usage, usage, 'the client got one answer')
})

test('a second attempt beside a slow one is no failover; going on after a break is one', async () => {
  const { written, journey, series } = open()
  const C = madeTarget('r/c')
  written.attempted(journey, tried(B, 'answered', { role: 'hedge', broke: 'upstream-truncated' }))
  written.attempted(journey, tried(A, 'cancelled'))
  written.attempted(journey, tried(C, 'answered', { role: 'splice' }))
  await written.close(journey, { kind: 'recovered' })
  assert.deepEqual(await series('llm_failover_total'), [
    'llm_failover_total{route="r",from="q/b",to="r/c",reason="upstream-truncated"} 1',
  ])
})

test('the gateway’s own part is the whole without the waiting for upstreams', async () => {
  const { clock, written, journey, series } = open({ upstreamMs: 900 })
  await clock.pass(1_000)
  await written.close(journey, { kind: 'complete' })
  assert.deepEqual(await series('llm_overhead_seconds_sum'), ['llm_overhead_seconds_sum{route="r"} 0.1'])
})

test('the end of a stream is counted, and a break after content as an error of its target', async () => {
  const { written, journey, series } = open({ call: madeCall({ stream: true }), answeredBy: B, firstTokenMs: 5 })
  written.attempted(journey, tried(B, 'answered', { broke: 'upstream-truncated' }))
  await written.close(journey, { kind: 'broken', fault: new Fault('upstream-truncated') })
  assert.deepEqual(await series('llm_stream_endings_total'), ['llm_stream_endings_total{route="r",ending="broken"} 1'])
  assert.deepEqual(await series('llm_errors_total'), ['llm_errors_total{provider="q",model="b",fault="upstream-truncated"} 1'])
})

test('a model that a caller made up is `other` in every metric, and itself in the log', async () => {
  const madeUp = madeTarget('p/made-up', { label: 'other' })
  const { written, journey, series, lines } = open({ answeredBy: madeUp, firstTokenMs: 5 })
  written.inFlight(madeUp, 1)
  written.attempted(journey, tried(A, 'upstream-error'))
  written.attempted(journey, tried(madeUp, 'answered', { usage: { input: 1, output: 1 } }))
  written.malformed(madeUp)
  await written.close(journey, { kind: 'complete' })
  for (const name of [
    'llm_requests_total',
    'llm_attempts_total',
    'llm_errors_total',
    'llm_failover_total',
    'llm_tokens_total',
    'llm_in_flight',
  ]) {
    const found = await series(name)
    assert.ok(found.length > 0, name)
    assert.ok(!found.join('\n').includes('made-up'), name)
  }
  assert.equal(lines[0]!.target, 'p/made-up')
})

test('the log line tells all attempts; what a provider says about the call itself stays out of it', async () => {
  const { written, journey, lines } = open()
  written.attempted(journey, tried(A, 'upstream-error', { key: 'key-1', status: 500, detail: 'the reason' }))
  written.attempted(journey, tried(B, 'upstream-refused-call', { detail: 'the prompt says: a secret' }))
  await written.close(journey, {
    kind: 'refused',
    fault: new Fault('upstream-refused-call', { detail: 'the prompt says: a secret' }),
  })
  const [line] = lines
  assert.deepEqual(
    [line!.msg, line!.id, line!.route, line!.client, line!.fault],
    ['call', 'the-id', 'r', 'team', 'upstream-refused-call'],
  )
  assert.deepEqual(line!.attempts, [
    { target: 'p/a', key: 'key-1', outcome: 'upstream-error', ms: 12.3, status: 500, detail: 'the reason' },
    { target: 'q/b', outcome: 'upstream-refused-call', ms: 12.3 },
  ])
  assert.ok(!JSON.stringify(line).includes('secret'))
})

test('the client’s tags are copied to the log', async () => {
  const { written, journey, lines } = open({ client: madeClient({ tags: { team: 'search' } }) })
  await written.close(journey, { kind: 'complete' })
  assert.deepEqual(lines[0]!.tags, { team: 'search' })
})

test('a fault of ours is logged as an error, what went wrong elsewhere as a warning, the rest as told', async () => {
  const levels = { info: 30, warn: 40, error: 50 }
  for (const [ending, level] of [
    [{ kind: 'refused', fault: new Fault('internal') }, 'error'],
    [{ kind: 'refused', fault: new Fault('exhausted') }, 'warn'],
    [{ kind: 'broken', fault: new Fault('upstream-stalled') }, 'warn'],
    [{ kind: 'refused', fault: new Fault('unauthorized') }, 'info'],
    [{ kind: 'abandoned' }, 'info'],
    [{ kind: 'complete' }, 'info'],
  ] as const) {
    const { written, journey, lines } = open()
    await written.close(journey, ending)
    assert.equal(lines[0]!.level, levels[level], `${ending.kind} ${'fault' in ending ? ending.fault.kind : ''}`)
  }
})

test('a target that was only passed over has no tries under way, not even none', async () => {
  const { written, journey, series } = open()
  written.attempted(journey, tried(A, 'passed-over:circuit-open'))
  assert.deepEqual(await series('llm_in_flight'), [])
  written.inFlight(A, 1)
  assert.deepEqual(await series('llm_in_flight'), ['llm_in_flight{target="p/a"} 1'])
})
