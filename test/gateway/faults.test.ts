/* Each row of the fault table, produced over TCP: what the client sees, whether another target is tried, and what circuit and key learn. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { FAULTS, type FaultName, rowOf } from '../../src/core/fault.ts'
import { pair } from '../support/routes.ts'
import { HELLO, type Running, running, until } from '../support/running.ts'

interface Case {
  readonly fault: FaultName
  readonly how: string
  readonly script: readonly object[]
  /** What a client sees when there is no other target. */
  readonly status: number
  readonly code: string
  readonly speaks?: 'anthropic'
  readonly stream?: true
  /** The second key is tried before the second target. */
  readonly retryAfter?: string
}

const LOST = 'all_targets_failed'
const json = (error: object) => ({ error })

const CASES: readonly Case[] = [
  {
    fault: 'upstream-refused-call',
    how: 'a 400',
    script: [
      { status: 400, body: json({ message: 'bad seed', type: 'invalid_request_error', param: 'seed', code: 'invalid_value' }) },
    ],
    status: 400,
    code: 'invalid_value',
  },
  {
    fault: 'upstream-refused-call',
    how: 'a 422',
    script: [{ status: 422, body: json({ message: 'no', type: 'invalid_request_error', code: 'unprocessable' }) }],
    status: 422,
    code: 'unprocessable',
  },
  {
    fault: 'upstream-refused-call',
    how: 'a 413',
    script: [{ status: 413, body: json({ message: 'too big', type: 'invalid_request_error', code: 'big' }) }],
    status: 413,
    code: 'big',
  },
  {
    fault: 'context-too-long',
    how: 'a 400 context_length_exceeded',
    script: [
      {
        status: 400,
        body: json({
          message: "This model's maximum context length is 8192 tokens.",
          type: 'invalid_request_error',
          code: 'context_length_exceeded',
        }),
      },
    ],
    status: 400,
    code: 'context_length_exceeded',
  },
  {
    fault: 'content-filtered',
    how: 'a 400 content_policy_violation',
    script: [
      {
        status: 400,
        body: json({ message: 'Your request was rejected.', type: 'invalid_request_error', code: 'content_policy_violation' }),
      },
    ],
    status: 400,
    code: 'content_filter',
  },
  {
    fault: 'upstream-unknown-model',
    how: 'a 404 model_not_found',
    script: [
      {
        status: 404,
        body: json({ message: 'The model does not exist', type: 'invalid_request_error', code: 'model_not_found' }),
      },
    ],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-refused-key', how: 'a 401', script: [{ status: 401 }], status: 502, code: LOST },
  {
    fault: 'upstream-refused-key',
    how: 'a 403',
    script: [{ status: 403, body: json({ message: 'Project has no access', type: 'invalid_request_error', code: 'forbidden' }) }],
    status: 502,
    code: LOST,
  },
  {
    fault: 'upstream-quota-exhausted',
    how: 'a 429 insufficient_quota',
    script: [
      {
        status: 429,
        body: json({ message: 'You exceeded your current quota', type: 'insufficient_quota', code: 'insufficient_quota' }),
      },
    ],
    status: 503,
    code: LOST,
  },
  {
    fault: 'upstream-quota-exhausted',
    how: 'a 402',
    script: [{ status: 402, body: json({ message: 'Payment required' }) }],
    status: 503,
    code: LOST,
  },
  {
    fault: 'upstream-quota-exhausted',
    how: 'a 400 "credit balance is too low"',
    speaks: 'anthropic',
    script: [
      {
        status: 400,
        body: {
          type: 'error',
          error: { type: 'invalid_request_error', message: 'Your credit balance is too low to access the Anthropic API.' },
        },
      },
    ],
    status: 503,
    code: LOST,
  },
  {
    fault: 'upstream-rate-limited',
    how: 'a 429 with Retry-After',
    script: [{ status: 429, headers: { 'retry-after': '7' } }],
    status: 429,
    code: LOST,
    retryAfter: '7',
  },
  {
    fault: 'upstream-rate-limited',
    how: 'a 429 with retry-after-ms',
    script: [{ status: 429, headers: { 'retry-after-ms': '4200' } }],
    status: 429,
    code: LOST,
    retryAfter: '5',
  },
  { fault: 'upstream-overloaded', how: 'a 503', script: [{ status: 503 }], status: 503, code: LOST },
  { fault: 'upstream-overloaded', how: 'a 529', speaks: 'anthropic', script: [{ status: 529 }], status: 503, code: LOST },
  {
    fault: 'upstream-overloaded',
    how: 'overloaded_error as the first event of a 200',
    speaks: 'anthropic',
    stream: true,
    script: [{ error_in_200: { type: 'overloaded_error', message: 'Overloaded' } }],
    status: 503,
    code: LOST,
  },
  ...[500, 502, 504, 520, 524, 408].map(
    status =>
      ({
        fault: 'upstream-error',
        how: `a ${status}`,
        script: [{ status, body: '<html>oops</html>' }],
        status: 502,
        code: LOST,
      }) as const,
  ),
  {
    fault: 'upstream-error',
    how: 'a redirect',
    script: [{ status: 307, headers: { location: 'http://127.0.0.1:1/evil' } }],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-unreachable', how: 'a refused connection', script: [{ refuse: true }], status: 502, code: LOST },
  {
    fault: 'upstream-unreachable',
    how: 'nobody listening',
    script: [{ down: true, from: '0ms', for: '1h' }],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-unreachable', how: 'a reset before the first byte', script: [{ reset: true }], status: 502, code: LOST },
  { fault: 'upstream-timeout', how: 'no answer', script: [{ never_answer: true }], status: 504, code: LOST },
  {
    fault: 'upstream-timeout',
    how: 'a slow first token',
    stream: true,
    script: [{ slow_first_token: '5s' }],
    status: 504,
    code: LOST,
  },
  { fault: 'upstream-garbled', how: 'an HTML page', script: [{ html: true }], status: 502, code: LOST },
  {
    fault: 'upstream-garbled',
    how: 'an HTML page for a stream',
    stream: true,
    script: [{ html: true }],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-garbled', how: 'no choices', script: [{ empty_choices: true }], status: 502, code: LOST },
  {
    fault: 'upstream-garbled',
    how: 'no content',
    speaks: 'anthropic',
    script: [{ empty_choices: true }],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-garbled', how: 'a body that is not JSON', script: [{ garbled_at: 0 }], status: 502, code: LOST },
  {
    fault: 'upstream-garbled',
    how: 'an unknown error inside a 200',
    script: [{ error_in_200: { type: 'odd', message: 'odd' } }],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-truncated', how: 'a whole answer cut by a reset', script: [{ cut_after: 5 }], status: 502, code: LOST },
  {
    fault: 'upstream-truncated',
    how: 'a stream cut before its first content',
    stream: true,
    script: [{ cut_after: 0, cut_how: 'clean' }],
    status: 502,
    code: LOST,
  },
  { fault: 'upstream-stalled', how: 'a whole answer that stops half-way', script: [{ stall_after: 5 }], status: 504, code: LOST },
]

const OF_CLIENTS: ReadonlySet<FaultName> = new Set([
  'bad-request',
  'unauthorized',
  'forbidden-route',
  'unknown-route',
  'too-large',
  'client-gone',
])
/** Produced elsewhere: `exhausted` by most of the cases here, the limits and budgets of clients by nothing yet. */
const NOT_HERE: ReadonlySet<FaultName> = new Set(['exhausted', 'internal', 'rate-limited', 'over-budget'])

describe('the fault table over TCP', () => {
  const open: Running[] = []
  const start = async (options: Parameters<typeof pair>[0]) => {
    // A backoff of nine tenths of what it may be.
    const gateway = await running(pair(options), { random: () => 0.9 })
    open.push(gateway)
    return gateway
  }
  after(() => Promise.all(open.map(gateway => gateway.close())))

  it('has a case here for every fault of an upstream', () => {
    const produced = new Set(CASES.map(({ fault }) => fault))
    for (const fault of Object.keys(FAULTS) as FaultName[]) {
      assert.ok(produced.has(fault) || OF_CLIENTS.has(fault) || NOT_HERE.has(fault), `no case produces ${fault}`)
    }
  })

  for (const { fault, how, script, status, code, speaks, stream, retryAfter } of CASES) {
    const row = rowOf(fault)
    const body = { messages: HELLO, ...(stream && { stream }) }

    it(`${fault}: ${how}${stream ? ' (stream)' : ''}`, async () => {
      const gateway = await start({ script, ...(speaks && { speaks }), primary: { circuit: { failures: 1, open: '1m' } } })
      const failing = gateway.call({ model: 'alone', ...body })
      const answer = await failing
      const text = await answer.text()
      assert.equal(answer.status, status, text)
      const { error } = JSON.parse(text)
      assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type'])
      assert.equal(error.code, code)
      assert.equal(answer.headers.get('x-should-retry'), 'false')
      assert.equal(answer.headers.get('x-understudy-attempts'), '1')
      assert.match(answer.headers.get('x-understudy-trail')!, new RegExp(`^primary/model-a;${fault};\\d+ms$`))
      assert.ok(answer.headers.get('x-request-id'))
      if (retryAfter !== undefined) assert.equal(answer.headers.get('retry-after'), retryAfter)
      assert.doesNotMatch(text, /127\.0\.0\.1|key-of|primary|model-a/, 'no address, key, provider or target is told')

      const { circuits, keys } = gateway.assembled.gateway
      assert.equal(circuits.state('primary/model-a'), row.circuit ? 'open' : 'closed')
      const [key] = keys.status('primary')
      const expected = { none: 'ready', retires: 'retired', 'rests-long': 'resting', 'rests-as-told': 'resting' }[row.key]
      assert.equal(key!.state, expected)
      if (row.key === 'rests-long') assert.ok(key!.untilMs! - Date.now() > 3_500_000, 'for an hour')
      assert.equal(await gateway.metric('llm_errors_total', { provider: 'primary', fault }), 1)
      assert.equal(await gateway.metric('llm_in_flight', { target: 'primary/model-a' }), 0)
      const [line] = gateway.logs().filter(({ msg }) => msg === 'call')
      assert.equal(line!.attempts[0].outcome, fault)
      assert.doesNotMatch(JSON.stringify(gateway.logs()), /key-of-/, 'no key in the log')
    })

    const goesOn = row.next === 'yes' || row.next === 'if-larger'
    it(`${fault}: ${how}${stream ? ' (stream)' : ''}: the next target ${goesOn ? 'answers' : 'is not asked'}`, async () => {
      const gateway = await start({ script, ...(speaks && { speaks }) })
      const answer = await gateway.call({ model: 'pair', ...body })
      const text = await answer.text()
      assert.equal(answer.status, goesOn ? 200 : status, text)
      assert.equal(gateway.simulators.get('backup')!.counts.total, goesOn ? 1 : 0)
      if (goesOn) {
        assert.equal(answer.headers.get('x-understudy-target'), 'backup/model-b')
        assert.match(text, /backup/)
        const labels = { route: 'pair', from: 'primary/model-a', to: 'backup/model-b', reason: fault }
        assert.equal(await gateway.metric('llm_failover_total', labels), 1)
      }
    })

    if (row.overridable) {
      it(`${fault}: ${how}: a route may say fail_over`, async () => {
        const gateway = await start({ script, route: { faults: { [fault]: 'fail_over' } } })
        const answer = await gateway.call({ model: 'pair', ...body })
        assert.equal(answer.status, 200)
        assert.equal(answer.headers.get('x-understudy-target'), 'backup/model-b')
      })
    }
  }

  for (const { fault, how, script, speaks, stream } of CASES) {
    const again = rowOf(fault).again
    it(`${fault}: ${how}: the same target again: ${again}`, async () => {
      // The fault once; after that the primary is well.
      const once = script.map(rule => ('down' in rule ? { ...rule, for: '150ms' } : { ...rule, calls: [1, 1] }))
      const gateway = await start({
        script: once,
        ...(speaks && { speaks }),
        keys: ['key-of-primary-1', 'key-of-primary-2'],
        primary: { circuit: { failures: 100 }, retry: { attempts: 3, backoff: { first: '80ms', max: '400ms' } } },
      })
      const answer = await gateway.call({ model: 'alone', messages: HELLO, ...(stream && { stream }) })
      const trail = answer.headers.get('x-understudy-trail')!
      if (again === 'no') assert.notEqual(answer.status, 200, trail)
      else assert.equal(answer.status, 200, trail)
      await answer.text()
    })
  }

  it('context-too-long goes on only to a target with a larger or unknown context', async () => {
    const models = (context: number) => ({ models: { 'model-a': { context } } })
    const script = CASES.find(({ fault }) => fault === 'context-too-long')!.script
    const gateway = await start({
      script,
      primary: models(8_192),
      more: {
        routes: {
          smaller: ['primary/model-a', 'primary/model-small'],
          larger: ['primary/model-a', 'backup/model-b'],
        },
      },
    })
    const { assembled } = gateway
    assert.equal((await gateway.call({ model: 'larger', messages: HELLO })).status, 200)
    const small = assembled.targets.find(({ id }) => id === 'primary/model-small')!
    Object.assign(small, { abilities: { context: 4_096 } })
    const answer = await gateway.call({ model: 'smaller', messages: HELLO })
    assert.equal(answer.status, 400)
    assert.match(answer.headers.get('x-understudy-trail')!, /model-small;passed-over:incapable/)
  })

  it('client-gone: nobody is blamed, the upstream is cancelled at once, the call is settled', async () => {
    const gateway = await start({
      script: [{ never_answer: true }],
      primary: { timeouts: { first_token: '10s' }, circuit: { failures: 1 } },
    })
    const leaving = new AbortController()
    const call = gateway.call({ model: 'pair', messages: HELLO }, { signal: leaving.signal }).catch(() => undefined)
    const primary = gateway.simulators.get('primary')!
    await until('the call reaches the primary', () => primary.counts.open === 1)
    const leftAt = performance.now()
    leaving.abort()
    await call
    await until('the upstream sees the end', () => primary.counts.aborted === 1)
    assert.ok(performance.now() - leftAt < 500)
    await until('the call is settled', async () => (await gateway.metric('llm_requests_total', { status: '499' })) === 1)
    assert.equal(gateway.simulators.get('backup')!.counts.total, 0)
    assert.equal(gateway.assembled.gateway.circuits.state('primary/model-a'), 'closed')
    assert.equal(await gateway.metric('llm_in_flight', { target: 'primary/model-a' }), 0)
  })
})
