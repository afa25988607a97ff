/* What a collector gets of calls, and what upstreams get of traces, over real TCP. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { type Collector, collector, type SeenSpan } from '../support/collector.ts'
import { FAST } from '../support/routes.ts'
import { HELLO, type Running, readStream, running, until } from '../support/running.ts'

const SERVER = 2
const CLIENT = 3
const ERROR = 2
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'

const simulators = [
  { name: 'good', answer: 'One two three four five six.' },
  { name: 'down', script: [{ status: 503 }] },
  { name: 'cut', answer: 'One two three four five six.', script: [{ cut_after: 2, cut_how: 'reset' }] },
  { name: 'picky', script: [{ status: 400 }] },
]
const config = (endpoint: string, sample = 1) =>
  JSON.stringify({
    telemetry: { traces: { endpoint, sample } },
    simulators,
    providers: Object.fromEntries(
      simulators.map(({ name }) => [
        name,
        {
          type: 'openai',
          base_url: `simulator:${name}/v1`,
          keys: [`key-of-${name}`],
          timeouts: FAST,
          retry: { attempts: 0 },
          tags: [name],
        },
      ]),
    ),
    routes: {
      a: { targets: ['good/m'], cache: { ttl: '1m' } },
      b: { targets: ['down/m', 'good/m'] },
      c: { targets: ['cut/m', 'good/m'], recover: 'splice' },
      picky: { targets: ['picky/m'] },
      none: { targets: ['down/m'] },
      tagged: { targets: ['down/m', 'good/m'], require: ['good'] },
    },
    server: { open: true },
  })

describe('traces', () => {
  let sink: Collector
  let gateway: Running
  before(async () => {
    sink = await collector()
  })
  after(() => sink.close())
  beforeEach(async () => {
    gateway = await running(config(sink.url))
    isOpen = true
  })
  let isOpen = false
  afterEach(async () => {
    if (isOpen) await gateway.close()
  })
  /** Ends the gateway, which sends what it has. */
  const spansOf = async (isOf: (span: SeenSpan) => boolean = () => true) => {
    const known = sink.spans().length
    isOpen = false
    await gateway.close()
    return sink.spans().slice(known).filter(isOf)
  }
  const call = (model: string, headers: Record<string, string> = {}, more: object = {}) =>
    gateway.call({ model, messages: HELLO, ...more }, { headers })
  const headerSeen = (simulator: string, name: string) => gateway.simulators.get(simulator)!.calls.at(-1)?.headers[name]

  it('a call is one server span and one client span for each attempt, by the conventions for generative AI', async () => {
    await (await call('b', {}, { max_tokens: 50, temperature: 0.5 })).json()
    const spans = await spansOf()
    const [server] = spans.filter(({ kind }) => kind === SERVER)
    const [first, second] = spans.filter(({ kind }) => kind === CLIENT)
    assert.equal(spans.length, 3)
    assert.equal(server!.name, 'chat b')
    assert.equal(server!.parentSpanId, undefined)
    assert.equal(server!.resource['service.name'], 'understudy')
    assert.equal(server!.attributes['understudy.target'], 'good/m')
    assert.equal(server!.attributes['http.response.status_code'], 200)
    assert.equal(server!.attributes['understudy.client'], 'anonymous')
    assert.equal(server!.status, 0)
    assert.deepEqual([first!.parentSpanId, second!.parentSpanId], [server!.spanId, server!.spanId])
    assert.deepEqual([first!.traceId, second!.traceId], [server!.traceId, server!.traceId])

    assert.equal(first!.attributes['error.type'], 'upstream-overloaded')
    assert.equal(first!.attributes['http.response.status_code'], 503)
    assert.equal(first!.status, ERROR)
    assert.equal(second!.name, 'chat m')
    const { attributes } = second!
    assert.equal(attributes['gen_ai.operation.name'], 'chat')
    assert.equal(attributes['gen_ai.provider.name'], 'openai')
    assert.equal(attributes['gen_ai.request.model'], 'm')
    assert.equal(attributes['gen_ai.request.max_tokens'], 50)
    assert.equal(attributes['gen_ai.request.temperature'], 0.5)
    assert.equal(attributes['gen_ai.response.model'], 'm')
    assert.deepEqual(attributes['gen_ai.response.finish_reasons'], ['stop'])
    assert.ok((attributes['gen_ai.usage.input_tokens'] as number) > 0)
    assert.ok((attributes['gen_ai.usage.output_tokens'] as number) > 0)
    assert.equal(attributes['server.address'], '127.0.0.1')
    assert.equal(attributes['understudy.outcome'], 'answered')
    assert.equal(second!.status, 0)
    for (const { startedMs, endedMs } of [first!, second!]) {
      assert.ok(server!.startedMs <= startedMs && startedMs <= endedMs && endedMs <= server!.endedMs + 1)
    }
    assert.ok(first!.endedMs <= second!.startedMs + 1)
  })

  it('nothing of prompts or answers is in them', async () => {
    await (await call('b')).json()
    await (await call('picky', {}, { messages: [{ role: 'user', content: 'a-secret-prompt' }] })).json()
    await spansOf()
    const sent = sink.requests().map(({ body }) => body)
    for (const said of ['Hello', 'One two', 'a-secret-prompt']) assert.ok(!sent.some(body => body.includes(said)), said)
  })

  it('a streamed attempt tells when its first content came', async () => {
    await readStream(await call('a', {}, { stream: true }))
    const [attempt] = await spansOf(({ kind }) => kind === CLIENT)
    assert.equal(attempt!.attributes['gen_ai.request.stream'], true)
    const first = attempt!.attributes['gen_ai.response.time_to_first_chunk'] as number
    assert.ok(first > 0 && first < 5, String(first))
  })

  it('passed-over targets, recoveries and the cache are events of the call', async () => {
    await (await call('tagged')).json()
    await readStream(await call('c', {}, { stream: true }))
    await (await call('a')).json()
    await (await call('a')).json()
    const servers = await spansOf(({ kind }) => kind === SERVER)
    const eventsOf = (route: string) =>
      servers
        .filter(({ name }) => name === `chat ${route}`)
        .flatMap(({ events }) => events.map(({ name, attributes }) => [name, attributes]))
    assert.deepEqual(eventsOf('tagged'), [['understudy.passed_over', { target: 'down/m', reason: 'tag' }]])
    assert.deepEqual(eventsOf('c'), [['understudy.recovery', { kind: 'splice', result: 'recovered' }]])
    assert.deepEqual(eventsOf('a'), [
      ['understudy.cache', { result: 'miss' }],
      ['understudy.cache', { result: 'hit' }],
    ])
    assert.equal(servers.find(({ name }) => name === 'chat c')!.attributes['understudy.ending'], 'recovered')
  })

  it('the attempt of a stream that breaks off says why', async () => {
    await readStream(await call('c', {}, { stream: true }))
    const attempts = await spansOf(({ kind }) => kind === CLIENT)
    const broken = attempts.find(({ attributes }) => attributes['understudy.target'] === 'cut/m')!
    assert.equal(broken.attributes['error.type'], 'upstream-truncated')
    assert.equal(broken.status, ERROR)
    const other = attempts.find(({ attributes }) => attributes['understudy.target'] === 'good/m')!
    assert.equal(other.attributes['understudy.role'], 'splice')
  })

  it('a refused call is an error of the server only where it is not the client’s', async () => {
    await (await call('none')).json()
    await (await call('no-such-model')).json()
    const servers = await spansOf(({ kind }) => kind === SERVER)
    const [exhausted, unknown] = ['chat none', 'chat'].map(wanted => servers.find(({ name }) => name === wanted)!)
    assert.equal(exhausted!.status, ERROR)
    assert.equal(exhausted!.attributes['error.type'], 'exhausted')
    assert.equal(unknown!.status, 0)
    assert.equal(unknown!.attributes['error.type'], 'unknown-route')
    assert.equal(unknown!.attributes['http.response.status_code'], 404)
  })

  it('the caller’s trace goes on, and each upstream gets its attempt as the parent', async () => {
    await (await call('b', { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=1' })).json()
    const handed = [headerSeen('down', 'traceparent'), headerSeen('good', 'traceparent')]
    const state = headerSeen('good', 'tracestate')
    const [line] = gateway.logs().filter(({ msg }) => msg === 'call')
    const spans = await spansOf()
    const server = spans.find(({ kind }) => kind === SERVER)!
    assert.equal(server.traceId, TRACE)
    assert.equal(server.parentSpanId, PARENT)
    const attempts = spans.filter(({ kind }) => kind === CLIENT)
    assert.deepEqual(
      handed,
      attempts.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
    )
    assert.equal(state, 'vendor=1')
    assert.equal(line!.traceId, TRACE)
  })

  it('a trace that its caller does not sample is handed on as it came, and not written down', async () => {
    await (await call('a', { traceparent: `00-${TRACE}-${PARENT}-00`, tracestate: 'vendor=1' })).json()
    assert.equal(headerSeen('good', 'traceparent'), `00-${TRACE}-${PARENT}-00`)
    assert.equal(headerSeen('good', 'tracestate'), 'vendor=1')
    assert.equal(gateway.logs().find(({ msg }) => msg === 'call')!.traceId, undefined)
    assert.deepEqual(await spansOf(), [])
  })

  it('what is no traceparent begins a trace of our own', async () => {
    const wrong = [
      'nonsense',
      `00-${TRACE}-${PARENT}-01-more`,
      `00-${'0'.repeat(32)}-${PARENT}-01`,
      `ff-${TRACE}-${PARENT}-01`,
      `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    ]
    for (const traceparent of wrong) await (await call('b', { traceparent })).json()
    const servers = await spansOf(({ kind }) => kind === SERVER)
    assert.equal(servers.length, wrong.length)
    for (const { traceId, parentSpanId } of servers) {
      assert.notEqual(traceId, TRACE)
      assert.equal(parentSpanId, undefined)
    }
  })
})

describe('sampling', () => {
  it('a share of the calls is written down; the others cost a decision and send nothing on', async () => {
    const sink = await collector()
    const gateway = await running(config(sink.url, 0.5))
    const calls = 100
    for (let n = 0; n < calls; n++) await (await gateway.call({ model: 'picky', messages: HELLO })).json()
    const sampled = gateway.logs().filter(({ msg, traceId }) => msg === 'call' && traceId !== undefined).length
    const handedOn = gateway.simulators.get('picky')!.calls.filter(({ headers }) => headers.traceparent !== undefined).length
    await gateway.close()
    // 100 fair coins: outside of this once in a million runs.
    assert.ok(sampled > 25 && sampled < 75, String(sampled))
    assert.equal(handedOn, sampled)
    assert.equal(sink.spans().filter(({ kind }) => kind === SERVER).length, sampled)
    await sink.close()
  })

  it('without traces configured nothing is handed on and no line tells of one', async () => {
    const gateway = await running(JSON.stringify({ ...JSON.parse(config('http://127.0.0.1:1')), telemetry: {} }))
    await (await gateway.call({ model: 'a', messages: HELLO }, { headers: { traceparent: `00-${TRACE}-${PARENT}-01` } })).json()
    assert.equal(gateway.simulators.get('good')!.calls[0]!.headers.traceparent, undefined)
    assert.equal(gateway.logs().find(({ msg }) => msg === 'call')!.traceId, undefined)
    await gateway.close()
  })
})

describe('a collector that is away', () => {
  it('costs the log one line for each outage, and the calls nothing', async () => {
    const sink = await collector()
    const gateway = await running(config(sink.url), { otel: { OTEL_BSP_SCHEDULE_DELAY: '20' } })
    const lines = () => gateway.logs().filter(({ msg }) => msg === 'traces')
    const call = async () => assert.equal((await gateway.call({ model: 'b', messages: HELLO })).status, 200)
    try {
      sink.answers(400)
      await call()
      await until('it is told', () => lines().length === 1)
      for (let n = 0; n < 3; n++) {
        const tried = sink.tries()
        await call()
        await until('it is tried', () => sink.tries() > tried)
      }
      assert.deepEqual(
        lines().map(({ level, collector: is, detail }) => ({ level, is, detail })),
        [{ level: 40, is: 'away', detail: '400' }],
      )
      sink.answers(200)
      await call()
      await until('it is back', () => lines().length === 2)
      assert.equal(lines()[1]!.collector, 'back')
    } finally {
      await gateway.close()
      await sink.close()
    }
  })

  it('is sent the next batch before it has answered the last one, and nothing is lost at the end', async () => {
    const sink = await collector()
    const gateway = await running(config(sink.url))
    const release = sink.hold()
    const calls = 150
    try {
      for (let n = 0; n < calls; n++) await (await gateway.call({ model: 'tagged', messages: HELLO })).arrayBuffer()
      await until('two batches have come', () => sink.requests().length >= 2)
      assert.ok(sink.spans().length < 2 * calls)
      release()
    } finally {
      await gateway.close()
      await sink.close()
    }
    const ids = sink.spans().map(({ spanId }) => spanId)
    assert.equal(new Set(ids).size, 2 * calls)
    assert.equal(ids.length, 2 * calls)
  })

  it('loses nothing where few spans may wait, though many end together', async () => {
    const sink = await collector()
    const gateway = await running(config(sink.url), { otel: { OTEL_BSP_MAX_QUEUE_SIZE: '4' } })
    const calls = 50
    const call = async () => (await gateway.call({ model: 'tagged', messages: HELLO })).arrayBuffer()
    await Promise.all(Array.from({ length: calls }, call))
    await gateway.close()
    await sink.close()
    assert.equal(new Set(sink.spans().map(({ spanId }) => spanId)).size, 2 * calls)
  })

  it('does not hold up the end', async () => {
    const gateway = await running(config('http://127.0.0.1:1'))
    await (await gateway.call({ model: 'a', messages: HELLO })).json()
    const since = performance.now()
    await gateway.close()
    assert.ok(performance.now() - since < 6_000)
  })
})
