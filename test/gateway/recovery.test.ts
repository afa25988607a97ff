/* Streams that break off after content: who goes on with them, and what the client sees of it. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { FAST } from '../support/routes.ts'
import { HELLO, type Running, readStream, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'
const CUT = { cut_after: 4, cut_how: 'reset' }

interface Part {
  readonly speaks?: 'openai' | 'anthropic'
  readonly script?: readonly object[]
  readonly answer?: string
  readonly delay?: string
}

/** Providers a, b, c … in this order behind the route `r`. */
function chain(parts: readonly Part[], route: object = {}, more: object = {}): string {
  const named = parts.map((part, at) => ({ name: String.fromCharCode(97 + at), ...part }))
  return JSON.stringify({
    telemetry: { headers: 'full' },
    simulators: named.map(({ name, speaks = 'openai', script = [], answer = ANSWER, delay = '0s' }) => ({
      name,
      speaks,
      script,
      answer,
      token_delay: delay,
    })),
    providers: Object.fromEntries(
      named.map(({ name, speaks = 'openai' }) => [
        name,
        {
          type: speaks,
          base_url: `simulator:${name}/v1`,
          keys: [`key-of-${name}`],
          timeouts: { ...FAST, first_token: '5s', idle: '400ms' },
          retry: { attempts: 0 },
          models: { m: { price: { input: 1, output: 1 } } },
        },
      ]),
    ),
    routes: { r: { targets: named.map(({ name }) => `${name}/m`), ...route } },
    ...more,
  })
}

const STREAM = { model: 'r', messages: HELLO, stream: true, stream_options: { include_usage: true } } as const

