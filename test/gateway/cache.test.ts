/* The cache from outside: what clients see, and how often the upstream is asked. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import OpenAI from 'openai'
import type { ScriptRule } from '../../src/config/simulation.ts'
import { heldClock } from '../support/clock.ts'
import { HELLO, type Running, type RunningOptions, readStream, running, until } from '../support/running.ts'

const TOOL = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
} as const

const open: Running[] = []
after(() => Promise.all(open.map(gateway => gateway.close())))

interface Options extends RunningOptions {
  readonly speaks?: 'openai' | 'anthropic'
  readonly cache?: object
  readonly route?: object
  readonly more?: object
  readonly simulator?: object
}

/** A route `kept` with a cache and a route `plain` without, over one simulator. */
async function start({ speaks = 'openai', cache, route, more, simulator, ...options }: Options = {}) {
  const gateway = await running(
    JSON.stringify({
      telemetry: { headers: 'full' },
      simulators: [{ name: 'a', speaks, ...simulator }],
      providers: {
        a: {
          type: speaks,
          base_url: 'simulator:a/v1',
          keys: ['key-of-a'],
          retry: { attempts: 0 },
          models: { m: { price: { input: 1, output: 1 } } },
          circuit: { failures: 1_000, min_calls: 100_000 },
        },
      },
      routes: { kept: { targets: ['a/m'], cache: { ttl: '10m', stale: '1h' }, ...route }, plain: ['a/m'] },
      ...(cache !== undefined && { cache }),
      ...more,
    }),
    options,
  )
  open.push(gateway)
  const upstream = gateway.simulators.get('a')!
  const ask = async (more: object = {}, headers: Record<string, string> = {}) => {
    const response = await gateway.call({ model: 'kept', messages: HELLO, ...more }, { headers })
    const cached = response.headers.get('x-understudy-cache')
    if ('stream' in more && more.stream === true && response.status === 200) {
      return { response, cached, stream: await readStream(response) }
    }
    return { response, cached, body: (await response.json()) as any }
  }
  return {
    gateway,
    upstream,
    ask,
    cached: async (more: object = {}, headers: Record<string, string> = {}) => (await ask(more, headers)).cached,
    script: (...rules: ScriptRule[]) => upstream.script(rules),
  }
}

