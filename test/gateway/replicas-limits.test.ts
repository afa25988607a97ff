/* A thousand calls at once at the edge of each limit, over two gateways on one Redis: not one too many, and none refused that fits. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { estimatedInputTokens } from '../../src/usage/estimate.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import {
  assertUsd,
  BODY,
  CLIENT_KEY,
  call,
  codeOf,
  degraded,
  loggedUsd,
  providerAt,
  type Stage,
  spentUsd,
  stage,
  TOKEN_USD,
} from '../support/replicas.ts'
import { type Running, until } from '../support/running.ts'
import { madeCall } from './made.ts'

/** What a call reserves, in tokens. */
const RESERVED = estimatedInputTokens(madeCall(BODY)) + BODY.max_tokens
const CALLS = 1_000
const FITS = 70
/** So many fit, and all but one token of another. */
const EDGE_TOKENS = FITS * RESERVED + RESERVED - 1
/** Of 1,000 calls, all within one minute, where the minute counts. */
const ENOUGH_OF_A_MINUTE_MS = 6_000

describe('limits over two gateways', { skip: noRedis }, () => {
  let server: RedisServer
  let scene: Stage
  let lead: Simulator
  let spare: Simulator
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
  afterEach(() => scene.close())

  async function two(client: object, key: object = {}, script: readonly ScriptRule[] = []): Promise<readonly [Running, Running]> {
    // Patient: how exact Redis is does not depend on how busy this machine is.
    scene = stage(server.url, { command_timeout: '20s' })
    lead = await scene.upstream('lead', { script })
    spare = await scene.upstream('spare')
    return scene.gateways({
      providers: { lead: providerAt(lead, { keys: [{ value: 'a', ...key }] }), spare: providerAt(spare) },
      routes: { r: { targets: ['lead/m'], deadline: '10m' }, p: { targets: ['lead/m', 'spare/m'], deadline: '10m' } },
      clients: [{ name: 'team', key: CLIENT_KEY, ...client }],
    })
  }

  /** 1,000 calls at once, every other one at the other gateway. */
  function thousand(gateways: readonly Running[], model = 'r') {
    const codes: string[] = []
    const leaving = new AbortController()
    const all = Promise.all(
      Array.from({ length: CALLS }, (_, at) =>
        call(gateways[at % 2]!, { model }, leaving.signal)
          .then(codeOf)
          .catch(() => 'left')
          .then(code => codes.push(code)),
      ),
    )
    return {
      codes,
      /** All calls that are still there leave. */
      async leave() {
        leaving.abort()
        await all
        await until('all calls are closed', () => gateways.every(({ server }) => server.active() === 0), 20_000)
      },
      all,
    }
  }
  const counted = (codes: readonly string[], code: string) => codes.filter(each => each === code).length

  /** Neither a lease nor the record of a taker. */
  async function nothingIsHeld(): Promise<void> {
    await until('everything is settled', async () => {
      const keys: string[] = await server.command('keys', `${scene.prefix}:*`)
      return !keys.some(key => key.includes(':taker:') || key.endsWith(':concurrency'))
    })
  }

  async function wholeMinute(): Promise<void> {
    const enough = () => 60_000 - (Date.now() % 60_000) > ENOUGH_OF_A_MINUTE_MS
    await until('a minute has begun that is long enough', enough, ENOUGH_OF_A_MINUTE_MS + 1_000)
  }

  for (const [limit, client, code] of [
    ['concurrency', { concurrency: FITS }, 'rate_limit_exceeded'],
    ['tokens a minute', { tpm: EDGE_TOKENS }, 'rate_limit_exceeded'],
    ['a budget', { budget: { usd: EDGE_TOKENS * TOKEN_USD, per: 'day' } }, 'insufficient_quota'],
  ] as const) {
    it(`${limit} of a client: those pass that fit, and when they leave as many others do`, async () => {
      const gateways = await two(client, {}, [{ never_answer: true }])
      if ('tpm' in client) await wholeMinute()
      for (const times of [1, 2]) {
        const { codes, leave } = thousand(gateways)
        await until('those pass that fit', () => codes.length === CALLS - FITS && lead.counts.open === FITS, 20_000)
        assert.equal(counted(codes, code), CALLS - FITS)
        await leave()
        assert.equal(lead.counts.calls, times * FITS)
        await nothingIsHeld()
      }
      assert.equal(await degraded(gateways[0]), 0)
    })
  }

  it('requests a minute of a client: exactly those are answered that fit', async () => {
    const gateways = await two({ rpm: 300, budget: { usd: 1_000, per: 'month' } })
    await wholeMinute()
    const { codes, all } = thousand(gateways)
    await all
    assert.deepEqual([counted(codes, 'answered'), counted(codes, 'rate_limit_exceeded')], [300, 700])
    assert.equal(lead.counts.answered, 300)
    await nothingIsHeld()
    for (const one of gateways) assertUsd(await spentUsd(one), loggedUsd(gateways), 'the budget')
  })

  for (const [limit, key] of [
    ['concurrency', { concurrency: FITS }],
    ['tokens a minute', { tpm: EDGE_TOKENS }],
    ['requests a minute', { rpm: FITS }],
  ] as const) {
    it(`${limit} of a provider’s key: it is called as often as it may be, and the next target answers the rest`, async () => {
      const gateways = await two({}, key, [{ never_answer: true }])
      if (!('concurrency' in key)) await wholeMinute()
      const { codes, leave } = thousand(gateways, 'p')
      await until('the rest is answered', () => codes.length === CALLS - FITS && lead.counts.open === FITS, 20_000)
      assert.equal(counted(codes, 'answered'), CALLS - FITS)
      assert.equal(spare.counts.answered, CALLS - FITS)
      await leave()
      assert.equal(lead.counts.calls, FITS)
      await nothingIsHeld()
    })
  }

  it('a budget is never overrun by calls that are answered at once, some badly, and is used up', async () => {
    const usd = 200 * RESERVED * TOKEN_USD
    const script = [
      { every: 7, status: 500 },
      { every: 5, stream: true, cut_after: 2 },
    ]
    const gateways = await two({ budget: { usd, per: 'month' } }, {}, script)
    await thousand(gateways).all
    for (let more = 0; more < 5_000; more++) {
      if ((await codeOf(await call(gateways[more % 2]!))) === 'insufficient_quota') break
    }
    await nothingIsHeld()
    const used = await spentUsd(gateways[0])
    assert.ok(used <= usd && usd - used < RESERVED * TOKEN_USD, `US$ ${used} of ${usd}`)
    assertUsd(used, loggedUsd(gateways), 'the budget')
  })
})
