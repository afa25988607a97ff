/* Streams: what is committed, what is told, and what becomes of those that break. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { SPOKEN } from '../../src/config/simulation.ts'
import { pair } from '../support/routes.ts'
import { HELLO, type Running, readStream, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'
const STREAM = { messages: HELLO, stream: true } as const

describe('streams', () => {
  const open: Running[] = []
  const start = async (options: Parameters<typeof pair>[0]) => {
    const gateway = await running(pair({ answer: ANSWER, ...options }))
    open.push(gateway)
    return gateway
  }
  after(() => Promise.all(open.map(gateway => gateway.close())))

  for (const speaks of SPOKEN) {
    describe(`from a provider that speaks ${speaks}`, () => {
      it('come whole, with a role first, a finish, and [DONE] last', async () => {
        const gateway = await start({ speaks })
        const response = await gateway.call({ model: 'pair', ...STREAM })
        assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
        assert.equal(response.headers.get('x-accel-buffering'), 'no')
        const { text, finish, done, error, chunks } = await readStream(response)
        assert.deepEqual({ text, finish, done, error }, { text: ANSWER, finish: 'stop', done: true, error: undefined })
        assert.equal(chunks[0].choices[0].delta.role, 'assistant')
        assert.equal(new Set(chunks.map(({ id }) => id)).size, 1, 'one id')
        assert.ok(
          chunks.every(({ usage }) => usage === undefined || usage === null),
          'no usage for who did not ask',
        )
        await until('settled', async () => (await gateway.metric('llm_stream_endings_total', { ending: 'complete' })) === 1)
      })

      it('give the usage to clients that ask for it, once, at the end', async () => {
        const gateway = await start({ speaks })
        const { chunks } = await readStream(
          await gateway.call({ model: 'pair', ...STREAM, stream_options: { include_usage: true } }),
        )
        const last = chunks.at(-1)
        assert.deepEqual(last.choices, [])
        assert.ok(last.usage.completion_tokens > 0)
        assert.equal(chunks.filter(({ usage }) => usage !== undefined && usage !== null).length, 1)
      })

      it('count the tokens of clients that did not ask for usage, too', async () => {
        const gateway = await start({ speaks })
        await readStream(await gateway.call({ model: 'pair', ...STREAM }))
        await until('counted', async () => (await gateway.metric('llm_tokens_total', { kind: 'output' })) > 0)
      })

      for (const cut_how of ['reset', 'clean', 'half-chunk'] as const) {
        it(`that are cut after content (${cut_how}) end with an error event and no [DONE] where nothing recovers them`, async () => {
          const gateway = await start({
            speaks,
            script: [{ cut_after: 4, cut_how }],
            primary: { circuit: { failures: 1 } },
            route: { recover: 'off' },
          })
          const { text, done, error, finish } = await readStream(await gateway.call({ model: 'pair', ...STREAM }))
          assert.equal(ANSWER.startsWith(text), true, `"${text}" is a beginning of the answer`)
          assert.ok(text.length > 0 && text.length < ANSWER.length)
          assert.equal(done, false)
          assert.equal(finish, null)
          assert.equal(error?.code, 'upstream_truncated')
          const { circuits } = gateway.assembled.gateway
          await until('the circuit learns', () => circuits.state('primary/model-a') === 'open')
          assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'broken' }), 1)
          assert.equal(await gateway.metric('llm_in_flight', { target: 'primary/model-a' }), 0)
        })
      }

      it('that fall silent after content end with an error event', async () => {
        const gateway = await start({ speaks, script: [{ stall_after: 3 }], route: { recover: 'off' } })
        const { text, done, error } = await readStream(await gateway.call({ model: 'pair', ...STREAM }))
        assert.ok(text.length > 0)
        assert.equal(done, false)
        assert.equal(error?.code, 'upstream_stalled')
        await until('the upstream is let go', () => gateway.simulators.get('primary')!.counts.open === 0)
      })

      it('that tell of an error after content end with an error event', async () => {
        const error_in_200 = { type: 'overloaded_error', message: 'Overloaded', after: 4 }
        const gateway = await start({ speaks, script: [{ error_in_200 }], route: { recover: 'off' } })
        const { text, done, error } = await readStream(await gateway.call({ model: 'pair', ...STREAM }))
        assert.ok(ANSWER.startsWith(text) && text.length > 0)
        assert.equal(done, false)
        assert.equal(error?.code, 'upstream_overloaded')
      })

      it('that finish without a terminator are complete', async () => {
        const gateway = await start({ speaks, script: [{ no_done: true }] })
        const { text, done, error } = await readStream(await gateway.call({ model: 'pair', ...STREAM }))
        assert.deepEqual({ text, done, error }, { text: ANSWER, done: true, error: undefined })
      })

      it('with one event that makes no sense go on without it, and it is counted', async () => {
        const gateway = await start({ speaks, script: [{ garbled_at: 5 }] })
        const { done, error, text } = await readStream(await gateway.call({ model: 'pair', ...STREAM }))
        assert.deepEqual({ done, error }, { done: true, error: undefined })
        assert.ok(text.length < ANSWER.length, 'the garbled event is gone')
        assert.equal(await gateway.metric('llm_errors_total', { fault: 'upstream-garbled' }), 1)
      })

      it('that are cut before their first content are answered by the next target', async () => {
        const gateway = await start({ speaks, script: [{ cut_after: 0, cut_how: 'reset' }] })
        const response = await gateway.call({ model: 'pair', ...STREAM })
        assert.equal(response.headers.get('x-understudy-target'), 'backup/model-b')
        const { text, done } = await readStream(response)
        assert.deepEqual({ text, done }, { text: ANSWER, done: true })
      })

      it('are cancelled upstream when the client leaves in the middle, and nobody is blamed', async () => {
        const gateway = await start({ speaks, script: [{ slow_tokens: '30ms' }], primary: { circuit: { failures: 1 } } })
        const leaving = new AbortController()
        const response = await gateway.call({ model: 'pair', ...STREAM }, { signal: leaving.signal })
        const reader = response.body!.getReader()
        await reader.read()
        leaving.abort()
        const { counts } = gateway.simulators.get('primary')!
        await until('the upstream sees it', () => counts.aborted === 1, 500)
        await until('settled', async () => (await gateway.metric('llm_stream_endings_total', { ending: 'abandoned' })) === 1)
        assert.equal(gateway.assembled.gateway.circuits.state('primary/model-a'), 'closed')
        assert.equal(await gateway.metric('llm_in_flight', { target: 'primary/model-a' }), 0)
      })
    })
  }

  it('end with an error event when the deadline of the call passes in the middle', async () => {
    const gateway = await start({
      script: [{ slow_tokens: '80ms' }],
      route: { deadline: '400ms' },
      primary: { circuit: { failures: 1 } },
    })
    const { text, done, error } = await readStream(await gateway.call({ model: 'pair', ...STREAM }))
    assert.ok(text.length > 0)
    assert.equal(done, false)
    assert.equal(error?.code, 'upstream_timeout')
    const state = gateway.assembled.gateway.circuits.state('primary/model-a')
    assert.equal(state, 'closed', 'a stream that flowed is not to blame for the deadline')
  })

  it('of a provider that answers a whole body instead are written as streams, and the reverse', async () => {
    const gateway = await start({})
    const body = {
      id: 'x',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }],
    }
    gateway.simulators.get('primary')!.script([{ status: 200, headers: { 'content-type': 'application/json' }, body }])
    const { text, done, finish } = await readStream(await gateway.call({ model: 'alone', ...STREAM }))
    assert.deepEqual({ text, done, finish }, { text: ANSWER, done: true, finish: 'stop' })

    const events = `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta: { content: ANSWER }, finish_reason: null }] })}\n\ndata: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`
    gateway.simulators.get('primary')!.script([{ status: 200, headers: { 'content-type': 'text/event-stream' }, body: events }])
    const whole = (await (await gateway.call({ model: 'alone', messages: HELLO })).json()) as any
    assert.equal(whole.object, 'chat.completion')
    assert.equal(whole.choices[0].message.content, ANSWER)
    assert.equal(whole.choices[0].finish_reason, 'stop')
  })

  it('are relayed byte for byte where the provider speaks as the client does', async () => {
    const gateway = await start({})
    const chunk = (fields: object) => `data: ${JSON.stringify({ id: 'x', odd_field: [1e40, 'ü'], ...fields })}\n\n`
    const first = chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi', odd: true }, finish_reason: null }] })
    const last = `data: {"id":"x", "choices":[ {"index":0,"delta":{},"finish_reason":"stop"}], "n": 12345678901234567890}\n\n`
    gateway.simulators
      .get('primary')!
      .script([{ status: 200, headers: { 'content-type': 'text/event-stream' }, body: `${first}${last}data: [DONE]\n\n` }])
    const response = await gateway.call({ model: 'alone', ...STREAM })
    assert.equal(await response.text(), `${first}${last}data: [DONE]\n\n`)
  })

  it('200 at once through a primary that fails every second call are all answered whole', async () => {
    // No resets: a reused connection that dies is replayed without counting as an attempt.
    const faults = [
      { every: 8, status: 503 },
      { every: 6, html: true },
      { every: 4, cut_after: 0 },
      { every: 2, error_in_200: true },
    ]
    const gateway = await start({ script: faults, backupSpeaks: 'anthropic' })
    const answers = await Promise.all(
      Array.from({ length: 200 }, async () => readStream(await gateway.call({ model: 'pair', ...STREAM }))),
    )
    for (const { text, done, error } of answers)
      assert.deepEqual({ text, done, error }, { text: ANSWER, done: true, error: undefined })
    const settled = await gateway.metric('llm_requests_total', { status: '200', stream: 'true' })
    assert.equal(settled, 200)
    const { primary, backup } = Object.fromEntries(gateway.simulators)
    assert.ok(backup!.counts.total > 0)
    const attempts = await gateway.metric('llm_attempts_total')
    const passedOver = await gateway.metric('llm_attempts_total', { outcome: 'passed-over:circuit-open' })
    assert.equal(
      attempts - passedOver,
      primary!.counts.total + backup!.counts.total,
      'every upstream call is settled, and no other',
    )
    assert.equal(await gateway.metric('llm_in_flight'), 0)
  })
})
