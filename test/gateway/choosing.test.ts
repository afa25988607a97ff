/* The choosers and sticky callers over TCP: a configuration as an operator would write it, and simulators behind it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../state/seeded-random.ts'
import { HELLO, type Running, running, until } from '../support/running.ts'

/** The machine's time, which a test can put forward. Timers that run are not shortened. */
function forwardedClock(): Clock & { forward(ms: number): void } {
  let aheadMs = 0
  return {
    now: () => systemClock.now() + aheadMs,
    ticks: () => systemClock.ticks() + aheadMs,
    after: systemClock.after,
    forward(ms) {
      aheadMs += ms
    },
  }
}

const NAMES = ['one', 'two', 'three'] as const
type Name = (typeof NAMES)[number]

interface Options {
  readonly scripts?: Readonly<Partial<Record<Name, readonly object[]>>>
  readonly prices?: Readonly<Partial<Record<Name, object>>>
  readonly routes: object
  readonly more?: object
  readonly clock?: Clock
}

/** Three providers, each a simulator, and the targets `one/m`, `two/m` and `three/m`. */
function three({ scripts = {}, prices = {}, routes, more, clock }: Options): Promise<Running> {
  const text = JSON.stringify({
    telemetry: { headers: 'full' },
    simulators: NAMES.map(name => ({ name, script: scripts[name] ?? [] })),
    providers: Object.fromEntries(
      NAMES.map(name => {
        const models = prices[name] === undefined ? {} : { m: { price: prices[name] } }
        return [
          name,
          {
            type: 'openai-compatible',
            base_url: `simulator:${name}/v1`,
            keys: [`key-of-${name}`],
            retry: { attempts: 0 },
            // What keeps calls away here is the chooser.
            circuit: { failures: 1_000, min_calls: 10_000 },
            models,
          },
        ]
      }),
    ),
    routes,
    ...more,
  })
  return running(text, { random: seededRandom(8), ...(clock !== undefined && { clock }), env: {} })
}

interface Asked {
  readonly stream?: boolean
  readonly user?: string
  readonly headers?: Record<string, string>
}

/** Who answered, by the name of its provider. */
async function asked(gateway: Running, model: string, { headers = {}, ...more }: Asked = {}): Promise<string> {
  const response = await gateway.call({ model, messages: HELLO, ...more }, { headers })
  assert.equal(response.status, 200, await response.clone().text())
  await response.text()
  return response.headers.get('x-understudy-target')!.split('/')[0]!
}

async function times(count: number, ask: () => Promise<string>): Promise<Record<string, number>> {
  const got: Record<string, number> = {}
  for (let call = 0; call < count; call++) {
    const name = await ask()
    got[name] = (got[name] ?? 0) + 1
  }
  return got
}

const targets = NAMES.map(name => `${name}/m`)

