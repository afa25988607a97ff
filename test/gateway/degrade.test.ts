/* The rungs of a route, by themselves and by hand, from outside. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import OpenAI from 'openai'
import { systemClock } from '../../src/core/clock.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { heldClock } from '../support/clock.ts'
import { HELLO, type Running, type RunningOptions, readStream, running, until } from '../support/running.ts'

const TOKEN = 'admin-secret'
const OFFLINE = 'We are having trouble reaching our language models.'
const DOWN = [{ status: 503 }]
const TOOL = { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: {} } } }
const PICTURE = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
const SCHEMA = { type: 'json_schema', json_schema: { name: 's', schema: { type: 'object', properties: {} } } }

const LADDER = [
  { level: 'reduced', targets: ['small/s'], max_tokens: 200 },
  { level: 'minimal', targets: ['tiny/t'], max_tokens: 100, drop: ['tools', 'vision', 'json_schema'] },
  { level: 'cached' },
  { level: 'offline', message: OFFLINE },
]

const open: Running[] = []
after(() => Promise.all(open.map(gateway => gateway.close())))

const NAMES = ['big', 'small', 'tiny'] as const
type Name = (typeof NAMES)[number]

/** A route `r` whose targets come down from big to tiny. `down`: those that answer 503. */
async function start(down: readonly Name[] = [], route: object = {}, options: RunningOptions = {}) {
  const provider = (name: string) => ({
    type: 'openai-compatible',
    base_url: `simulator:${name}/v1`,
    keys: ['a-key'],
    retry: { attempts: 0 },
    circuit: { failures: 1_000, min_calls: 100_000 },
    models: name === 'tiny' ? { t: { supports: [] } } : {},
  })
  const gateway = await running(
    JSON.stringify({
      admin: { token: TOKEN },
      telemetry: { headers: 'full' },
      simulators: NAMES.map(name => ({ name, script: down.includes(name) ? DOWN : [] })),
      providers: Object.fromEntries(NAMES.map(name => [name, provider(name)])),
      routes: {
        r: { targets: ['big/b'], cache: { ttl: '10m' }, degrade: LADDER, ...route },
        'p/*': { targets: ['big/*'], degrade: [{ level: 'reduced', targets: ['small/*-small'] }] },
        plain: ['big/b'],
      },
    }),
    options,
  )
  open.push(gateway)
  const calls = (name: Name) => gateway.simulators.get(name)!.calls
  const ask = async (more: object = {}) => {
    const response = await gateway.call({ model: 'r', messages: HELLO, ...more })
    return {
      response,
      level: response.headers.get('x-understudy-level'),
      target: response.headers.get('x-understudy-target'),
      cached: response.headers.get('x-understudy-cache'),
      leftOut: response.headers.get('x-understudy-left-out'),
    }
  }
  const admin = async (method: string, body?: unknown, name = 'r', token = TOKEN) => {
    const response = await fetch(`${gateway.adminUrl}/admin/routes/${name}/level`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as any }
  }
  return {
    gateway,
    ask,
    admin,
    set: (level: string, forTime?: string) => admin('PUT', { level, ...(forTime !== undefined && { for: forTime }) }),
    lastCall: (name: Name) => calls(name).at(-1)!.body as any,
    script: (name: Name, rules: readonly object[]) => gateway.simulators.get(name)!.script(rules),
  }
}

