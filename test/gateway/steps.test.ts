import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttemptRecord, Target } from '../../src/core/attempt.ts'
import { Fault, type FaultDetails, type FaultName } from '../../src/core/fault.ts'
import { stopper } from '../../src/core/stop.ts'
import type { Gateway, Journey } from '../../src/gateway/gateway.ts'
import { arrive } from '../../src/gateway/journey.ts'
import type { Route } from '../../src/gateway/routes.ts'
import { decide, exhausted, goesOn, lastResort, notTried } from '../../src/gateway/steps.ts'
import { heldClock } from '../support/clock.ts'
import { madeRoute, madeTarget } from './made.ts'

const [A, B, C] = [madeTarget('p/a'), madeTarget('p/b'), madeTarget('q/c')]

interface Options {
  readonly route?: Partial<Route>
  readonly keyReady?: boolean
  readonly opensAtMs?: Readonly<Record<string, number>>
  readonly deadlineMs?: number
  readonly allowed?: number
  /** Providers at their cap. */
  readonly capped?: readonly string[]
}

function begun({ route = {}, keyReady = false, opensAtMs = {}, deadlineMs = 60_000, allowed = 100, capped = [] }: Options = {}) {
  const clock = heldClock()
  const gone = stopper()
  let extra = allowed
  const allowance = { called() {}, take: () => extra > 0 && extra-- > 0, giveBack: () => void extra++ }
  // Only these parts are asked by a step.
  const gateway = {
    clock,
    random: () => 0.5,
    keys: { anyReady: () => keyReady },
    circuits: { opensAtMs: (target: string) => opensAtMs[target] ?? 0 },
    spend: { isCapped: (provider: string) => capped.includes(provider), renewsAtMs: () => clock.now() + 5_000 },
  } as unknown as Gateway
  const journey: Journey = arrive(gateway, 'id', gone)
  journey.route = madeRoute('r', [A, B, C], { allowance, ...route })
  journey.plan = PLAN
  journey.deadlineTicks = clock.ticks() + deadlineMs
  return { clock, gateway, journey, gone, extraLeft: () => extra }
}

type Begun = ReturnType<typeof begun>

/** Says what goes on after an attempt that failed so. */
function failed({ gateway, journey }: Begun, target: Target, kind: FaultName, details: FaultDetails = {}): boolean {
  journey.tried.push(target)
  journey.attempts.push({ target, outcome: kind, ms: 1 })
  return goesOn(gateway, journey, target, new Fault(kind, details))
}

const passed = (journey: Journey, target: Target, outcome: AttemptRecord['outcome']) =>
  journey.attempts.push({ target, outcome, ms: 0 })
const step = async ({ gateway, journey }: Begun, target: Target, again = 0) => decide(gateway, journey, { target, again })

test('a step that the plan ruled out is passed over with its reason', async () => {
  const { gateway, journey } = begun()
  assert.equal(await decide(gateway, journey, { target: A, again: 0, passedOver: 'tag' }), 'tag')
})

test('a provider at its spend cap is passed over until its period is over', async () => {
  const path = begun({ capped: ['p'] })
  assert.equal(await step(path, A), 'spend-cap')
  assert.equal(await step(path, C), 'go')
  passed(path.journey, A, 'passed-over:spend-cap')
  assert.equal(exhausted(path.gateway, path.journey).details.retryAfterMs, 5_000)
})

test('a spend cap does not keep the last resort from a circuit that stands in the way of all the rest', () => {
  const path = begun({ capped: ['p'] })
  passed(path.journey, A, 'passed-over:spend-cap')
  assert.equal(lastResort(path.gateway, path.journey), undefined)
  passed(path.journey, C, 'passed-over:circuit-open')
  assert.equal(lastResort(path.gateway, path.journey)?.target, C)
})

test('a step is not begun without time for it', async () => {
  const path = begun({ deadlineMs: 100 })
  assert.equal(await step(path, A), 'go')
  await path.clock.pass(91)
  assert.equal(await step(path, A), 'no-time')
})

test('the first failover is free, every later one is an extra attempt', async () => {
  const path = begun({ allowed: 1 })
  assert.equal(await step(path, A), 'go')
  failed(path, A, 'upstream-error')
  assert.equal(await step(path, B), 'go')
  assert.equal(path.extraLeft(), 1)
  failed(path, B, 'upstream-error')
  assert.equal(await step(path, C), 'go')
  assert.equal(path.extraLeft(), 0)
  failed(path, C, 'upstream-error')
  assert.equal(await step(path, madeTarget('q/d')), 'extra-attempts')
})

test('an extra attempt that was not made after all is given back, a free one is not', async () => {
  const path = begun({ allowed: 1 })
  await step(path, A)
  notTried(path.journey, undefined)
  assert.equal(path.extraLeft(), 1)
  failed(path, A, 'upstream-error')
  failed(path, B, 'upstream-error')
  await step(path, C)
  assert.equal(path.extraLeft(), 0)
  notTried(path.journey, undefined)
  assert.equal(path.extraLeft(), 1)
})