describe('choose', () => {
  for (const stream of [true, false]) {
    it(`latency finds the quickest for ${stream ? 'streams' : 'whole answers'}, and a slow one again when it has recovered`, async () => {
      const clock = forwardedClock()
      const slow = (ms: number) => [{ calls: [1, 1], slow_first_token: `${ms}ms` }]
      const route = { choose: 'latency', targets: ['one/m', 'two/m'] }
      const gateway = await three({ scripts: { one: slow(400) }, routes: { r: route }, clock })
      try {
        const ask = () => asked(gateway, 'r', { stream })
        assert.deepEqual(await times(2, ask), { one: 1, two: 1 }, 'each unknown target gets a call')
        assert.deepEqual(await times(10, ask), { two: 10 })
        // What was seen of it sinks while nobody asks; of the other it is seen anew.
        clock.forward(100_000)
        await ask()
        assert.ok((await times(20, ask)).one! > 0, 'it gets calls again')
      } finally {
        await gateway.close()
      }
    })
  }

  it('latency keeps away from a target that has begun to refuse, though it was the quicker and refuses at once', async () => {
    const scripts = { one: [{ calls: [2, 100], status: 503 }], two: [{ slow_first_token: '50ms' }] }
    const gateway = await three({ scripts, routes: { r: { choose: 'latency', targets: ['one/m', 'two/m'] } } })
    try {
      assert.deepEqual(await times(12, () => asked(gateway, 'r')), { one: 1, two: 11 })
      assert.equal(await gateway.metric('llm_attempts_total', { provider: 'one', outcome: 'upstream-overloaded' }), 1)
    } finally {
      await gateway.close()
    }
  })

  it('least_busy sends calls of one moment to different targets, and counts them off again', async () => {
    const script = [{ slow_first_token: '150ms' }]
    const scripts = { one: script, two: script, three: script }
    const gateway = await three({ scripts, routes: { r: { choose: 'least_busy', targets } } })
    try {
      const names = await Promise.all(Array.from({ length: 9 }, () => asked(gateway, 'r', { stream: true })))
      assert.deepEqual(names.sort(), [...NAMES, ...NAMES, ...NAMES].sort())
      await until('nothing is in flight', async () => (await gateway.metric('llm_in_flight')) === 0)
      const { paces } = gateway.assembled.gateway
      for (const id of targets) assert.equal(paces.inFlight(id), 0)
    } finally {
      await gateway.close()
    }
  })

  it('cost asks the cheapest, then the next cheapest, and one without a price last', async () => {
    const prices = { two: { input: 5, output: 5 }, three: { input: 1, output: 1 } }
    const gateway = await three({
      scripts: { three: [{ calls: [2, 3], status: 503 }] },
      prices,
      routes: { r: { choose: 'cost', targets } },
    })
    try {
      assert.equal(await asked(gateway, 'r'), 'three')
      assert.equal(await asked(gateway, 'r'), 'two')
      assert.equal(await asked(gateway, 'r', { stream: true }), 'two')
      assert.equal(await asked(gateway, 'r'), 'three')
    } finally {
      await gateway.close()
    }
  })

  it('the pace of streams is known afterwards: their first content and their speed', async () => {
    const gateway = await three({
      scripts: { one: [{ slow_first_token: '40ms', slow_tokens: '5ms' }] },
      routes: { r: ['one/m'] },
    })
    try {
      await Promise.all(Array.from({ length: 20 }, () => asked(gateway, 'r', { stream: true })))
      const { paces } = gateway.assembled.gateway
      const medianMs = paces.medianMs('one/m', 'stream')!
      assert.ok(medianMs >= 35 && medianMs < 1_000, `${medianMs}`)
      assert.equal(paces.medianMs('one/m', 'whole'), undefined)
      const speed = paces.tokensPerSecond('one/m')!
      assert.ok(speed > 1 && speed < 500, `${speed}`)
    } finally {
      await gateway.close()
    }
  })
})

describe('sticky', () => {
  const session = (name: string) => ({ headers: { 'x-understudy-session': name } })
  let gateway: Running
  before(async () => {
    gateway = await three({
      routes: {
        bySession: { sticky: 'session', targets },
        byClient: { sticky: 'client', targets },
        loose: { choose: 'weighted', targets },
      },
      more: {
        clients: Array.from({ length: 20 }, (_, at) => ({ name: `team-${at}`, key: `key-of-team-${at}` })),
      },
    })
  })
  after(() => gateway.close())

  const as = (team: number, headers = {}) => ({ authorization: `Bearer key-of-team-${team}`, ...headers })

  it('session keeps a session at its target, by the header or by the user of the call, and sessions spread', async () => {
    const firsts = new Set<string>()
    for (let at = 0; at < 20; at++) {
      const headers = as(0, session(`s${at}`).headers)
      const first = await asked(gateway, 'bySession', { headers })
      firsts.add(first)
      assert.deepEqual(await times(2, () => asked(gateway, 'bySession', { headers, stream: true })), { [first]: 2 })
      assert.equal(await asked(gateway, 'bySession', { headers: as(0), user: `s${at}` }), first)
    }
    assert.deepEqual([...firsts].sort(), [...NAMES].sort())
  })

  it('client keeps a client at its target, and clients spread', async () => {
    const firsts = new Set<string>()
    for (let team = 0; team < 20; team++) {
      const got = await times(3, () => asked(gateway, 'byClient', { headers: as(team) }))
      assert.equal(Object.keys(got).length, 1)
      firsts.add(Object.keys(got)[0]!)
    }
    assert.deepEqual([...firsts].sort(), [...NAMES].sort())
  })

  it('a route that is not sticky does not look at the session', async () => {
    const headers = as(0, session('s1').headers)
    const got = await times(30, () => asked(gateway, 'loose', { headers }))
    assert.equal(Object.keys(got).length, 3)
  })

  it('a session goes to its second target while the first is away, and comes back', async () => {
    const clock = forwardedClock()
    const failing = await three({ routes: { r: { sticky: 'session', targets } }, clock })
    try {
      const ask = () => asked(failing, 'r', session('mine'))
      const home = await ask()
      const { circuits } = failing.assembled.gateway
      circuits.force(`${home}/m`, 'open')
      const away = await times(10, ask)
      assert.equal(Object.keys(away).length, 1, 'the second target is the same for every call')
      assert.ok(!(home in away))
      circuits.force(`${home}/m`, 'auto')
      assert.deepEqual(await times(10, ask), { [home]: 10 })
    } finally {
      await failing.close()
    }
  })
})