describe('the rungs, by themselves', () => {
  it('are not touched while all is well', async () => {
    const { gateway, ask } = await start()
    const { level, target } = await ask()
    assert.deepEqual([level, target], ['normal', 'big/b'])
    assert.equal((await ask({ model: 'plain' })).level, 'normal')
    assert.equal(await gateway.metric('llm_degraded_total'), 0)
  })

  it('reduced: the next target, and the length of the answer capped', async () => {
    const { gateway, ask, lastCall } = await start(['big'])
    for (const [asked, sent] of [
      [{}, { max_tokens: 200 }],
      [{ max_tokens: 150 }, { max_tokens: 150 }],
      [{ max_tokens: 5_000 }, { max_tokens: 200 }],
      [{ max_completion_tokens: 5_000 }, { max_completion_tokens: 200 }],
      [{ max_completion_tokens: 150 }, { max_completion_tokens: 150 }],
    ]) {
      const { response, level, target } = await ask(asked)
      assert.deepEqual([level, target], ['reduced', 'small/s'])
      assert.equal(((await response.json()) as any).model, 's')
      const { model, messages, ...rest } = lastCall('small')
      assert.deepEqual([model, messages, rest], ['s', HELLO, sent])
    }
    assert.equal(await gateway.metric('llm_degraded_total', { route: 'r', level: 'reduced' }), 5)
    assert.equal(gateway.logs().at(-1)!.rung, 'reduced')
  })

  it('reduced: tools and unknown fields go with it, and its answer is not kept for better times', async () => {
    const { ask, lastCall, script } = await start(['big'])
    await ask({ tools: [TOOL], unheard_of: { a: 1 }, stream: true })
    assert.deepEqual([lastCall('small').tools, lastCall('small').unheard_of], [[TOOL], { a: 1 }])
    assert.equal((await ask()).level, 'reduced')
    script('big', [])
    const { level, cached } = await ask()
    assert.deepEqual([level, cached], ['normal', 'miss'])
  })

  it('minimal: without tools, pictures and schema, and says so', async () => {
    const { ask, lastCall } = await start(['big', 'small'])
    const { response, level, target, leftOut } = await ask({
      tools: [TOOL],
      tool_choice: 'auto',
      response_format: SCHEMA,
      temperature: 0.5,
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'What is this?' }, PICTURE] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'Sunny' },
      ],
    })
    assert.equal(response.status, 200)
    assert.deepEqual([level, target], ['minimal', 'tiny/t'])
    assert.equal(leftOut, 'tools, vision, json_schema')
    assert.deepEqual(lastCall('tiny'), {
      model: 't',
      temperature: 0.5,
      max_tokens: 100,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'text', text: '[An image was here; it cannot be shown.]' },
          ],
        },
        { role: 'assistant', content: '[Called get_weather with {}]' },
        { role: 'user', content: '[Result of get_weather] Sunny' },
      ],
    })
    assert.equal((await ask()).leftOut, null, 'nothing was there to be left out')
  })

  it('cached: an old answer, and offline only when there is none', async () => {
    const clock = heldClock()
    const cache = { ttl: '10m', stale: '1h' }
    const { ask, script } = await start([], { cache }, { clock })
    await (await ask()).response.text()
    await clock.pass(11 * 60_000)
    for (const name of NAMES) script(name, DOWN)
    const { level, cached, target, response } = await ask()
    assert.deepEqual([response.status, level, cached, target], [200, 'cached', 'stale', 'big/b'])
    assert.equal((await ask({ seed: 1 })).level, 'offline')
  })

  it('offline: an honest answer, whole and as a stream, that the official SDK reads', async () => {
    const { gateway, ask } = await start(['big', 'small', 'tiny'])
    const { response, level, target, cached } = await ask({ n: 2 })
    assert.deepEqual([response.status, level, target, cached], [200, 'offline', 'understudy/offline', 'miss'])
    assert.equal(response.headers.get('x-understudy-attempts'), '3')
    assert.equal(response.headers.get('x-understudy-cost-usd'), '0.000000')
    const body = (await response.json()) as any
    assert.equal(body.model, 'understudy/offline')
    assert.deepEqual(
      body.choices.map((choice: any) => [choice.index, choice.message.content, choice.finish_reason]),
      [
        [0, OFFLINE, 'stop'],
        [1, OFFLINE, 'stop'],
      ],
    )
    assert.deepEqual(body.usage, { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })
    const streamed = await ask({ stream: true })
    assert.equal(streamed.level, 'offline')
    const { text, finish, done } = await readStream(streamed.response)
    assert.deepEqual([text, finish, done], [OFFLINE, 'stop', true])
    const client = new OpenAI({ apiKey: 'unused', baseURL: `${gateway.url}/v1` })
    const completion = await client.chat.completions.stream({ model: 'r', messages: [...HELLO] }).finalChatCompletion()
    assert.equal(completion.choices[0]!.message.content, OFFLINE)
    assert.equal(await gateway.metric('llm_degraded_total', { level: 'offline' }), 3)
    assert.equal(await gateway.metric('llm_requests_total', { route: 'r', target: 'none', status: '200' }), 3)
    assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'complete' }), 2)
  })

  it('are not come down to where the fault lies in the call', async () => {
    const { ask, script } = await start()
    script('big', [{ status: 400 }])
    const { response, level } = await ask()
    assert.deepEqual([response.status, level], [400, 'normal'])
    const tooLong = { error: { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded' } }
    for (const name of NAMES) script(name, [{ status: 400, body: tooLong }])
    assert.equal((await ask()).response.status, 400, 'being offline is not why')
  })

  it('carry over what a star stood for', async () => {
    const { ask } = await start(['big'])
    const { level, target } = await ask({ model: 'p/x' })
    assert.deepEqual([level, target], ['reduced', 'small/x-small'])
  })
})