test('the same target is tried again only after a fault of itself that allows it', async () => {
  const path = begun()
  assert.equal(await step(path, A, 1), 'skip', 'it was not tried')
  const again: FaultName[] = ['upstream-overloaded', 'upstream-error', 'upstream-unreachable', 'upstream-garbled']
  const never: FaultName[] = [
    'upstream-timeout',
    'upstream-stalled',
    'upstream-truncated',
    'upstream-unknown-model',
    'context-too-long',
  ]
  for (const kind of [...again, ...never]) {
    failed(path, A, kind)
    const decision = step(path, A, 1)
    await path.clock.pass(50)
    assert.equal(await decision, again.includes(kind) ? 'go' : 'skip', kind)
    assert.equal(await step(path, A, 2), 'skip', `${kind}: there is one retry, not two`)
    assert.equal(await step(path, B, 1), 'skip', `${kind}: another target`)
  }
})

test('before a retry a backoff is waited for, and counted as waiting', async () => {
  const path = begun()
  failed(path, A, 'upstream-error')
  let decided = false
  const decision = step(path, A, 1).then(value => {
    decided = true
    return value
  })
  await path.clock.pass(49)
  assert.equal(decided, false)
  await path.clock.pass(1)
  assert.equal(await decision, 'go')
  assert.equal(path.journey.upstreamMs, 50)
})

test('a retry is an extra attempt', async () => {
  const path = begun({ allowed: 0 })
  failed(path, A, 'upstream-error')
  assert.equal(await step(path, A, 1), 'skip')
})

test('a retry whose wait does not fit into the deadline is not made', async () => {
  const path = begun({ deadlineMs: 55 })
  failed(path, A, 'upstream-error')
  assert.equal(await step(path, A, 1), 'skip')
  assert.equal(path.extraLeft(), 100)
})

test('an upstream that asks for more patience than a short wait is not asked again', async () => {
  const path = begun()
  failed(path, A, 'upstream-overloaded', { retryAfterMs: 3_001 })
  assert.equal(await step(path, A, 1), 'skip')
  failed(path, A, 'upstream-overloaded', { retryAfterMs: 3_000 })
  const decision = step(path, A, 1)
  await path.clock.pass(3_000)
  assert.equal(await decision, 'go')
})

test('after a fault of the key the same target is tried at once with another key, if there is one', async () => {
  for (const kind of ['upstream-refused-key', 'upstream-quota-exhausted', 'upstream-rate-limited'] as const) {
    for (const keyReady of [true, false]) {
      const path = begun({ keyReady })
      failed(path, A, kind)
      assert.equal(await step(path, A, 1), keyReady ? 'go' : 'skip', kind)
      assert.equal(await step(path, A, 5), keyReady ? 'go' : 'skip', 'keys are not bounded by the retries')
    }
  }
})

test('without another key a short Retry-After of a rate limit is waited for, a longer or an unknown one is not', async () => {
  const path = begun()
  failed(path, A, 'upstream-rate-limited', { retryAfterMs: 2_000 })
  const decision = step(path, A, 1)
  await path.clock.pass(1_999)
  assert.equal(path.journey.upstreamMs, 0)
  // A little more than it was told: a timer may come early.
  await path.clock.pass(6)
  assert.equal(await decision, 'go')
  failed(path, A, 'upstream-rate-limited', { retryAfterMs: 3_001 })
  assert.equal(await step(path, A, 1), 'skip')
  failed(path, A, 'upstream-rate-limited')
  assert.equal(await step(path, A, 1), 'skip')
})

test('a client that leaves ends the waiting at once, and nothing is begun after it', async () => {
  const path = begun()
  failed(path, A, 'upstream-error')
  const decision = step(path, A, 1)
  const gone = new Fault('client-gone')
  path.gone.stop(gone)
  await assert.rejects(decision, thrown => thrown === gone)
  assert.equal(path.clock.waiting(), 0)
  await assert.rejects(step(path, B), thrown => thrown === gone)
})

test('faults of the provider go on to the next target, those about the call do not', () => {
  const next: FaultName[] = [
    'upstream-error',
    'upstream-timeout',
    'upstream-rate-limited',
    'upstream-refused-key',
    'upstream-unknown-model',
  ]
  const ends: FaultName[] = ['upstream-refused-call', 'content-filtered', 'client-gone', 'internal']
  for (const kind of [...next, ...ends]) assert.equal(failed(begun(), A, kind), next.includes(kind), kind)
})

