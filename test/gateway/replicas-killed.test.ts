/*
 * kill -9 of one of two gateways. Its own calls in flight are lost and nothing else; what it held comes back by itself when its time is over:
 * places of a client and of a key, probes of a circuit, the trial of a retired key.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { type GatewayProcess, gatewayProcess } from '../support/gateway-process.ts'
import { agedRedis } from '../support/redis-age.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import {
  admin,
  CLIENT_KEY,
  call,
  codeOf,
  degraded,
  load,
  providerAt,
  type Stage,
  spentUsd,
  stage,
  WORKERS,
} from '../support/replicas.ts'
import { HELLO, type Running, until } from '../support/running.ts'

/** A route's deadline, and what a lease of its calls lasts beyond it. */
const DEADLINE_S = 30
const CLIENT_LEASE_MS = (DEADLINE_S + 60) * 1_000
const KEY_LEASE_MS = 10 * 60_000
const PROBE_LEASE_MS = 30_000
const TRIAL_MS = 60_000
const PLACES = 5

describe('one of two gateways is killed', { skip: noRedis }, () => {
  let server: RedisServer
  let scene: Stage
  let victim: GatewayProcess | undefined
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(async () => {
    await victim?.stop()
    await scene.close()
  })

  /** The victim as a process of its own, and the one that survives. `silent/m` never answers. */
  async function two() {
    scene = stage(server.url, { command_timeout: '2s' })
    const silent = await scene.upstream('silent', { script: [{ model: 'm', never_answer: true }] })
    const spare = await scene.upstream('spare')
    const config = {
      providers: {
        silent: providerAt(silent, {
          keys: [{ name: 'only', value: 'a', concurrency: 2 * PLACES }],
          circuit: { failures: 1, open: '100ms', open_max: '100ms', probes: 3, ramp: '1ms' },
        }),
        // The same server, as another provider: a key of its own, and a circuit.
        tried: providerAt(silent, { keys: [{ name: 'only', value: 'b' }] }),
        spare: providerAt(spare),
      },
      routes: {
        r: { targets: ['spare/m'], deadline: `${DEADLINE_S}s` },
        held: { targets: ['silent/m', 'spare/m'], deadline: `${DEADLINE_S}s` },
        tried: { targets: ['tried/m', 'spare/m'], deadline: `${DEADLINE_S}s` },
      },
      clients: [
        { name: 'team', key: CLIENT_KEY, rpm: 1_000_000, concurrency: 1_000 },
        { name: 'few', key: FEW_KEY, concurrency: PLACES, budget: { usd: 1, per: 'month' } },
      ],
    }
    const [survivor] = await scene.gateways(config, 1)
    const { admin: _, ...rest } = scene.configured(config) as any
    victim = await gatewayProcess(rest)
    return { survivor, silent, spare, killed: { url: `http://127.0.0.1:${victim.port}`, process: victim } }
  }
  const FEW_KEY = 'client-key-of-the-few'

  /** Calls that are never answered: how they ended is told when they have. */
  const hanging = (gateway: Pick<Running, 'url'>, model: string, count: number, key = CLIENT_KEY) =>
    Array.from({ length: count }, () =>
      call(gateway, { model }, undefined, key).then(
        ({ status }) => status,
        () => 'lost',
      ),
    )

  it('only its own calls are lost, and the other one never stops answering', async () => {
    const { survivor, silent, spare, killed } = await two()
    const calls = load([survivor], () => ({ model: 'r' }))
    const own = load([killed], () => ({ model: 'r' }))
    const ended = hanging(killed, 'held', 3)
    await until('they are under way', () => silent.counts.open === 3)
    await own.more(20)
    await killed.process.stop()
    assert.deepEqual(await Promise.all(ended), ['lost', 'lost', 'lost'])
    // Its clients notice that it is gone, each once, and nothing before that. One that was between two calls notices with its next.
    const lost = () => own.went.filter(({ status }) => status !== 200).map(({ told }) => told)
    await until('all of its clients have noticed', () => lost().length >= WORKERS)
    await own.stop()
    assert.deepEqual(lost(), Array(WORKERS).fill('lost'))
    await calls.more(50)
    await calls.stop()
    assert.deepEqual(
      calls.went.filter(({ status }) => status !== 200),
      [],
    )
    assert.ok(Math.max(...calls.went.map(({ ms }) => ms)) < 1_000)
    const answered = await survivor.metric('llm_attempts_total', { provider: 'spare', outcome: 'answered' })
    assert.equal(answered, calls.went.length)
    assert.ok(spare.counts.answered >= calls.went.length + own.went.length - WORKERS)
    assert.equal(await degraded(survivor), 0)
  })

  it('its places, of a client and of a key, are free again after their time, and no sooner', async () => {
    const { survivor, silent, killed } = await two()
    const ended = hanging(killed, 'held', PLACES - 1, FEW_KEY)
    await until('they are under way', () => silent.counts.open === PLACES - 1)
    await killed.process.stop()
    await Promise.all(ended)
    const reserved = await spentUsd(survivor, 'few')
    assert.ok(reserved > 0)
    const leases = (holder: string) => server.command('zcard', `${scene.prefix}:limit:{${holder}}:concurrency`)
    const ofKey = (await server.command('keys', `${scene.prefix}:limit:{silent:*}:concurrency`))[0]

    const one = hanging(survivor, 'held', 1, FEW_KEY)
    await until('one more fits', () => silent.counts.calls === PLACES)
    assert.equal(await codeOf(await call(survivor, { model: 'r' }, undefined, FEW_KEY)), 'rate_limit_exceeded')
    const aged = agedRedis(server, scene.prefix)
    await aged(CLIENT_LEASE_MS - 10_000)
    assert.equal(await codeOf(await call(survivor, { model: 'r' }, undefined, FEW_KEY)), 'rate_limit_exceeded')
    await aged(10_000)
    assert.equal(await codeOf(await call(survivor, { model: 'r' }, undefined, FEW_KEY)), 'answered')
    assert.equal(await leases('client:few'), 0, 'the time of the one that lives is over as well: nothing says otherwise')
    assert.equal(await server.command('zcard', ofKey), PLACES)
    await aged(KEY_LEASE_MS)
    assert.equal(await server.command('exists', ofKey), 0)
    assert.ok(
      (await spentUsd(survivor, 'few')) > reserved,
      'what they had reserved of a budget, nobody can say that they did not use',
    )
    void one
  })

  it('its probes of a circuit are free again after their time', async () => {
    const { survivor, silent, killed } = await two()
    silent.script([{ status: 500 }])
    await call(survivor, { model: 'held' })
    await until('the circuit is open', async () => (await survivor.metric('llm_circuit_state', { provider: 'silent' })) >= 1)
    silent.script([{ never_answer: true }])
    const before = silent.counts.calls
    await until('its calls are the probes', async () => {
      void hanging(killed, 'held', 1)
      return silent.counts.open === 3
    })
    await killed.process.stop()
    silent.script([])
    const target = async () => {
      const response = await call(survivor, { model: 'held', messages: HELLO })
      await response.text()
      return response.headers.get('x-understudy-target')
    }
    for (let times = 0; times < 10; times++) assert.equal(await target(), 'spare/m', 'nobody waits for a probe')
    assert.equal(silent.counts.calls, before + 3)
    await agedRedis(server, scene.prefix)(PROBE_LEASE_MS)
    await until('the probes are free, and close it', async () => {
      await target()
      return (await survivor.metric('llm_circuit_state', { provider: 'silent' })) === 0
    })
    assert.equal(await target(), 'silent/m')
  })

  it('its trial of a retired key is free again after its time', async () => {
    const { survivor, silent, killed } = await two()
    await admin(survivor, 'POST', 'keys/tried/only', { state: 'retire', for: '1ms' })
    await until('it is the one on trial', async () => {
      void hanging(killed, 'tried', 1)
      return silent.counts.open >= 1
    })
    await killed.process.stop()
    silent.script([])
    const targetOf = async () => {
      const response = await call(survivor, { model: 'tried' })
      await response.text()
      return response.headers.get('x-understudy-target')
    }
    assert.equal(await targetOf(), 'spare/m', 'the trial is taken')
    await agedRedis(server, scene.prefix)(TRIAL_MS)
    assert.equal(await targetOf(), 'tried/m')
    const { keys } = await admin(survivor, 'GET', 'keys')
    assert.equal(keys.find(({ provider }: any) => provider === 'tried').state, 'ready')
  })
})
