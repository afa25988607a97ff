/* When spans are made of what calls have told, by the SDK's own tracer and a clock that is held. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import * as api from '@opentelemetry/api'
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  RandomIdGenerator,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { CallTold } from '../../src/telemetry/call-spans.ts'
import { Ids, Spans } from '../../src/telemetry/spans.ts'
import { type HeldClock, heldClock } from '../support/clock.ts'

const TOLD: CallTold = {
  requestId: 'one',
  status: 200,
  ending: { kind: 'complete' },
  route: 'r',
  client: undefined,
  tags: undefined,
  model: 'r',
  stream: false,
  target: 'p/m',
  level: 'normal',
  cache: undefined,
  attempts: 1,
  costUsd: undefined,
}

describe('spans', () => {
  let clock: HeldClock
  let exporter: InMemorySpanExporter
  let spans: Spans
  beforeEach(() => {
    clock = heldClock()
    exporter = new InMemorySpanExporter()
    const ids = new Ids(new RandomIdGenerator())
    const provider = new TracerProvider({
      sampler: new AlwaysOnSampler(),
      idGenerator: ids,
      spanProcessors: [new SimpleSpanProcessor({ exporter })],
    })
    spans = new Spans({ api, tracer: provider.getTracer('test'), ids, clock, redact: text => text, together: 3 })
  })
  const begin = () => spans.begin(undefined, clock.now(), clock.ticks())
  const made = () => exporter.getFinishedSpans()

  it('are made as soon as as many have ended as are sent together', () => {
    for (const expected of [0, 0, 3, 3, 3, 6]) {
      begin().end(TOLD, 0)
      assert.equal(made().length, expected)
    }
  })

  it('wait a tenth of a second for others, and leave no timer behind', async () => {
    begin().end(TOLD, 0)
    await clock.pass(60)
    begin().end(TOLD, 0)
    await clock.pass(39)
    assert.equal(made().length, 0)
    await clock.pass(1)
    assert.equal(made().length, 2)
    assert.equal(clock.waiting(), 0)
    for (let n = 0; n < 3; n++) begin().end(TOLD, 0)
    assert.equal(made().length, 5)
    assert.equal(clock.waiting(), 0)
  })

  it('have the ids and times of the call, whenever they are made', async () => {
    const startedAtMs = clock.now()
    const call = begin()
    await clock.pass(5)
    call.event('passed', { by: 'x' })
    await clock.pass(5)
    call.end(TOLD, 8)
    call.event('too late', {})
    await clock.pass(1_000)
    const [span] = made()
    assert.equal(span!.spanContext().traceId, call.id)
    assert.equal(span!.spanContext().spanId, call.context.spanId)
    assert.equal(msOf(span!.startTime), startedAtMs)
    assert.equal(msOf(span!.endTime), startedAtMs + 8)
    assert.deepEqual(
      span!.events.map(({ name, time }) => [name, msOf(time)]),
      [['passed', startedAtMs + 5]],
    )
  })
})

const msOf = ([seconds, nanos]: api.HrTime) => seconds * 1_000 + nanos / 1e6
