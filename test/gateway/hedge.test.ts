/* A second attempt beside a slow one: when it is made, which of them the client gets, and what becomes of the other. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { HELLO, type Running, running, until } from '../support/running.ts'

interface Part {
  readonly script?: readonly object[]
  readonly delay?: string
}

/** Providers a, b, c … in this order behind the route `r`; each says its own name. */
function chain(parts: readonly Part[], route: object): string {
  const named = parts.map((part, at) => ({ name: String.fromCharCode(97 + at), ...part }))
  return JSON.stringify({
    telemetry: { headers: 'full' },
    simulators: named.map(({ name, script = [] }) => ({ name, script, answer: `This is ${name}, who answers.` })),
    providers: Object.fromEntries(
      named.map(({ name }) => [
        name,
        {
          type: 'openai',
          base_url: `simulator:${name}/v1`,
          keys: [`key-of-${name}`],
          timeouts: { connect: '5s', first_token: '10s', idle: '10s', total: '20s' },
          retry: { attempts: 1, backoff: { first: '1ms', factor: 1, max: '1ms' } },
          circuit: { failures: 2 },
        },
      ]),
    ),
    routes: { r: { targets: named.map(({ name }) => `${name}/m`), ...route } },
  })
}

const SLOW = { slow_first_token: '5s' }
const HEDGE = { after: '60ms', share: '100%' }

