/* Circuits, keys and levels that one gateway changes, and what the other one on the same Redis makes of it. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { admin, CLIENT_KEY, call, providerAt, type Stage, stage } from '../support/replicas.ts'
import { type Running, until } from '../support/running.ts'

const FAILS = [{ status: 500 }]
const WITHIN_MS = 1_000

describe('what one of two gateways knows', { skip: noRedis }, () => {
  let server: RedisServer
  let scene: Stage
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(() => scene.close())

  async function two(circuit: object = {}) {
    scene = stage(server.url)
    const [lead, spare] = await Promise.all([scene.upstream('lead'), scene.upstream('spare')])
    const gateways = await scene.gateways({
      providers: {
        lead: providerAt(lead, {
          keys: [{ name: 'only', value: 'a' }],
          circuit: { failures: 3, open: '60s', ramp: '1ms', ...circuit },
        }),
        spare: providerAt(spare),
      },
      routes: {
        r: { targets: ['lead/m', 'spare/m'], extra_attempts: '100%', degrade: [{ level: 'offline', message: 'We are away.' }] },
      },
      clients: [{ name: 'team', key: CLIENT_KEY }],
    })
    return { lead, spare, one: gateways[0], other: gateways[1], gateways }
  }

  async function targetOf(gateway: Running): Promise<string | null> {
    const response = await call(gateway)
    assert.equal(response.status, 200, await response.text())
    return response.headers.get('x-understudy-target')
  }
  const stateOf = (gateway: Running) => gateway.metric('llm_circuit_state', { provider: 'lead' })
  const opened = (gateway: Running) => until('its circuit is open', async () => (await stateOf(gateway)) > 0, WITHIN_MS)

  it('a circuit that one opens is open on the other within a second, and that one asks the target no more', async () => {
    const { lead, one, other } = await two()
    lead.script(FAILS)
    for (let times = 0; times < 3; times++) assert.equal(await targetOf(one), 'spare/m')
    await opened(other)
    assert.equal(await targetOf(other), 'spare/m')
    assert.equal(lead.counts.calls, 3)
  })

  it('half-open, it lets three calls through over both, and everybody else goes on at once', async () => {
    const { lead, spare, one, other, gateways } = await two({ open: '300ms', open_max: '300ms', probes: 3 })
    lead.script(FAILS)
    for (let times = 0; times < 3; times++) await targetOf(one)
    await opened(other)
    for (const gateway of gateways) await until('it is half-open', async () => (await stateOf(gateway)) === 1)
    lead.script([{ slow_first_token: 700 }])
    const startedAt = performance.now()
    const elsewhere = spare.counts.calls
    const targets = await Promise.all(Array.from({ length: 60 }, (_, at) => targetOf(gateways[at % 2]!)))
    assert.equal(targets.filter(target => target === 'lead/m').length, 3)
    assert.equal(spare.counts.calls - elsewhere, 57)
    assert.equal(lead.counts.calls, 6)
    for (const gateway of gateways) await until('it is closed again', async () => (await stateOf(gateway)) === 0)
    assert.ok(performance.now() - startedAt >= 700)
    for (const gateway of gateways) assert.equal(await targetOf(gateway), 'lead/m')
  })

  it('one probe that fails opens it again on both', async () => {
    const { lead, one, other, gateways } = await two({ open: '200ms', open_max: '60s', probes: 3 })
    lead.script(FAILS)
    for (let times = 0; times < 3; times++) await targetOf(one)
    await opened(other)
    for (let again = 1; again <= 3; again++) {
      for (const gateway of gateways) await until('it is half-open', async () => (await stateOf(gateway)) === 1)
      assert.equal(await targetOf(gateways[again % 2]!), 'spare/m')
      for (const gateway of gateways) await until('it is open', async () => (await stateOf(gateway)) === 2, WITHIN_MS)
    }
    assert.equal(lead.counts.calls, 6)
  })

  it('an operator’s word about a circuit to one of them is obeyed by the other', async () => {
    const { lead, one, other } = await two()
    await admin(one, 'POST', 'circuits/lead/m', { state: 'open' })
    await opened(other)
    assert.equal(await targetOf(other), 'spare/m')
    await admin(other, 'POST', 'circuits/lead/m', { state: 'closed' })
    await until('the one heard', async () => (await stateOf(one)) === 0, WITHIN_MS)
    lead.script(FAILS)
    for (let times = 0; times < 5; times++) await targetOf(one)
    assert.equal(lead.counts.calls, 5, 'what is held closed does not open')
    await admin(one, 'POST', 'circuits/lead/m', { state: 'auto' })
    const { circuits } = await admin(one, 'GET', 'circuits')
    assert.equal(circuits[0].forced, false)
    await until('the other heard', async () => !(await admin(other, 'GET', 'circuits')).circuits[0].forced, WITHIN_MS)
  })

  it('a key that rests at one rests at the other, and an operator’s word at the other restores it at both', async () => {
    const { lead, one, other, gateways } = await two()
    lead.script([{ status: 429, headers: { 'retry-after': '600' } }])
    assert.equal(await targetOf(one), 'spare/m')
    const keyOf = (gateway: Running) => gateway.metric('llm_key_state', { provider: 'lead' })
    await until('it rests at the other', async () => (await keyOf(other)) === 1, WITHIN_MS)
    assert.equal(await targetOf(other), 'spare/m')
    assert.equal(lead.counts.calls, 1)
    lead.script([])
    await admin(other, 'POST', 'keys/lead/only', { state: 'ready' })
    await until('it is ready at the one', async () => (await keyOf(one)) === 0, WITHIN_MS)
    for (const gateway of gateways) assert.equal(await targetOf(gateway), 'lead/m')
  })

  it('a level that is set at one holds at the other within a second, and ends at both by its time', async () => {
    const { lead, one, other, gateways } = await two()
    await admin(one, 'PUT', 'routes/r/level', { level: 'offline', for: '1500ms' })
    const endsAt = performance.now() + 1_500
    const levelAt = async (gateway: Running) => {
      const response = await call(gateway)
      const { choices } = (await response.json()) as any
      const level = response.headers.get('x-understudy-level')
      assert.equal(choices[0].message.content === 'We are away.', level === 'offline')
      return level
    }
    await until('it holds at the other', async () => (await levelAt(other)) === 'offline', WITHIN_MS)
    assert.equal(await levelAt(one), 'offline')
    assert.equal((await admin(other, 'GET', 'routes/r/level')).level, 'offline')
    const before = lead.counts.calls
    for (const gateway of gateways) await until('it is over', async () => (await levelAt(gateway)) !== 'offline', 3_000)
    assert.ok(performance.now() >= endsAt - 50)
    assert.equal(lead.counts.calls, before + 2)
    await admin(other, 'PUT', 'routes/r/level', { level: 'offline' })
    await until('it holds at the one', async () => (await levelAt(one)) === 'offline', WITHIN_MS)
    await admin(one, 'PUT', 'routes/r/level', { level: 'normal' })
    await until('it is over at the other', async () => (await levelAt(other)) !== 'offline', WITHIN_MS)
  })
})
