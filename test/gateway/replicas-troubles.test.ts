/*
 * Whatever becomes of one Redis while two gateways work with it: their clients notice nothing but a first call that waits for
 * `command_timeout`, and in the end the books agree: the attempts that were answered with what the upstreams have served, and the
 * budget in Redis with what the log says that the calls cost.
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { call, load, loggedUsd, type Stage, spentUsd, stage } from '../support/replicas.ts'
import { until } from '../support/running.ts'
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.ts'
import { assertNobodyNoticed, assertShared, assertWell, underLoad } from '../support/under-load.ts'

describe('Redis in trouble, under load', { skip: noRedis }, () => {
  let server: RedisServer
  let proxy: TcpProxy
  let scene: Stage
  beforeEach(async () => {
    // What it has answered, it still knows when it was killed.
    server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'no'])
    proxy = await tcpProxy(server.port)
    scene = stage(`redis://127.0.0.1:${proxy.port}`)
  })
  afterEach(async () => {
    await scene.close()
    await proxy.close()
    await server.stop()
  })

  const TROUBLES: readonly (readonly [name: string, begin: () => unknown, end: () => unknown])[] = [
    ['killed, and started again', () => server.kill(), () => server.start()],
    ['frozen', () => server.signal('SIGSTOP'), () => server.signal('SIGCONT')],
    ['slowed by 300 ms', () => proxy.delay(300), () => proxy.delay(0)],
    ['unreachable', () => proxy.shut(), () => proxy.open()],
    ['made read-only', () => server.command('replicaof', '127.0.0.1', 1), () => server.command('replicaof', 'no', 'one')],
    [
      'out of memory',
      () => server.command('config', 'set', 'maxmemory', 1),
      () => server.command('config', 'set', 'maxmemory', 0),
    ],
  ]
  for (const [name, begin, end] of TROUBLES) {
    it(`${name}: no client notices, and the books agree`, async () => {
      const scenery = await underLoad(scene)
      await scenery.calls.more(60)
      const begunAt = performance.now()
      await begin()
      await scenery.areDegraded(true)
      const awayAt = performance.now()
      await scenery.calls.more(100)
      await end()
      await scenery.areDegraded(false)
      await assertWell(scenery, begunAt, awayAt)
    })
  }

  it('restarted in good order: no client notices, and the books agree', async () => {
    const scenery = await underLoad(scene)
    await scenery.calls.more(60)
    const begunAt = performance.now()
    await server.signal('SIGTERM')
    await server.kill()
    await server.start()
    await scenery.areDegraded(false)
    await assertWell(scenery, begunAt, Number.POSITIVE_INFINITY)
  })

  it('emptied: no client notices; what Redis forgets is forgotten, and counted anew from there', async () => {
    const scenery = await underLoad(scene)
    await scenery.calls.more(60)
    const begunAt = performance.now()
    await server.command('flushall')
    await scenery.calls.more(60)
    await scenery.calls.stop()
    assertNobodyNoticed(scenery, begunAt, begunAt)
    const { gateways } = scenery
    await scenery.areClosed()
    const [known, logged] = [await spentUsd(gateways[0]), loggedUsd(gateways)]
    assert.ok(known < logged, 'the calls before it are forgotten')
    const later = load(gateways, () => ({}))
    await later.more(20)
    await later.stop()
    await scenery.areClosed()
    const spent = loggedUsd(gateways) - logged
    await until('Redis knows it', async () => Math.abs((await spentUsd(gateways[1])) - known - spent) < 1e-6)
    await assertShared(scenery)
  })

  it('frozen before a call that asks it three times: that one waits once, and the next one not at all', async () => {
    const timeoutMs = 500
    await scene.close()
    scene = stage(server.url, { command_timeout: `${timeoutMs}ms` })
    const { gateways, calls } = await underLoad(scene)
    await calls.more(20)
    await calls.stop()
    await server.signal('SIGSTOP')
    for (const [most, least] of [
      [timeoutMs + 300, timeoutMs - 1],
      [300, 0],
      [300, 0],
    ] as const) {
      const startedAt = performance.now()
      const response = await call(gateways[0], { messages: [{ role: 'user', content: String(startedAt) }] })
      const ms = performance.now() - startedAt
      assert.equal(response.status, 200, await response.text())
      assert.ok(ms >= least && ms < most, `${ms} ms`)
    }
    await server.signal('SIGCONT')
  })
})
