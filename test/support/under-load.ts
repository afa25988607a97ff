/*
 * Two gateways under a load of everything that asks Redis: a client's limits and budget, a key's limits, the cache, and a circuit that opens
 * and half-opens all the time. What becomes of it while Redis is in trouble is to be seen from outside.
 */
import assert from 'node:assert/strict'
import { availableParallelism, loadavg } from 'node:os'
import type { Simulator } from '../../src/simulator/simulator.ts'
import {
  assertAttempts,
  assertUsd,
  CLIENT_KEY,
  call,
  codeOf,
  degraded,
  type Load,
  load,
  loggedUsd,
  providerAt,
  type Stage,
  spentUsd,
} from './replicas.ts'
import { HELLO, type Running, until } from './running.ts'

export interface UnderLoad {
  readonly gateways: readonly [Running, Running]
  readonly upstreams: Readonly<Record<string, Simulator>>
  readonly calls: Load
  /** Resolves when both gateways say so; rejects after a second, or more on a busy machine. */
  areDegraded(expected: boolean): Promise<void>
  /** Resolves when no call is under way. */
  areClosed(): Promise<void>
  /** What the upstreams have answered is what the gateways have counted, and what that cost is what Redis knows. */
  assertBooks(): Promise<void>
}

/** As much as nobody uses, of everything. */
const PLENTY = { rpm: 1_000_000, concurrency: 1_000 }
const FEW_KEY = 'client-key-of-the-few'
const FEW = 4
/** From 1: how much longer everything takes on a machine that has other things to do as well. */
const busy = () => Math.max(1, loadavg()[0]! / availableParallelism())
/** A second, and what it takes to look. */
const BACK_MS = 1_100

export async function underLoad(scene: Stage): Promise<UnderLoad> {
  const [lead, spare, broken] = await Promise.all([
    scene.upstream('lead', { script: [{ every: 9, status: 500 }] }),
    scene.upstream('spare'),
    scene.upstream('broken', { script: [{ status: 503 }] }),
  ])
  const upstreams = { lead, spare, broken }
  const circuit = { failures: 2, open: '150ms', open_max: '150ms', probes: 2 }
  const gateways = await scene.gateways({
    providers: {
      lead: providerAt(lead, { keys: [{ value: 'a', ...PLENTY }] }),
      spare: providerAt(spare),
      broken: providerAt(broken, { circuit }),
    },
    routes: {
      r: { targets: ['lead/m', 'spare/m'], cache: { ttl: '10m' }, extra_attempts: '100%' },
      c: { targets: ['broken/m', 'spare/m'], extra_attempts: '100%' },
    },
    clients: [
      { name: 'team', key: CLIENT_KEY, ...PLENTY, tpm: 1_000_000_000, budget: { usd: 1_000_000, per: 'month' } },
      { name: 'few', key: FEW_KEY, rpm: FEW },
    ],
  })
  const calls = load(gateways, at => ({
    model: at % 4 === 0 ? 'c' : 'r',
    stream: at % 3 === 0,
    // Some are asked again and again, and answered from the cache.
    messages: at % 5 === 0 ? HELLO : [{ role: 'user', content: `Question ${at}` }],
  }))
  const areClosed = () => until('all calls are closed', () => gateways.every(({ server }) => server.active() === 0))
  return {
    gateways,
    upstreams,
    calls,
    areClosed,
    async areDegraded(expected) {
      const all = async () => (await Promise.all(gateways.map(degraded))).every(one => one === Number(expected))
      await until(expected ? 'both know that Redis is away' : 'both have Redis again', all, BACK_MS * busy())
      for (const { adminUrl } of gateways)
        assert.equal((await fetch(`${adminUrl}/ready`)).status, 200, 'they are ready all the time')
    },
    async assertBooks() {
      await areClosed()
      await assertAttempts(gateways, upstreams)
      const logged = loggedUsd(gateways)
      await until('Redis knows it all', async () => Math.abs((await spentUsd(gateways[0])) - logged) < 1e-6).catch(
        () => undefined,
      )
      for (const one of gateways) assertUsd(await spentUsd(one), logged, 'the budget')
    },
  }
}

/** What holds when all is well again: nobody has noticed, the limits are one again, and the books agree. */
export async function assertWell(scenery: UnderLoad, begunAt: number, awayAt: number): Promise<void> {
  await scenery.calls.more(60)
  await scenery.calls.stop()
  assertNobodyNoticed(scenery, begunAt, awayAt)
  await assertShared(scenery)
  await scenery.assertBooks()
}

const COMMAND_TIMEOUT_MS = 100
/** One process is both gateways, their clients and their upstreams. */
const OWN_MS = 100

/** @param awayAt when the gateways had noticed */
export function assertNobodyNoticed({ calls: { went }, gateways }: UnderLoad, begunAt: number, awayAt: number): void {
  const bad = went.filter(({ status, told }) => status !== 200 || told !== '')
  assert.deepEqual(bad, [])
  for (const one of gateways) {
    const told = one.logs().filter(({ msg }) => String(msg).startsWith('state '))
    assert.doesNotMatch(JSON.stringify(told), /127\.0\.0\.1/)
    const inTurn = told.map((_, at) => (at % 2 === 0 ? 'state degraded' : 'state restored'))
    assert.deepEqual(
      told.map(({ msg }) => msg),
      inTurn,
    )
  }
  const usual = slowest(went.filter(({ startedAt, ms }) => startedAt + ms < begunAt))
  const first = slowest(went.filter(({ startedAt, ms }) => startedAt + ms >= begunAt && startedAt < awayAt))
  assert.ok(
    first < usual + COMMAND_TIMEOUT_MS + OWN_MS * busy(),
    `the first calls took up to ${first} ms, others up to ${usual} ms`,
  )
  const later = went.filter(({ startedAt }) => startedAt > awayAt).map(({ ms }) => ms)
  const median = later.sort((a, b) => a - b)[later.length >> 1] ?? 0
  assert.ok(median < OWN_MS / 2, `later ones took ${median} ms`)
}

const slowest = (some: readonly { readonly ms: number }[]) => Math.max(0, ...some.map(({ ms }) => ms))

/** A limit of a few requests is one for both gateways. */
export async function assertShared({ gateways }: UnderLoad): Promise<void> {
  const codes: string[] = []
  for (let at = 0; at < 2 * FEW; at++) codes.push(await codeOf(await call(gateways[at % 2]!, {}, undefined, FEW_KEY)))
  assert.equal(codes.filter(code => code === 'answered').length, FEW, String(codes))
}
