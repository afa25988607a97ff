/* The cache where two gateways share it: an answer that one of them had is given again by the other, in the form that its client wants. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { BODY, CLIENT_KEY, call, degraded, providerAt, type Stage, stage } from '../support/replicas.ts'
import { type Running, readStream, until } from '../support/running.ts'
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts'

const SAID = 'Grüße 🎭👩‍👩‍👧 — “the show”\n\tgoes on \u0000 \u2028 漢字 𝔘 "quoted" \\ end.'
const OTHERS_KEY = 'client-key-of-the-others'

describe('one cache for two gateways', { skip: noRedis }, () => {
  let server: RedisServer
  let proxy: TcpProxy
  let scene: Stage
  let lead: Simulator
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  beforeEach(async () => {
    proxy = await tcpProxy(server.port)
    scene = stage(`redis://127.0.0.1:${proxy.port}`)
    lead = await scene.upstream('lead', { answer: SAID })
  })
  afterEach(async () => {
    await scene.close()
    await proxy.close()
  })

  const two = (cache: object = { ttl: '10m' }, more: object = {}) =>
    scene.gateways({
      providers: { lead: providerAt(lead) },
      routes: { r: { targets: ['lead/m'], cache, degrade: [{ level: 'cached' }] } },
      clients: [
        { name: 'team', key: CLIENT_KEY },
        { name: 'others', key: OTHERS_KEY },
      ],
      ...more,
    })

  const cacheOf = (response: Response) => response.headers.get('x-understudy-cache')
  const answersIn = (): Promise<string[]> => server.command('keys', `${scene.prefix}:answer:*`)
  const kept = (count: number) => until('it is kept', async () => (await answersIn()).length === count)

  async function saidBy(gateway: Running, more: object = {}, key = CLIENT_KEY): Promise<[cache: string | null, text: string]> {
    const response = await call(gateway, more, undefined, key)
    const body = (await response.json()) as any
    assert.equal(response.status, 200, JSON.stringify(body))
    return [cacheOf(response), body.choices[0].message.content]
  }

  async function streamedBy(gateway: Running, more: object = {}): Promise<[cache: string | null, text: string]> {
    const response = await call(gateway, { ...more, stream: true })
    const { text, finish, done, error } = await readStream(response)
    assert.deepEqual([response.status, finish, done, error], [200, 'stop', true, undefined])
    return [cacheOf(response), text]
  }

  it('a whole answer is streamed by the other, a stream is given whole, to the letter', async () => {
    const [one, other] = await two()
    assert.deepEqual(await saidBy(one), ['miss', SAID])
    await kept(1)
    assert.deepEqual(await streamedBy(other), ['hit', SAID])
    assert.deepEqual(await saidBy(other), ['hit', SAID])
    const another = { messages: [{ role: 'user', content: 'And another? 🎭' }] }
    assert.deepEqual(await streamedBy(other, another), ['miss', SAID])
    await kept(2)
    assert.deepEqual(await saidBy(one, another), ['hit', SAID])
    assert.deepEqual(await streamedBy(one, another), ['hit', SAID])
    assert.equal(lead.counts.calls, 2)
  })

  it('no client sees another’s answer', async () => {
    const [one, other] = await two()
    await saidBy(one)
    await kept(1)
    assert.deepEqual(await saidBy(other, {}, OTHERS_KEY), ['miss', SAID])
    assert.equal(lead.counts.calls, 2)
  })

  it('shared by all when the operator says so', async () => {
    const [one, other] = await two({ ttl: '10m' }, { cache: { scope: 'shared' } })
    await saidBy(one)
    await kept(1)
    assert.deepEqual(await saidBy(other, {}, OTHERS_KEY), ['hit', SAID])
  })

  it('an old answer stands in at either when the targets are down, and says so', async () => {
    const [one, other] = await two({ ttl: '1ms', stale: '1h' })
    await saidBy(one)
    await kept(1)
    lead.script([{ status: 500 }])
    for (const gateway of [one, other]) {
      const response = await call(gateway)
      assert.deepEqual([response.status, cacheOf(response), response.headers.get('x-understudy-level')], [200, 'stale', 'cached'])
      assert.equal(((await response.json()) as any).choices[0].message.content, SAID)
      assert.deepEqual(await streamedBy(gateway), ['stale', SAID])
    }
  })

  it('what is larger than max_entry is not kept', async () => {
    const [one, other] = await two({ ttl: '10m' }, { cache: { max_entry: '1KB' } })
    lead.script([{ huge: 5_000 }, { calls: [2, 2] }] satisfies ScriptRule[])
    for (const gateway of [one, other]) {
      const response = await call(gateway)
      assert.ok((await response.text()).length >= 5_000)
      assert.equal(cacheOf(response), 'miss')
    }
    assert.equal(lead.counts.calls, 2)
    assert.deepEqual(await answersIn(), [])
  })

  it('a value that nobody can read is a miss, and the next answer takes its place', async () => {
    const [one, other] = await two()
    await saidBy(one)
    await kept(1)
    const [key] = await answersIn()
    const good = JSON.parse(await server.command('get', key!))
    const broken = [
      'not JSON',
      '',
      'null',
      '{}',
      JSON.stringify({ ...good, version: 99 }),
      JSON.stringify({ ...good, answer: null }),
      JSON.stringify({ ...good, answer: { ...good.answer, events: [{}] } }),
      JSON.stringify({ ...good, answer: { ...good.answer, events: [{ type: 'text-delta' }] } }),
      JSON.stringify({ ...good, answer: { ...good.answer, events: [] } }),
      JSON.stringify({ ...good, answer: { ...good.answer, events: [{ type: 'of another release' }] } }),
    ]
    for (const text of broken) {
      await server.command('set', key!, text)
      const before = lead.counts.calls
      assert.deepEqual(await streamedBy(other), ['miss', SAID], text)
      assert.equal(lead.counts.calls, before + 1)
      await until('it is kept again', async () => (await server.command('get', key!)) !== text)
      assert.deepEqual(await saidBy(one), ['hit', SAID])
    }
    // Not even a text.
    await server.command('del', key!)
    await server.command('rpush', key!, 'a', 'b')
    assert.deepEqual(await saidBy(other), ['miss', SAID])
    for (const gateway of [one, other]) assert.equal(await degraded(gateway), 0)
  })

  it('without Redis it is a miss, and a hit again when Redis is back', async () => {
    const [one, other] = await two()
    await saidBy(one)
    await kept(1)
    proxy.shut()
    await until('they know', async () => (await degraded(one)) + (await degraded(other)) === 2)
    for (const gateway of [one, other]) assert.deepEqual(await saidBy(gateway), ['miss', SAID])
    proxy.open()
    await until('they are back', async () => (await degraded(one)) + (await degraded(other)) === 0)
    for (const gateway of [one, other]) assert.deepEqual(await saidBy(gateway), ['hit', SAID])
    assert.equal(lead.counts.calls, 3)
  })

  it('equal calls at once at both go upstream once at each', async () => {
    const gateways = await two()
    lead.script([{ slow_first_token: 300 }])
    const all = await Promise.all(Array.from({ length: 40 }, (_, at) => saidBy(gateways[at % 2]!)))
    assert.ok(all.every(([, text]) => text === SAID))
    assert.equal(lead.counts.calls, 2)
    assert.equal(all.filter(([cache]) => cache === 'miss').length, 2)
  })

  it('a client that wants no cache is given none', async () => {
    const [one, other] = await two()
    await saidBy(one)
    await kept(1)
    const response = await fetch(`${other.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${CLIENT_KEY}`, 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: JSON.stringify(BODY),
    })
    await response.text()
    assert.equal(cacheOf(response), 'off')
    assert.equal(lead.counts.calls, 2)
  })
})