describe('the level of a route, by hand', () => {
  it('is where its plans begin, with the rungs after it as fallback, until it is set back', async () => {
    const { ask, set, admin, script } = await start()
    assert.equal((await ask()).level, 'normal')
    const shown = { route: 'r', level: 'reduced', levels: ['normal', 'reduced', 'minimal', 'cached', 'offline'] }
    assert.deepEqual((await set('reduced')).body, shown)
    assert.deepEqual((await admin('GET')).body, shown)
    const { level, target, cached } = await ask()
    assert.deepEqual([level, target, cached], ['reduced', 'small/s', 'off'], 'what a better one answered is not what is wanted')
    script('small', DOWN)
    assert.equal((await ask()).level, 'minimal')
    await set('offline')
    assert.equal((await ask()).level, 'offline')
    await set('normal')
    assert.deepEqual((await admin('GET')).body.level, 'normal')
    assert.deepEqual([(await ask()).level, (await ask()).cached], ['normal', 'hit'])
  })

  it('cached: answers from the cache alone, then the rung after it', async () => {
    const { ask, set, gateway } = await start()
    await ask()
    await set('cached')
    const { level, cached, target } = await ask()
    assert.deepEqual([level, cached, target], ['cached', 'hit', 'big/b'])
    assert.equal((await ask({ seed: 1 })).level, 'offline')
    assert.equal(gateway.simulators.get('big')!.counts.total, 1)
  })

  it('tells on errors, too', async () => {
    const { ask, set } = await start(['small'], { degrade: [{ level: 'reduced', targets: ['small/s'] }] })
    await set('reduced')
    const { response, level } = await ask()
    assert.deepEqual([response.status, level], [503, 'reduced'])
  })

  it('ends by itself after its time', async () => {
    const clock = heldClock()
    const { ask, set, admin } = await start([], {}, { clock })
    const { body } = await set('reduced', '30m')
    assert.equal(Date.parse(body.until), clock.now() + 30 * 60_000)
    await clock.pass(30 * 60_000 - 1)
    assert.equal((await ask()).level, 'reduced')
    await clock.pass(1)
    assert.equal((await ask()).level, 'normal')
    assert.deepEqual([(await admin('GET')).body.level, (await admin('GET')).body.until], ['normal', undefined])
  })

  it('is seen by every replica within a second', async () => {
    const store = embeddedStore(systemClock)
    const one = await start([], {}, { store })
    const two = await start([], {}, { store })
    let seed = 0
    await one.set('reduced')
    await until('the other one sees it', async () => (await two.ask({ seed: seed++ })).level === 'reduced', 1_000)
    await two.set('normal')
    await until('and back', async () => (await one.ask({ seed: seed++ })).level === 'normal', 1_000)
  })

  it('is set on routes with a star and a slash by their name', async () => {
    const { ask, admin } = await start()
    for (const name of ['p/*', 'p%2F*']) {
      assert.equal((await admin('PUT', { level: 'reduced' }, name)).status, 200)
      assert.equal((await ask({ model: 'p/x' })).target, 'small/x-small')
      assert.equal((await admin('PUT', { level: 'normal' }, name)).status, 200)
    }
  })

  it('is refused with a remedy when it makes no sense', async () => {
    const { admin } = await start()
    const refused = async (status: number, pattern: RegExp, ...args: Parameters<typeof admin>) => {
      const { status: got, body } = await admin(...args)
      assert.equal(got, status)
      assert.match(body.error.message, pattern)
    }
    await refused(400, /one that this route has: normal, reduced, minimal, cached, offline\.$/, 'PUT', { level: 'low' })
    await refused(400, /one that this route has: normal\.$/, 'PUT', { level: 'offline' }, 'plain')
    await refused(400, /"for" must be a duration/, 'PUT', { level: 'reduced', for: 'long' })
    await refused(400, /"for" must be longer than nothing/, 'PUT', { level: 'reduced', for: '0s' })
    await refused(400, /"for" must not be longer than 365d/, 'PUT', { level: 'reduced', for: '99999999999999d' })
    await refused(400, /"level" must be/, 'PUT', {})
    await refused(404, /no route "nowhere"/, 'GET', undefined, 'nowhere')
    await refused(401, /asks for its token/, 'PUT', { level: 'offline' }, 'r', 'wrong')
    assert.equal((await admin('GET')).body.level, 'normal')
  })
})