describe('a hedge', () => {
  const open: Running[] = []
  after(() => Promise.all(open.map(gateway => gateway.close())))
  const start = async (parts: readonly Part[], route: object = {}) => {
    const gateway = await running(chain(parts, { hedge: HEDGE, extra_attempts: '100%', ...route }))
    open.push(gateway)
    return gateway
  }
  const ask = (gateway: Running, stream: boolean) => gateway.call({ model: 'r', messages: HELLO, stream })
  const settled = async (gateway: Running) => {
    await until('settled', async () => (await gateway.metric('llm_requests_total')) > 0)
    assert.equal(await gateway.metric('llm_in_flight'), 0)
    return gateway.logs().find(({ msg }) => msg === 'call')!
  }

  for (const stream of [true, false]) {
    const form = stream ? 'a stream' : 'a whole answer'

    it(`is started beside a target that is late, and the first content wins: ${form}`, async () => {
      const gateway = await start([{ script: [SLOW] }, {}])
      const response = await ask(gateway, stream)
      assert.equal(response.headers.get('x-understudy-target'), 'b/m')
      assert.match(await response.text(), /This/)
      const line = await settled(gateway)
      assert.deepEqual(
        line.attempts.map(({ target, outcome, role }: any) => [target, outcome, role]),
        [
          ['b/m', 'answered', 'hedge'],
          ['a/m', 'cancelled', undefined],
        ],
      )
      await until('the loser is cancelled upstream', () => gateway.simulators.get('a')!.counts.aborted === 1)
      assert.equal(gateway.assembled.gateway.circuits.state('a/m'), 'closed', 'to be slow is no fault')
      assert.equal(await gateway.metric('llm_hedges_total', { result: 'won' }), 1)
      assert.equal(await gateway.metric('llm_failover_total'), 0)
      assert.equal(await gateway.metric('llm_errors_total'), 0)
    })

    it(`that is slower than the first target is cancelled: ${form}`, async () => {
      const gateway = await start([{ script: [{ slow_first_token: '250ms' }] }, { script: [SLOW] }])
      const response = await ask(gateway, stream)
      assert.equal(response.headers.get('x-understudy-target'), 'a/m')
      await response.text()
      await settled(gateway)
      await until('the loser is cancelled upstream', () => gateway.simulators.get('b')!.counts.aborted === 1)
      assert.equal(await gateway.metric('llm_hedges_total', { result: 'lost' }), 1)
    })
  }

  it('is not made where the first target is in time, nor without a further target', async () => {
    const gateway = await start([{}, {}])
    await (await ask(gateway, true)).text()
    await settled(gateway)
    assert.equal(gateway.simulators.get('b')!.counts.total, 0)
    const alone = await start([{ script: [{ ...SLOW, slow_first_token: '200ms' }] }])
    assert.match(await (await ask(alone, true)).text(), /\[DONE\]/)
    assert.equal(alone.simulators.get('a')!.counts.total, 1)
    assert.equal(await alone.metric('llm_hedges_total'), 0)
  })

  it('leaves the retries of its target where there is nobody to make it with', async () => {
    const script = [{ calls: [1, 1], slow_first_token: '150ms', status: 503 }]
    const gateway = await start([{ script }])
    assert.equal((await ask(gateway, true)).status, 200)
    assert.equal(gateway.simulators.get('a')!.counts.total, 2)
  })

  it('that fails leaves the first target its chance; when both fail the next one is tried', async () => {
    const one = await start([{ script: [{ slow_first_token: '250ms' }] }, { script: [{ status: 503 }] }])
    assert.equal((await ask(one, false)).headers.get('x-understudy-target'), 'a/m')
    assert.equal(await one.metric('llm_hedges_total', { result: 'lost' }), 1)
    const both = await start([{ script: [{ slow_first_token: '250ms', status: 500 }] }, { script: [{ status: 503 }] }, {}])
    assert.equal((await ask(both, false)).headers.get('x-understudy-target'), 'c/m')
    assert.equal(await both.metric('llm_hedges_total', { result: 'failed' }), 1)
  })

  it('that refuses the call does not take the first target’s answer away; what the first refuses is refused', async () => {
    const refusal = { status: 400, body: { error: { message: 'no such parameter', type: 'invalid_request_error' } } }
    const hedge = await start([{ script: [{ slow_first_token: '250ms' }] }, { script: [refusal] }])
    assert.equal((await ask(hedge, false)).headers.get('x-understudy-target'), 'a/m')
    const first = await start([{ script: [{ ...refusal, slow_first_token: '150ms' }] }, { script: [SLOW] }])
    const response = await ask(first, false)
    assert.equal(response.status, 400)
    await response.text()
    await settled(first)
    await until('the hedge is cancelled', () => first.simulators.get('b')!.counts.aborted === 1)
  })

  it('is made for no more than its share of the calls', async () => {
    const gateway = await start([{ script: [{ slow_first_token: '120ms' }] }, { script: [SLOW] }], {
      hedge: { after: '20ms', share: '10%' },
    })
    await Promise.all(Array.from({ length: 40 }, async () => (await ask(gateway, true)).text()))
    await settled(gateway)
    assert.equal(await gateway.metric('llm_hedges_total'), 4)
  })

  it('needs an extra attempt of the route', async () => {
    const gateway = await start([{ script: [{ slow_first_token: '1s' }] }, {}], { extra_attempts: '0%' })
    const since = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 40 }, async () => (await ask(gateway, true)).headers.get('x-understudy-target')),
    )
    const hedged = answers.filter(target => target === 'b/m').length
    // Ten are saved up, and time brings ten a second.
    assert.ok(hedged >= 10 && hedged <= 11 + (performance.now() - since) / 100, `${hedged} were made`)
  })

  it('leaves nothing behind when the client goes', async () => {
    const gateway = await start([{ script: [SLOW] }, { script: [SLOW] }])
    const leaving = new AbortController()
    const asked = gateway.call({ model: 'r', messages: HELLO }, { signal: leaving.signal }).catch(() => undefined)
    await until('both are asked', () => gateway.simulators.get('b')!.counts.total === 1)
    leaving.abort()
    await asked
    const line = await settled(gateway)
    assert.equal(line.ending, 'abandoned')
    assert.deepEqual(
      line.attempts.map(({ outcome }: any) => outcome),
      ['client-gone', 'client-gone'],
    )
    for (const name of ['a', 'b']) await until('cancelled', () => gateway.simulators.get(name)!.counts.aborted === 1)
  })

  it('is started early where the first token is late for its target, which is counted', async () => {
    const gateway = await start([{ script: [{ calls: [21, 99], slow_first_token: '1s' }] }, {}], {
      hedge: { after: '8s', share: '100%' },
      slow: { factor: 3 },
    })
    for (let call = 0; call < 20; call++) await (await ask(gateway, true)).text()
    const since = performance.now()
    const response = await ask(gateway, true)
    assert.equal(response.headers.get('x-understudy-target'), 'b/m')
    assert.ok(performance.now() - since < 900, 'it did not wait for the slow one')
    await response.text()
  })

  it('is not needed to count what is late', async () => {
    const gateway = await start([{ script: [{ calls: [21, 21], slow_first_token: '700ms' }] }], {
      hedge: undefined,
      slow: { factor: 2 },
    })
    for (let call = 0; call < 20; call++) await (await ask(gateway, true)).text()
    const before = await gateway.metric('llm_errors_total', { fault: 'slow' })
    await (await ask(gateway, true)).text()
    await until('counted', async () => (await gateway.metric('llm_errors_total', { fault: 'slow' })) === before + 1)
    assert.ok(
      gateway
        .logs()
        .filter(({ msg }) => msg === 'call')
        .at(-1)!.attempts[0].slow,
    )
    assert.equal(gateway.assembled.gateway.circuits.state('a/m'), 'closed')
  })
})
