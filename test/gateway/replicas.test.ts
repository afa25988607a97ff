/* Two gateways on one Redis, and what their clients notice of it when it dies. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { HELLO, type Running, running, until } from '../support/running.ts'

describe('gateways on one Redis', { skip: noRedis }, () => {
  let server: RedisServer
  let open: Running[] = []
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(async () => {
    await Promise.all(open.map(gateway => gateway.close()))
    open = []
  })

  async function gateway(prefix: string, { lead = '', limits = '', url = server.url } = {}): Promise<Running> {
    const one = await running(`
state: {redis: "${url}", prefix: "${prefix}"}
simulators:
  - {name: lead, script: [${lead}]}
  - {name: spare}
providers:
  lead: {type: openai, base_url: "simulator:lead/v1", keys: [{value: a${limits}}], circuit: {failures: 3, open: 60s}, retry: {attempts: 0}}
  spare: {type: openai, base_url: "simulator:spare/v1", keys: [b]}
routes: {r: [lead/m, spare/m]}
`)
    open.push(one)
    return one
  }

  const call = async (one: Running) => {
    const answer = await one.call({ model: 'r', messages: HELLO })
    const text = await answer.text()
    assert.equal(answer.status, 200, text)
    return answer.headers.get('x-understudy-target')
  }
  const stateOf = (one: Running) => one.metric('llm_circuit_state', { provider: 'lead' })
  const FAILS = '{status: 500}'

  it('a circuit that one opens is open on the other within a second', async () => {
    const prefix = randomUUID()
    const [one, other] = [await gateway(prefix, { lead: FAILS }), await gateway(prefix)]
    assert.equal(await stateOf(other), 0)
    for (let times = 0; times < 3; times++) assert.equal(await call(one), 'spare/m')
    const openedAt = performance.now()
    await until('the other has it', async () => (await stateOf(other)) === 2, 1_000)
    assert.equal(await call(other), 'spare/m')
    assert.ok(performance.now() - openedAt < 1_000)
    assert.equal(await one.metric('llm_state_degraded'), 0)
  })

  it('calls without limits cost Redis nothing on their path', async () => {
    const one = await gateway(randomUUID())
    await call(one)
    const counted = async () => Number(/total_commands_processed:(\d+)/.exec(await server.command('info', 'stats'))![1])
    const before = await counted()
    for (let times = 0; times < 100; times++) await call(one)
    // Replicas say now and then that they are there, and asking for the count counts.
    assert.ok((await counted()) - before < 30)
  })

  it('a key’s limit is one for both, and one trip for all of a call’s limits', async () => {
    const prefix = randomUUID()
    const limits = ', rpm: 10, tpm: 100000, concurrency: 5'
    const both = [await gateway(prefix, { limits }), await gateway(prefix, { limits })]
    const targets: (string | null)[] = []
    for (let times = 0; times < 20; times++) targets.push(await call(both[times % 2]!))
    assert.equal(targets.filter(target => target === 'lead/m').length, 10)
  })

  it('Redis killed and started again under load: no client notices, and the gauge and the log tell', async () => {
    const prefix = randomUUID()
    const limits = ', rpm: 100000, concurrency: 1000'
    const both = [await gateway(prefix, { limits }), await gateway(prefix, { limits })]
    const took: number[] = []
    let stopped = false
    const load = Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        while (!stopped) {
          const startedAt = performance.now()
          await call(both[at % 2]!)
          took.push(performance.now() - startedAt)
          await sleep(5)
        }
      }),
    )
    await sleep(300)
    await server.kill()
    for (const one of both) await until('it is told', async () => (await one.metric('llm_state_degraded')) === 1, 1_000)
    for (const one of both) {
      const ready = await fetch(`${one.adminUrl}/ready`)
      assert.equal(ready.status, 200, 'readiness stays green')
    }
    await sleep(500)
    await server.start()
    for (const one of both) await until('it is told', async () => (await one.metric('llm_state_degraded')) === 0, 1_000)
    await sleep(200)
    stopped = true
    await load
    assert.ok(took.length > 100, String(took.length))
    for (const one of both) {
      const lines = one.logs().filter(({ msg }) => String(msg).startsWith('state '))
      assert.deepEqual(
        lines.map(({ msg }) => msg),
        ['state degraded', 'state restored'],
      )
      assert.doesNotMatch(JSON.stringify(lines), /127\.0\.0\.1/)
    }
  })

  it('starts without Redis, says so once, and has it when it comes', async () => {
    const one = await gateway(randomUUID(), { url: `redis://:secret-word@127.0.0.1:${await freePort()}/3` })
    assert.equal(await one.metric('llm_state_degraded'), 1)
    assert.equal(await call(one), 'lead/m')
    await sleep(500)
    const told = one.logs().filter(({ msg }) => msg === 'state degraded')
    assert.equal(told.length, 1)
    assert.equal(told[0]!.reason, 'ECONNREFUSED')
    assert.doesNotMatch(JSON.stringify(one.logs()), /secret-word/)
  })
})