describe('a stream that breaks off after content', () => {
  const open: Running[] = []
  after(() => Promise.all(open.map(gateway => gateway.close())))
  const start = async (...config: Parameters<typeof chain>) => {
    const gateway = await running(chain(...config))
    open.push(gateway)
    return gateway
  }
  const lineOf = async (gateway: Running) => {
    await until('the line is written', () => gateway.logs().some(({ msg }) => msg === 'call'))
    return gateway.logs().find(({ msg }) => msg === 'call')!
  }

  for (const [first, second] of [
    ['openai', 'openai'],
    ['openai', 'anthropic'],
    ['anthropic', 'openai'],
    ['anthropic', 'anthropic'],
  ] as const) {
    for (const fault of [
      CUT,
      { ...CUT, cut_how: 'clean' },
      { ...CUT, cut_how: 'half-chunk' },
      { stall_after: 4 },
      { error_in_200: { type: 'overloaded_error', message: 'Overloaded', after: 4 } },
    ]) {
      it(`from ${first} (${Object.keys(fault)[0]} ${'cut_how' in fault ? fault.cut_how : ''}) is gone on with by ${second}`, async () => {
        const gateway = await start([{ speaks: first, script: [fault] }, { speaks: second }])
        const response = await gateway.call(STREAM)
        assert.equal(response.headers.get('x-understudy-target'), 'a/m')
        const raw = await response.text()
        const { text, finish, done, error, chunks } = await readStream(new Response(raw))
        assert.deepEqual({ text, finish, done, error }, { text: ANSWER, finish: 'stop', done: true, error: undefined })
        for (const field of ['id', 'created', 'model', 'object'])
          assert.equal(new Set(chunks.map(chunk => chunk[field])).size, 1, `${field} stays`)
        const roles = chunks.flatMap(chunk => chunk.choices).filter(choice => choice.delta.role !== undefined)
        assert.equal(roles.length, 1)
        assert.match(raw, /^: recovered by splice; x-understudy-trail: a\/m;upstream-\w+;\d+ms, b\/m;answered;\d+ms$/m)
        assert.deepEqual(chunks.at(-1)!.choices, [])
        assert.equal(chunks.at(-1)!.usage.completion_tokens, 12, 'the client got twelve words')

        const line = await lineOf(gateway)
        assert.deepEqual([line.ending, line.status, line.target], ['recovered', 200, 'a/m'])
        assert.deepEqual(
          line.attempts.map(({ target, role, broke }: any) => [target, role, typeof broke]),
          [
            ['a/m', undefined, 'string'],
            ['b/m', 'splice', 'undefined'],
          ],
        )
        assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'recovered' }), 1)
        assert.equal(await gateway.metric('llm_recoveries_total', { kind: 'splice', result: 'recovered' }), 1)
        assert.equal(await gateway.metric('llm_failover_total', { from: 'a/m', to: 'b/m' }), 1)
        assert.equal(await gateway.metric('llm_tokens_total', { target: 'b/m', kind: 'output' }), 12)
        const partly = await gateway.metric('llm_tokens_total', { target: 'a/m', kind: 'output' })
        assert.ok(partly > 0 && partly <= 12, `what was paid for in vain counts: ${partly}`)
        assert.equal(await gateway.metric('llm_in_flight'), 0)
      })
    }
  }

  it('goes on as the new answer comes, not when it is complete', async () => {
    const gateway = await start([{ script: [CUT] }, { delay: '60ms' }])
    const response = await gateway.call(STREAM)
    const arrivals: number[] = []
    const decoder = new TextDecoder()
    for await (const bytes of response.body!) if (decoder.decode(bytes).includes('"content":"')) arrivals.push(performance.now())
    assert.ok(arrivals.length > 6, `${arrivals.length} reads`)
    assert.ok(arrivals.at(-1)! - arrivals.at(-5)! > 100, 'the last words came one after the other')
  })

  it('is asked of the targets after the next one, where that says something else, fails, or breaks off in turn', async () => {
    const gateway = await start(
      [
        { script: [CUT] },
        { answer: 'One two something else entirely.' },
        { script: [{ status: 503 }] },
        { speaks: 'anthropic', script: [{ cut_after: 7 }] },
        {},
      ],
      { extra_attempts: '100%' },
    )
    const { text, done } = await readStream(await gateway.call(STREAM))
    assert.deepEqual({ text, done }, { text: ANSWER, done: true })
    const line = await lineOf(gateway)
    assert.deepEqual(
      line.attempts.map(({ target, outcome, broke }: any) => [target, outcome, broke]),
      [
        ['a/m', 'answered', 'upstream-truncated'],
        ['b/m', 'answered', undefined],
        ['c/m', 'upstream-overloaded', undefined],
        ['d/m', 'answered', 'upstream-truncated'],
        ['e/m', 'answered', undefined],
      ],
    )
    assert.equal(await gateway.metric('llm_recoveries_total', { result: 'differs' }), 1)
    assert.equal(await gateway.metric('llm_recoveries_total', { result: 'failed' }), 1)
    assert.equal(await gateway.metric('llm_recoveries_total', { result: 'recovered' }), 2)
    for (const name of ['b', 'd']) await until('let go', () => gateway.simulators.get(name)!.counts.open === 0)
  })

  it('of the only target is asked of it again, once', async () => {
    const once = await start([{ script: [{ ...CUT, calls: [1, 1] }] }])
    assert.equal((await readStream(await once.call(STREAM))).text, ANSWER)
    const always = await start([{ script: [CUT] }])
    const { text, done, error } = await readStream(await always.call(STREAM))
    assert.deepEqual([text, done, error?.code], ['One two three four ', false, 'upstream_truncated'])
    assert.equal(always.simulators.get('a')!.counts.total, 2)
  })

  it('that nobody goes on with ends with the fault that broke it, not with those of the recovery', async () => {
    const gateway = await start([{ script: [{ stall_after: 3 }] }, { answer: 'Another.' }, { script: [{ status: 500 }] }])
    const { text, done, error } = await readStream(await gateway.call(STREAM))
    assert.deepEqual([text, done, error?.code], ['One two three ', false, 'upstream_stalled'])
    assert.equal((await lineOf(gateway)).ending, 'broken')
  })

  describe('with `recover: prefill`', () => {
    const prefills = (name: string) => ({
      type: 'openai-compatible',
      base_url: `simulator:${name}/v1`,
      models: { m: { prefill: true } },
      retry: { attempts: 0 },
    })
    const asked = (gateway: Running, name: string) =>
      gateway.simulators.get(name)!.calls.map(({ body }: any) => body.messages.at(-1))

    it('is handed to a target that can go on with it, though others come before', async () => {
      const gateway = await running(
        JSON.stringify({
          simulators: [
            { name: 'a', script: [CUT], answer: ANSWER },
            { name: 'b', answer: 'Quite another answer.' },
            { name: 'c', answer: ANSWER },
          ],
          providers: {
            a: { type: 'openai', base_url: 'simulator:a/v1', keys: ['k'], retry: { attempts: 0 } },
            b: { type: 'openai', base_url: 'simulator:b/v1', keys: ['k'], retry: { attempts: 0 } },
            c: prefills('c'),
          },
          routes: { r: { targets: ['a/m', 'b/m', 'c/m'], recover: 'prefill' } },
        }),
      )
      open.push(gateway)
      const raw = await (await gateway.call({ ...STREAM, max_tokens: 100 })).text()
      const { text, done, chunks } = await readStream(new Response(raw))
      assert.deepEqual({ text, done }, { text: ANSWER, done: true })
      assert.match(raw, /^: recovered by prefill$/m)
      assert.deepEqual(asked(gateway, 'c'), [{ role: 'assistant', content: 'One two three four' }])
      assert.equal(gateway.simulators.get('b')!.counts.total, 0)
      const [{ body }] = gateway.simulators.get('c')!.calls as any
      assert.ok(body.max_tokens < 100 && body.max_tokens >= 90, `what the client has counts: ${body.max_tokens} are left`)
      const { usage } = chunks.at(-1)!
      assert.ok(usage.completion_tokens >= 12, 'what the client got is counted, not the rest alone')
      assert.equal(await gateway.metric('llm_recoveries_total', { kind: 'prefill', result: 'recovered' }), 1)
    })

    it('and refused there, is spliced by the same target', async () => {
      const gateway = await running(
        JSON.stringify({
          simulators: [
            { name: 'a', script: [CUT], answer: ANSWER },
            { name: 'c', answer: ANSWER, prefill: 'refuse' },
          ],
          providers: {
            a: { type: 'openai', base_url: 'simulator:a/v1', keys: ['k'], retry: { attempts: 0 } },
            c: prefills('c'),
          },
          routes: { r: { targets: ['a/m', 'c/m'], recover: 'prefill' } },
        }),
      )
      open.push(gateway)
      const { text, done } = await readStream(await gateway.call(STREAM))
      assert.deepEqual({ text, done }, { text: ANSWER, done: true })
      assert.equal(gateway.simulators.get('c')!.counts.total, 2)
      assert.equal(await gateway.metric('llm_recoveries_total', { kind: 'prefill', result: 'failed' }), 1)
      assert.equal(await gateway.metric('llm_recoveries_total', { kind: 'splice', result: 'recovered' }), 1)
    })
  })

  it('is not recovered with `recover: off`, nor when the call is refused by policy', async () => {
    const gateway = await start([{ script: [CUT] }, {}], { recover: 'off' })
    const { text, done, error } = await readStream(await gateway.call(STREAM))
    assert.deepEqual([text, done, error?.code], ['One two three four ', false, 'upstream_truncated'])
    assert.equal(gateway.simulators.get('b')!.counts.total, 0)
  })

  it('is not recovered once a tool call has begun, with several choices, or with logprobs', async () => {
    const tools = [
      { type: 'function', function: { name: 'look', parameters: { type: 'object', properties: { a: { type: 'string' } } } } },
    ]
    for (const [more, fault] of [
      [{ tools }, { cut_after: 2 }],
      [{ n: 2 }, CUT],
      [{ logprobs: true }, CUT],
    ] as const) {
      const gateway = await start([{ script: [fault] }, {}])
      const { done, error } = await readStream(await gateway.call({ ...STREAM, ...more }))
      assert.deepEqual([done, error?.code], [false, 'upstream_truncated'], JSON.stringify(more))
      assert.equal(gateway.simulators.get('b')!.counts.total, 0)
    }
  })

  it('is held back with `recover: hold`, so that any failure moves on unseen', async () => {
    for (const speaks of ['openai', 'anthropic'] as const) {
      const gateway = await start([{ speaks, script: [CUT] }, { answer: 'Something else.' }], { recover: 'hold' })
      const response = await gateway.call(STREAM)
      assert.equal(response.headers.get('x-understudy-target'), 'b/m')
      const { text, done, chunks } = await readStream(response)
      assert.deepEqual({ text, done }, { text: 'Something else.', done: true })
      assert.equal(chunks.at(-1)!.usage.completion_tokens, 2)
      assert.ok((await gateway.metric('llm_tokens_total', { target: 'a/m', kind: 'output' })) > 0)
      assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'complete' }), 1)
    }
  })

  it('leaves nothing behind when the client goes in the middle of the recovery', async () => {
    const gateway = await start([{ script: [CUT] }, { script: [{ slow_first_token: '3s' }] }])
    const leaving = new AbortController()
    const response = await gateway.call(STREAM, { signal: leaving.signal })
    const b = gateway.simulators.get('b')!
    const reading = response.text().catch(() => undefined)
    await until('the recovery has begun', () => b.counts.total === 1)
    leaving.abort()
    await reading
    await until('it is cancelled', () => b.counts.aborted === 1)
    assert.equal((await lineOf(gateway)).ending, 'abandoned')
    assert.equal(await gateway.metric('llm_in_flight'), 0)
  })

  it('is not begun again when the deadline leaves no time for it', async () => {
    const gateway = await start([{ script: [{ stall_after: 3 }] }, {}], { deadline: '350ms' })
    const { done, error } = await readStream(await gateway.call(STREAM))
    assert.deepEqual([done, error?.code], [false, 'upstream_timeout'])
    assert.equal(gateway.simulators.get('b')!.counts.total, 0)
  })

  it('after its finish is complete, whatever comes then', async () => {
    const events = (...after: string[]) =>
      [
        ...['One ', 'two.'].map(content => JSON.stringify({ id: 'x', model: 'm', choices: [{ index: 0, delta: { content } }] })),
        JSON.stringify({ id: 'x', model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
        ...after,
      ]
        .map(data => `data: ${data}\n\n`)
        .join('')
    const more = JSON.stringify({ id: 'x', model: 'm', choices: [{ index: 0, delta: { content: 'more' } }] })
    const again = JSON.stringify({ id: 'x', model: 'm', choices: [{ index: 0, delta: {}, finish_reason: 'length' }] })
    const failed = JSON.stringify({ error: { message: 'late', type: 'server_error' } })
    for (const body of [
      events(),
      events('[DONE]', more),
      events(again, '[DONE]'),
      events(failed),
      events('[DONE]', failed),
      events('{"half'),
    ]) {
      const gateway = await start([{ script: [{ status: 200, headers: { 'content-type': 'text/event-stream' }, body }] }, {}])
      const { text, done, error, chunks } = await readStream(await gateway.call(STREAM))
      const ends = chunks.flatMap(chunk => chunk.choices).flatMap(choice => choice.finish_reason ?? [])
      assert.deepEqual({ text, done, error, ends }, { text: 'One two.', done: true, error: undefined, ends: ['stop'] }, body)
      assert.equal((await lineOf(gateway)).ending, 'complete')
    }
  })
})