describe('an answer that is kept', () => {
  it('is given again without asking anybody, as the answer that it was, and costs nothing', async () => {
    const { gateway, upstream, ask } = await start()
    const first = await ask()
    const again = await ask()
    assert.deepEqual([first.cached, again.cached], ['miss', 'hit'])
    assert.equal(upstream.counts.total, 1)
    assert.deepEqual(again.body, first.body)
    assert.equal(again.body.model, 'm')
    assert.equal(again.response.headers.get('x-understudy-target'), 'a/m')
    assert.equal(again.response.headers.get('x-understudy-attempts'), '0')
    assert.equal(again.response.headers.get('x-understudy-level'), 'normal')
    assert.equal(again.response.headers.get('x-understudy-cost-usd'), '0.000000')
    assert.equal(await gateway.metric('llm_cache_total', { route: 'kept', result: 'hit' }), 1)
    assert.equal(await gateway.metric('llm_cache_total', { route: 'kept', result: 'miss' }), 1)
    const { usage } = first.body
    assert.equal(await gateway.metric('llm_tokens_total'), usage.total_tokens, 'the tokens of the hit are not paid for')
    const calls = gateway.logs().filter(({ msg }) => msg === 'call')
    assert.deepEqual(
      calls.map(({ cache, costUsd }) => [cache, costUsd > 0]),
      [
        ['miss', true],
        ['hit', false],
      ],
    )
  })

  it('is off on a route without a cache, and is not counted there', async () => {
    const { gateway, upstream, cached } = await start()
    assert.deepEqual([await cached({ model: 'plain' }), await cached({ model: 'plain' })], ['off', 'off'])
    assert.equal(upstream.counts.total, 2)
    assert.equal(await gateway.metric('llm_cache_total'), 0)
  })

  for (const speaks of ['openai', 'anthropic'] as const) {
    for (const tools of [undefined, [TOOL]]) {
      const what = `${tools === undefined ? 'text' : 'a tool call'}, from a provider that speaks ${speaks}`
      it(`came whole and is replayed as a stream: ${what}`, async () => {
        const { upstream, ask } = await start({ speaks })
        const asked = tools === undefined ? {} : { tools }
        const { body } = await ask(asked)
        const { stream, cached } = await ask({ ...asked, stream: true })
        assert.equal(cached, 'hit')
        assert.equal(upstream.counts.total, 1)
        assert.equal(stream!.done, true)
        assert.equal(stream!.finish, body.choices[0].finish_reason)
        assert.equal(stream!.text, body.choices[0].message.content ?? '')
        const calls = stream!.chunks.flatMap(chunk => chunk.choices[0]?.delta.tool_calls ?? [])
        const [wanted] = body.choices[0].message.tool_calls ?? []
        assert.equal(calls[0]?.id, wanted?.id)
        assert.equal(calls.map(call => call.function.arguments).join(''), wanted?.function.arguments ?? '')
        assert.ok(stream!.chunks.every(chunk => chunk.model === body.model && chunk.usage === undefined))
      })

      it(`came as a stream and is replayed whole: ${what}`, async () => {
        const { upstream, ask } = await start({ speaks })
        const asked = tools === undefined ? {} : { tools }
        const { stream } = await ask({ ...asked, stream: true })
        const { body, cached } = await ask(asked)
        assert.equal(cached, 'hit')
        assert.equal(upstream.counts.total, 1)
        assert.equal(body.choices[0].message.content ?? '', stream!.text)
        assert.equal(body.choices[0].finish_reason, stream!.finish)
        const given = stream!.chunks.flatMap(chunk => chunk.choices[0]?.delta.tool_calls ?? [])
        const args = given.map(call => call.function?.arguments ?? '').join('')
        assert.equal(body.choices[0].message.tool_calls?.[0].function.arguments ?? '', args)
        assert.ok(body.usage.total_tokens > 0)
        assert.equal(body.model, 'm')
      })
    }
  }

  it('keeps its reasoning', async () => {
    const { ask } = await start({ speaks: 'anthropic' })
    const asked = { reasoning_effort: 'high', max_tokens: 20_000 }
    const { body } = await ask(asked)
    const { stream, cached } = await ask({ ...asked, stream: true })
    assert.equal(cached, 'hit')
    const { message } = body.choices[0]
    assert.ok(message.reasoning_content.length > 0)
    const deltas = stream!.chunks.flatMap(chunk => chunk.choices[0]?.delta ?? [])
    assert.equal(deltas.map(delta => delta.reasoning_content ?? '').join(''), message.reasoning_content)
    assert.deepEqual(
      deltas.flatMap(delta => delta.reasoning_details ?? []),
      message.reasoning_details,
    )
  })

  it('tells a stream its usage only where it is wanted', async () => {
    const { ask } = await start()
    const { body } = await ask()
    const { stream } = await ask({ stream: true, stream_options: { include_usage: true } })
    const told = stream!.chunks.filter(chunk => chunk.usage)
    assert.equal(told.length, 1)
    assert.equal(told[0].usage.total_tokens, body.usage.total_tokens)
  })

  it('reads as a stream of the official SDK', async () => {
    const { gateway, upstream, ask } = await start()
    const { body } = await ask()
    const client = new OpenAI({ apiKey: 'unused', baseURL: `${gateway.url}/v1` })
    const runner = client.chat.completions.stream({
      model: 'kept',
      messages: [...HELLO],
      stream_options: { include_usage: true },
    })
    const completion = await runner.finalChatCompletion()
    assert.equal(completion.choices[0]!.message.content, body.choices[0].message.content)
    assert.equal(completion.usage!.total_tokens, body.usage.total_tokens)
    assert.equal(completion.model, 'm')
    const withTools = await client.chat.completions.create({ model: 'kept', messages: [...HELLO], tools: [TOOL] })
    const tools = await client.chat.completions
      .stream({ model: 'kept', messages: [...HELLO], tools: [TOOL] })
      .finalChatCompletion()
    const called = ({ choices }: OpenAI.ChatCompletion) => choices[0]!.message.tool_calls![0]!
    const [whole, streamed] = [called(withTools), called(tools)] as const
    assert.ok(whole.type === 'function' && streamed.type === 'function')
    assert.deepEqual(
      [streamed.id, streamed.function.name, streamed.function.arguments],
      [whole.id, whole.function.name, whole.function.arguments],
    )
    assert.equal(upstream.counts.total, 2)
  })

  it('is for the same call only: what could change the answer misses, what cannot does not', async () => {
    const { cached } = await start()
    await cached({ temperature: 0, tools: [TOOL] })
    const body = { tools: [TOOL], temperature: 0 }
    for (const more of [{ user: 'u' }, { metadata: { a: 'b' } }, { stream: false }, { safety_identifier: 's' }]) {
      assert.equal(await cached({ ...more, ...body }), 'hit', JSON.stringify(more))
    }
    assert.equal(await cached({ ...body, messages: [{ content: 'Hello', role: 'user' }] }), 'hit', 'the order of keys')
    for (const more of [
      { temperature: 0.1 },
      { seed: 1 },
      { max_tokens: 50 },
      { unheard_of: true },
      { messages: [...HELLO, { role: 'user', content: 'Hello' }] },
      { tools: [{ ...TOOL, function: { ...TOOL.function, description: 'x' } }] },
    ]) {
      assert.equal(await cached({ ...body, ...more }), 'miss', JSON.stringify(more))
    }
  })

  it('is not kept of a body that two readers could read in two ways', async () => {
    const { gateway, upstream } = await start()
    const twice = '{"model": "kept", "messages": [{"role": "user", "content": "Evil", "content": "Hello"}]}'
    for (let n = 0; n < 2; n++) assert.equal((await gateway.call(twice)).headers.get('x-understudy-cache'), 'off')
    assert.equal(upstream.counts.total, 2)
  })

  it('is not kept when it was put together from two', async () => {
    const { ask, cached, script } = await start()
    script({ cut_after: 3, calls: [1, 1] })
    assert.equal((await ask({ stream: true })).stream!.done, true)
    assert.deepEqual([await cached({ stream: true }), await cached({ stream: true })], ['miss', 'hit'])
  })

  it('is not kept when it was cut off by a limit, broken, or left out a part', async () => {
    const { gateway, ask, cached, script } = await start({ route: { cache: { ttl: '10m' }, recover: 'off' } })
    for (let n = 0; n < 2; n++) {
      const { body, cached } = await ask({ max_tokens: 2 })
      assert.deepEqual([body.choices[0].finish_reason, cached], ['length', 'miss'])
    }
    script({ cut_after: 3, calls: [1, 1] }, { garbled_at: 2, calls: [2, 2] })
    assert.ok((await ask({ stream: true })).stream!.error)
    assert.equal((await ask({ stream: true })).stream!.done, true, 'without the part that made no sense')
    assert.equal(await cached({ stream: true }), 'miss')
    assert.equal(await cached({ stream: true }), 'hit')
    assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'complete' }), 3)
  })

  it('is kept for its time, and no longer than the sizes allow', async () => {
    const clock = heldClock()
    const { cached, gateway, upstream } = await start({ clock, route: { cache: { ttl: '10m' } } })
    assert.deepEqual([await cached(), await cached()], ['miss', 'hit'])
    await clock.pass(10 * 60_000 - 1)
    assert.equal(await cached(), 'hit')
    await clock.pass(1)
    assert.equal(await cached(), 'miss')
    assert.equal(upstream.counts.total, 2)
    await gateway.close()
    open.splice(open.indexOf(gateway), 1)

    const small = await start({ cache: { max_entry: '2KB' } })
    assert.deepEqual([await small.cached(), await small.cached()], ['miss', 'hit'])
    small.script({ huge: 3_000 })
    assert.deepEqual([await small.cached({ seed: 1 }), await small.cached({ seed: 1 })], ['miss', 'miss'])
  })
})

