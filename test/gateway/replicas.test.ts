/* Gateways with Redis behind them: what a call asks of it, and how they start where it is not there, or is not what it should be. */
import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { monitored } from '../support/redis-monitor.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { CLIENT_KEY, call, codeOf, degraded, providerAt, type Stage, stage } from '../support/replicas.ts'
import { type Running, until } from '../support/running.ts'

const CALLS = 50
const WORD = 'secret-word'

describe('gateways with Redis', { skip: noRedis }, () => {
  let server: RedisServer
  let scene: Stage
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(() => scene.close())

  async function one(redisUrl = server.url, state: object = {}): Promise<Running> {
    scene = stage(redisUrl, state)
    const plenty = { rpm: 1_000_000, tpm: 1_000_000_000, concurrency: 1_000 }
    const lead = await scene.upstream('lead')
    const [gateway] = await scene.gateways(
      {
        providers: {
          lead: providerAt(lead, { keys: [{ value: 'a' }] }),
          limited: providerAt(lead, { keys: [{ value: 'b', ...plenty }] }),
        },
        routes: { r: ['lead/m'], limited: ['limited/m'], cached: { targets: ['lead/m'], cache: { ttl: '10m' } } },
        clients: [
          { name: 'team', key: CLIENT_KEY },
          { name: 'limited', key: LIMITED_KEY, ...plenty, budget: { usd: 1_000_000, per: 'month' } },
        ],
      },
      1,
    )
    return gateway
  }
  const LIMITED_KEY = 'client-key-with-limits'

  /** Asserts what Redis is asked by some calls, one after the other: how many commands of each name, those of scripts aside. */
  async function assertAsked(gateway: Running, model: string, key: string, expected: Record<string, number>): Promise<void> {
    const asked: Record<string, number> = {}
    let ended = false
    const stop = await monitored(server.port, (source, [name, ...args]) => {
      if (name === 'echo') ended = true
      const isOurs = source !== 'lua' && args.some(arg => arg.startsWith(scene.prefix))
      // Now and then a gateway says that it is there, makes sure that it hears, and reads again what it knows.
      const isOfNoCall = name === 'mget' || name === 'subscribe' || args.some(arg => arg.endsWith('{replicas}'))
      if (isOurs && !isOfNoCall) asked[name] = (asked[name] ?? 0) + 1
    })
    try {
      for (let at = 0; at < CALLS; at++) {
        assert.equal(
          await codeOf(await call(gateway, { model, messages: [{ role: 'user', content: `${at}` }] }, undefined, key)),
          'answered',
        )
      }
      // What follows an answer may still be on its way.
      await until('it has been asked', () => isDeepStrictEqual(asked, expected)).catch(() => undefined)
      await server.command('echo', 'that was all')
      await until('all of it is seen', () => ended)
      assert.deepEqual(asked, expected)
    } finally {
      stop()
    }
  }

  it('a call without limits asks Redis for nothing, one with limits once before and once after it, the cache once more', async () => {
    // Patient: a call that did not wait for Redis would ask it for less.
    const gateway = await one(server.url, { command_timeout: '10s' })
    await assertAsked(gateway, 'r', CLIENT_KEY, {})
    await assertAsked(gateway, 'r', LIMITED_KEY, { evalsha: 2 * CALLS })
    await assertAsked(gateway, 'limited', CLIENT_KEY, { evalsha: 2 * CALLS })
    await assertAsked(gateway, 'cached', CLIENT_KEY, { get: CALLS, set: CALLS })
    await assertAsked(gateway, 'cached', LIMITED_KEY, { evalsha: 2 * CALLS, get: CALLS, set: CALLS })
    assert.equal(await degraded(gateway), 0)
  })

  /** It answers, and has said once why it does so from memory, without an address or a password. */
  async function isDegraded(gateway: Running, reason: RegExp): Promise<void> {
    assert.equal(await degraded(gateway), 1)
    for (const key of [CLIENT_KEY, LIMITED_KEY]) {
      for (const model of ['r', 'cached']) {
        assert.equal(await codeOf(await call(gateway, { model }, undefined, key)), 'answered')
      }
    }
    const ready = await fetch(`${gateway.adminUrl}/ready`)
    assert.equal(ready.status, 200)
    const told = gateway.logs().filter(({ msg }) => msg === 'state degraded')
    assert.equal(told.length, 1)
    assert.match(told[0]!.reason, reason)
    assert.doesNotMatch(JSON.stringify(gateway.logs()), new RegExp(`${WORD}|127\\.0\\.0\\.1`))
  }

  it('starts while Redis is not there, says so once, and has it when it comes', async () => {
    const late = await startRedis()
    await late.kill()
    try {
      const gateway = await one(`redis://:${WORD}@127.0.0.1:${late.port}/3`)
      await isDegraded(gateway, /^ECONNREFUSED$/)
      await late.start()
      // It asks for no password, and is content with any.
      await until('it has Redis', async () => (await degraded(gateway)) === 0)
    } finally {
      await late.stop()
    }
  })

  it('starts while Redis does not let it in, and is let in when the password is the one it has', async () => {
    const locked = await startRedis(['--requirepass', 'another'])
    try {
      const gateway = await one(`redis://:${WORD}@127.0.0.1:${locked.port}`)
      await isDegraded(gateway, /^WRONGPASS$/)
      await locked.command('config', 'set', 'requirepass', WORD)
      await until('it has Redis', async () => (await degraded(gateway)) === 0)
    } finally {
      await locked.stop()
    }
  })

  for (const [what, answer] of [
    ['says nothing', () => {}],
    ['speaks HTTP', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n')],
    ['hangs up', (socket: Socket) => socket.destroy()],
  ] as const) {
    it(`starts where something else listens that ${what}, and answers`, async () => {
      const sockets = new Set<Socket>()
      const stranger = await listening(socket => {
        sockets.add(socket.on('error', () => {}))
        socket.once('data', () => answer(socket))
      })
      try {
        const startedAt = performance.now()
        const gateway = await one(`redis://:${WORD}@127.0.0.1:${(stranger.address() as { port: number }).port}`)
        assert.ok(performance.now() - startedAt < 3_000)
        await isDegraded(gateway, /./)
      } finally {
        await scene.close()
        for (const socket of sockets) socket.destroy()
        stranger.close()
      }
    })
  }

  async function listening(taken: (socket: Socket) => void): Promise<Server> {
    const stranger = createServer(taken)
    await new Promise<void>(resolve => stranger.listen(0, '127.0.0.1', resolve))
    return stranger
  }
})