test('a route may change that for the two faults that leave it open, and for no other', () => {
  const faults = new Map<FaultName, 'fail_over' | 'return'>([
    ['content-filtered', 'fail_over'],
    ['upstream-refused-call', 'fail_over'],
    ['internal', 'fail_over'],
    ['upstream-error', 'return'],
  ])
  const path = () => begun({ route: { faults } })
  assert.equal(failed(path(), A, 'content-filtered'), true)
  assert.equal(failed(path(), A, 'upstream-refused-call'), true)
  assert.equal(failed(path(), A, 'internal'), false)
  assert.equal(failed(path(), A, 'upstream-error'), true)
})

test('a call too long for one context goes on to larger or unknown ones only', async () => {
  const sized = (id: string, context?: number) => madeTarget(id, context === undefined ? {} : { abilities: { context } })
  const path = begun()
  assert.equal(failed(path, sized('p/8', 8_000), 'context-too-long'), true)
  assert.equal(await step(path, sized('p/4', 4_000)), 'incapable')
  assert.equal(await step(path, sized('p/8b', 8_000)), 'incapable')
  assert.equal(await step(path, sized('p/16', 16_000)), 'go')
  assert.equal(await step(path, sized('p/unknown')), 'go')
  failed(path, sized('p/unknown'), 'context-too-long')
  assert.equal(await step(path, sized('p/16', 16_000)), 'incapable', 'a context that nobody told may have been larger')
  assert.equal(await step(path, sized('p/unknown-too')), 'go')
})

const PLAN = [A, B, C].map(target => ({ target, again: 0 }))

test('when circuits alone stand in the way, the one that opens soonest is the last resort', () => {
  const { gateway, journey } = begun({ opensAtMs: { 'p/a': 300, 'p/b': 100, 'q/c': 200 } })
  for (const target of [A, B, C]) passed(journey, target, 'passed-over:circuit-open')
  assert.equal(lastResort(gateway, journey)?.target, B)
  passed(journey, madeTarget('p/d'), 'passed-over:tag')
  passed(journey, madeTarget('p/e'), 'passed-over:incapable')
  assert.equal(lastResort(gateway, journey)?.target, B, 'what can never answer this call does not matter')
})

test('there is no last resort when anything but a circuit stood in the way, or when something was tried', () => {
  for (const outcome of ['passed-over:no-key', 'passed-over:no-time', 'passed-over:extra-attempts', 'upstream-error'] as const) {
    const { gateway, journey } = begun()
    passed(journey, A, 'passed-over:circuit-open')
    passed(journey, B, outcome)
    assert.equal(lastResort(gateway, journey), undefined, outcome)
  }
  const { gateway, journey } = begun()
  assert.equal(lastResort(gateway, journey), undefined)
  passed(journey, A, 'passed-over:tag')
  assert.equal(lastResort(gateway, journey), undefined)
})

test('when all attempts failed in one way the client hears that status, else 503', () => {
  const same = begun()
  failed(same, A, 'upstream-timeout')
  failed(same, B, 'upstream-timeout')
  const one = exhausted(same.gateway, same.journey)
  assert.deepEqual([one.kind, one.status, one.code, one.shouldRetry], ['exhausted', 504, 'all_targets_failed', false])
  failed(same, C, 'upstream-error')
  assert.equal(exhausted(same.gateway, same.journey).status, 503)
  const none = begun()
  passed(none.journey, A, 'passed-over:circuit-open')
  assert.equal(exhausted(none.gateway, none.journey).status, 503)
})

test('passing over other targets does not hide the one way in which all attempts failed', () => {
  const path = begun()
  passed(path.journey, B, 'passed-over:circuit-open')
  failed(path, A, 'upstream-rate-limited')
  passed(path.journey, C, 'passed-over:no-key')
  const fault = exhausted(path.gateway, path.journey)
  assert.deepEqual([fault.status, fault.type], [429, 'rate_limit_error'])
})

test('a call too long for every target is told as that', () => {
  const path = begun()
  failed(path, A, 'context-too-long', { message: 'too long' })
  const fault = exhausted(path.gateway, path.journey)
  assert.deepEqual([fault.kind, fault.status, fault.message], ['context-too-long', 400, 'too long'])
})

test('the client is told how many attempts were made and when the first thing comes back, and no names', () => {
  const path = begun()
  failed(path, A, 'upstream-error', { detail: 'host p.example', message: 'p/a said no' })
  failed(path, B, 'upstream-rate-limited', { retryAfterMs: 9_000 })
  notTried(path.journey, path.clock.now() + 7_000)
  notTried(path.journey, path.clock.now() + 8_000)
  const fault = exhausted(path.gateway, path.journey)
  assert.equal(fault.message, 'No model could answer this request; 2 attempts were made.')
  assert.equal(fault.details.retryAfterMs, 7_000)
  assert.equal(fault.details.detail, undefined)
  const one = begun()
  failed(one, A, 'upstream-error')
  const alone = exhausted(one.gateway, one.journey)
  assert.equal(alone.message, 'No model could answer this request; 1 attempt was made.')
  assert.equal(alone.details.retryAfterMs, undefined)
})