describe('who shares answers', () => {
  const clients = [
    { name: 'one', key: 'key-of-client-one' },
    { name: 'two', key: 'key-of-client-two' },
    { name: 'strict', key: 'key-of-client-strict', require: ['eu'] },
  ]
  const as = (name: string) => ({ authorization: `Bearer key-of-client-${name}` })

  it('is nobody but the client itself', async () => {
    const { cached } = await start({ more: { clients } })
    assert.deepEqual(
      [await cached({}, as('one')), await cached({}, as('two')), await cached({}, as('one')), await cached({}, as('two'))],
      ['miss', 'miss', 'hit', 'hit'],
    )
  })

  it('is everybody where the operator says so, but for who asks more of a provider', async () => {
    const { ask, cached } = await start({ more: { clients }, cache: { scope: 'shared' } })
    assert.deepEqual([await cached({}, as('one')), await cached({}, as('two'))], ['miss', 'hit'])
    const { response, cached: strict } = await ask({}, as('strict'))
    assert.deepEqual([response.status, strict], [503, 'miss'])
  })
})

describe('what the client says of caches', () => {
  it('no-store is neither read nor written', async () => {
    const { cached, upstream } = await start()
    const noStore = { 'cache-control': 'no-store' }
    assert.deepEqual([await cached({}, noStore), await cached(), await cached({}, noStore)], ['off', 'miss', 'off'])
    assert.equal(upstream.counts.total, 3)
  })

  it('no-cache asks anew, and what comes is kept', async () => {
    const { cached, upstream } = await start()
    const noCache = { 'cache-control': 'max-age=0, No-Cache' }
    assert.deepEqual([await cached({}, noCache), await cached(), await cached({}, noCache)], ['miss', 'hit', 'miss'])
    assert.equal(upstream.counts.total, 2)
  })

  it('neither gets an old answer when nobody can answer', async () => {
    const { ask, script, upstream } = await start()
    await ask()
    script({ status: 503 })
    for (const word of ['no-cache', 'no-store']) {
      const { response } = await ask({}, { 'cache-control': word })
      assert.equal(response.status, 503, word)
    }
    assert.equal(upstream.counts.total, 3)
  })
})

