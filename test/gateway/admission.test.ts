import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttemptRecord, Target } from '../../src/core/attempt.ts'
import { Fault } from '../../src/core/fault.ts'
import { stopper } from '../../src/core/stop.ts'
import { admit, usageOf } from '../../src/gateway/admission.ts'
import type { Gateway, Journey } from '../../src/gateway/gateway.ts'
import { arrive } from '../../src/gateway/journey.ts'
import { prices } from '../../src/gateway/prices.ts'
import type { Ask, ClientLimits } from '../../src/limits/admit.ts'
import { estimatedInputTokens, estimatedTokens } from '../../src/usage/estimate.ts'
import { heldClock } from '../support/clock.ts'
import { madeCall, madeClient, madeRoute, madeTarget } from './made.ts'

const CHEAP = madeTarget('p/cheap', { abilities: { price: { input: 1, output: 2 }, maxOutput: 1_000 }, tags: new Set(['eu']) })
const DEAR = madeTarget('q/dear', { abilities: { price: { input: 10, output: 100 } } })

function begun(more: object, targets: readonly Target[] = [CHEAP], require: readonly string[] = []) {
  const clock = heldClock()
  const call = madeCall(more)
  const gateway = { clock, prices: prices([CHEAP, DEAR], () => {}) } as unknown as Gateway
  const journey: Journey = arrive(gateway, 'id', stopper())
  const route = madeRoute('r', targets.slice(0, 1), { fallbacks: () => targets.slice(1), deadlineMs: 5_000 })
  Object.assign(journey, { call, client: madeClient({ require }), route, tokens: estimatedTokens(call) })
  return { gateway, journey, input: estimatedInputTokens(call) }
}

/** What a call asks of limits that let it pass. */
async function askedBy({ gateway, journey }: ReturnType<typeof begun>): Promise<Ask> {
  let asked: Ask | undefined
  const limits: ClientLimits = {
    async admit(ask) {
      asked = ask
      return { permit: { settle() {} }, headers: {} }
    },
    budget: () => undefined,
    refresh: async () => {},
  }
  await admit(gateway, journey, limits, '')
  return asked!
}

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-12, `${actual}, not ${expected}`)

test('a call that says how long its answer may be reserves just that, for every choice', async () => {
  const path = begun({ max_tokens: 50, n: 3 })
  const { mostUsd, leastUsd } = (await askedBy(path)).cost()
  near(mostUsd, (path.input * 1 + 150 * 2) / 1e6)
  assert.equal(leastUsd, mostUsd)
})

test('no answer is longer than its model can give', async () => {
  const path = begun({ max_tokens: 50_000 })
  near((await askedBy(path)).cost().mostUsd, (path.input * 1 + 1_000 * 2) / 1e6)
})

test('a call that does not say reserves the longest answer of the model, and at least its prompt', async () => {
  const path = begun({})
  const { mostUsd, leastUsd } = (await askedBy(path)).cost()
  near(mostUsd, (path.input * 1 + 1_000 * 2) / 1e6)
  near(leastUsd, (path.input * 1) / 1e6)
})

test('the dearest target counts that the call may come to: fallbacks, but none without a required tag', async () => {
  const open = begun({ max_tokens: 50 }, [CHEAP, DEAR])
  near((await askedBy(open)).cost().mostUsd, (open.input * 10 + 50 * 100) / 1e6)
  const eu = begun({ max_tokens: 50 }, [CHEAP, DEAR], ['eu'])
  near((await askedBy(eu)).cost().mostUsd, (eu.input * 1 + 50 * 2) / 1e6)
})

test('a call that does not pass is refused with the fault and the headers of its limits', async () => {
  const { gateway, journey } = begun({})
  const fault = new Fault('rate-limited')
  const limits = { admit: async () => ({ fault, headers: { 'x-ratelimit-limit-requests': '1' } }) } as unknown as ClientLimits
  await assert.rejects(admit(gateway, journey, limits, ''), fault)
  assert.deepEqual(journey.limitHeaders, { 'x-ratelimit-limit-requests': '1' })
  assert.equal(journey.permit, undefined)
})

const tried = (outcome: AttemptRecord['outcome'], usage?: AttemptRecord['usage']): AttemptRecord => ({
  target: CHEAP,
  outcome,
  ms: 1,
  ...(usage !== undefined && { usage }),
})

test('what an attempt used is what its provider told, and else what was estimated', () => {
  const { journey, input } = begun({ max_tokens: 50 })
  const whole = { input: 7, output: 3 }
  assert.equal(usageOf(tried('upstream-error', whole), journey), whole)
  assert.equal(usageOf(tried('upstream-error'), journey), undefined)
  assert.equal(usageOf(tried('passed-over:no-key'), journey), undefined)
  assert.deepEqual(usageOf(tried('answered'), journey), { input, output: 50 })
  assert.deepEqual(usageOf(tried('upstream-truncated', { input: 7 }), journey), { input: 7, output: 0 })
  assert.deepEqual(usageOf(tried('upstream-truncated', { output: 7 }), journey), { input, output: 7 })
  assert.deepEqual(usageOf(tried('answered', { input: 7 }), journey), { input: 7, output: 50 })
  assert.equal(usageOf(tried('answered', whole), journey), whole)
})