describe('when every target is down', () => {
  it('an old answer stands in and says so, whole and as a stream, until it is too old', async () => {
    const clock = heldClock()
    const { gateway, ask, cached, script } = await start({ clock, route: { cache: { ttl: '10m', stale: '1h' } } })
    const { body } = await ask()
    script({ status: 503 })
    assert.equal(await cached(), 'hit', 'it is still fresh')
    await clock.pass(11 * 60_000)
    const whole = await ask()
    assert.deepEqual([whole.response.status, whole.cached], [200, 'stale'])
    assert.deepEqual(whole.body.choices, body.choices)
    assert.equal(whole.response.headers.get('x-understudy-level'), 'cached')
    assert.equal(whole.response.headers.get('x-understudy-attempts'), '1')
    assert.equal(whole.response.headers.get('x-understudy-target'), 'a/m')
    const streamed = await ask({ stream: true })
    assert.deepEqual([streamed.cached, streamed.stream!.text], ['stale', body.choices[0].message.content])
    assert.equal(await gateway.metric('llm_cache_total', { result: 'stale' }), 2)
    assert.equal(await gateway.metric('llm_degraded_total', { route: 'kept', level: 'cached' }), 2)
    assert.equal((await ask({ seed: 7 })).response.status, 503, 'there is no old answer to another call')
    script()
    assert.equal(await cached(), 'miss', 'as soon as somebody can answer')
    assert.equal(await cached(), 'hit')
    script({ status: 503 })
    await clock.pass(71 * 60_000)
    assert.equal((await ask()).response.status, 503)
  })

  it('no old answer is given where the fault lies in the call', async () => {
    const clock = heldClock()
    const { ask, script } = await start({ clock })
    await ask()
    await clock.pass(11 * 60_000)
    script({ status: 400 })
    assert.equal((await ask()).response.status, 400)
    const tooLong = { error: { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded' } }
    script({ status: 400, body: tooLong })
    const { response, body } = await ask()
    assert.deepEqual([response.status, body.error.code], [400, 'context_length_exceeded'])
  })
})

describe('equal calls at the same time', () => {
  const AT_ONCE = 200
  const many = <T>(ask: (n: number) => Promise<T>, count = AT_ONCE) =>
    Promise.all(Array.from({ length: count }, (_, n) => ask(n)))

  it('go upstream once, whole and streams together', async () => {
    const { gateway, upstream, ask, script } = await start()
    script({ slow_first_token: 300, slow_tokens: 5 })
    const all = await many(n => ask({ stream: n % 2 === 0 }))
    assert.equal(upstream.counts.total, 1)
    const texts = new Set(all.map(({ body, stream }) => stream?.text ?? body.choices[0].message.content))
    assert.equal(texts.size, 1)
    assert.ok([...texts][0].length > 0)
    assert.ok(all.every(({ stream }) => stream === undefined || (stream.done && stream.finish === 'stop')))
    assert.equal(all.filter(({ cached }) => cached === 'hit').length, AT_ONCE - 1)
    assert.equal(await gateway.metric('llm_requests_total', { status: '200' }), AT_ONCE)
  })

  it('share an answer that is not kept afterwards, too', async () => {
    const { upstream, ask, script } = await start()
    script({ slow_first_token: 200 })
    const all = await many(() => ask({ max_tokens: 2 }), 20)
    assert.equal(upstream.counts.total, 1)
    assert.ok(all.every(({ body }) => body.choices[0].finish_reason === 'length'))
    await ask({ max_tokens: 2 })
    assert.equal(upstream.counts.total, 2)
  })

  for (const stream of [true, false]) {
    it(`do not suffer when the client of the first one leaves in the middle: ${stream ? 'stream' : 'whole'}`, async () => {
      const { gateway, upstream, ask, script } = await start({ simulator: { answer: 'one two three four five six seven eight' } })
      script({ slow_first_token: 100, slow_tokens: 50 })
      const leaving = new AbortController()
      const leader = gateway
        .call({ model: 'kept', messages: HELLO, stream }, { signal: leaving.signal })
        .then(response => response.text())
        .catch(() => 'left')
      await until('the leader asks', () => upstream.counts.total === 1)
      const followers = many(() => ask({ stream: true }), 20)
      await until('all are here', () => gateway.server.active() === 21)
      if (stream) await until('the answer has begun', () => upstream.calls[0]!.tokensSent > 2)
      leaving.abort()
      for (const { stream, cached } of await followers) {
        assert.ok(cached === 'hit' || cached === 'miss')
        assert.deepEqual([stream!.text, stream!.done], ['one two three four five six seven eight', true])
      }
      assert.equal(await leader, 'left')
      assert.equal(upstream.counts.total, 2, 'one of them asked for all')
      assert.equal(upstream.counts.aborted, 1)
    })
  }

  it('do not fail because the first one failed', async () => {
    const { gateway, upstream, ask, script } = await start()
    script({ calls: [1, 1], slow_first_token: 150, status: 503 })
    const first = ask()
    await until('the leader asks', () => upstream.counts.total === 1)
    const others = many(() => ask(), 20)
    await until('all are here', () => gateway.server.active() === 21)
    assert.equal((await first).response.status, 503)
    assert.ok((await others).every(({ response }) => response.status === 200))
    assert.equal(upstream.counts.total, 2)
  })

  it('are not kept in a row by a target that fails them all', async () => {
    const { upstream, ask, script } = await start()
    script({ slow_first_token: 100, status: 503 })
    const began = performance.now()
    const all = await many(() => ask(), 20)
    assert.ok(all.every(({ response }) => response.status === 503))
    assert.equal(upstream.counts.total, 20)
    assert.ok(performance.now() - began < 1_500, 'not one after the other')
  })

  it('do not wait for a slow one longer than for half of their time', async () => {
    const { gateway, upstream, ask, script } = await start({ route: { deadline: '2s', cache: { ttl: '1m' } } })
    script({ calls: [1, 1], never_answer: true })
    const leader = ask()
    await until('the leader asks', () => upstream.counts.total === 1)
    const all = many(() => ask(), 10)
    await until('all are here', () => gateway.server.active() === 11)
    assert.ok((await all).every(({ response }) => response.status === 200))
    assert.equal(upstream.counts.total, 2)
    assert.equal((await leader).response.status, 504)
  })

  it('go each for itself when the answer is too large to be kept', async () => {
    const { upstream, ask, script } = await start({ cache: { max_entry: '600B' } })
    script({ slow_first_token: 100, huge: 5_000 })
    const all = await many(() => ask(), 5)
    assert.ok(all.every(({ cached, body }) => cached === 'miss' && body.choices[0].message.content.length >= 5_000))
    assert.equal(upstream.counts.total, 5)
  })

  it('are two, where one wants a fresh answer', async () => {
    const { upstream, ask, script } = await start()
    script({ slow_first_token: 200 })
    await Promise.all([ask(), ask({}, { 'cache-control': 'no-cache' }), ask()])
    assert.equal(upstream.counts.total, 2)
  })

  it('leave nothing behind, whatever becomes of them', async () => {
    const { gateway, upstream, ask, script } = await start({ simulator: { answer: 'one two three four five six' } })
    script(
      { share: 0.1, status: 503 },
      { share: 0.1, cut_after: 3 },
      { share: 0.1, html: true },
      { share: 0.2, slow_first_token: 30, slow_tokens: 5 },
    )
    const one = async (n: number) => {
      const leaving = new AbortController()
      if (n % 5 === 0) setTimeout(() => leaving.abort(), n % 40)
      const body = { model: 'kept', messages: HELLO, seed: n % 50, stream: n % 2 === 0 }
      try {
        const response = await gateway.call(body, { signal: leaving.signal })
        if (response.status !== 200) await response.text()
        else if (body.stream) {
          const { text, done, error } = await readStream(response)
          assert.notEqual(done, error !== undefined)
          if (done) assert.equal(text, 'one two three four five six')
        } else assert.equal(((await response.json()) as any).choices[0].message.content, 'one two three four five six')
      } catch (error) {
        if (!leaving.signal.aborted) throw error
      }
    }
    for (let round = 0; round < 4; round++) await many(n => one(n + round), 100)
    await until('all are over', () => gateway.server.active() === 0 && upstream.counts.open === 0)
    assert.equal(await gateway.metric('llm_in_flight'), 0)
    script()
    const began = performance.now()
    for (let seed = 0; seed < 50; seed++) assert.equal((await ask({ seed })).response.status, 200)
    assert.ok(performance.now() - began < 5_000, 'nobody waits for a flight that is over')
  })
})
