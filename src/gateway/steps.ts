/*
 * From one step of the plan to the next. Whether a step is taken is decided here, from the fault before it and the table of faults;
 * waiting for a backoff or a short Retry-After happens here, too.
 */
import type { PassedOver, Step, Target } from '../core/attempt.ts'
import { sleep } from '../core/clock.ts'
import { Fault, rowOf } from '../core/fault.ts'
import { backoffMs } from '../resilience/backoff.ts'
import type { Gateway, Journey } from './gateway.ts'

/** An attempt is not begun with less time than this: it could only fail, and would be blamed for it. */
const LEAST_MS = 10

/** A timer may come a little early, and would find the key still at rest. */
const LATE_MS = 5

/** `go`: take it. `skip`: a retry that the fault before it does not allow. Otherwise the reason for which it is passed over. */
export type Decision = 'go' | 'skip' | PassedOver

/**
 * At once, but for a retry, which may have to wait. Throws or rejects when the client has left.
 * @param extra whether it counts as an extra attempt whatever has been tried before
 */
export function decide(gateway: Gateway, journey: Journey, step: Step, extra = false): Decision | Promise<Decision> {
  if (step.passedOver !== undefined) return step.passedOver
  if (journey.stop.fault !== undefined) throw journey.stop.fault
  const leftMs = journey.deadlineTicks - gateway.clock.ticks()
  if (step.again > 0) return decideRetry(gateway, journey, step, leftMs)
  if (leftMs < LEAST_MS) return 'no-time'
  if (gateway.spend.isCapped(step.target.providerName)) {
    comesBackAt(journey, gateway.spend.renewsAtMs(step.target.providerName))
    return 'spend-cap'
  }
  if (journey.contextOver !== undefined && !isLarger(step.target, journey.contextOver)) return 'incapable'
  // The first failover of a call is free.
  journey.tookExtra = extra || journey.tried.length >= 2
  return journey.tookExtra && !journey.route!.allowance.take() ? 'extra-attempts' : 'go'
}

/** Most retries are not called for, and that is known at once. */
function decideRetry(gateway: Gateway, journey: Journey, { target, again }: Step, leftMs: number): Decision | Promise<Decision> {
  const { last } = journey
  if (last === undefined || last.target !== target) return 'skip'
  const waitMs = retryWaitMs(gateway, target, again, last.fault)
  if (waitMs === undefined || waitMs > leftMs - LEAST_MS) return 'skip'
  if (!journey.route!.allowance.take()) return 'skip'
  journey.tookExtra = true
  return waitMs > 0 ? afterWaiting(gateway, journey, waitMs) : 'go'
}

async function afterWaiting({ clock }: Gateway, journey: Journey, ms: number): Promise<Decision> {
  await sleep(clock, ms, journey.stop)
  journey.upstreamMs += ms
  return 'go'
}

/** How long to wait before the same target again; undefined when it must not be tried again. */
function retryWaitMs(gateway: Gateway, target: Target, again: number, fault: Fault): number | undefined {
  const mayRepeat = again <= target.retry.attempts
  const told = fault.details.retryAfterMs
  switch (rowOf(fault.kind).again) {
    case 'no':
      return undefined
    case 'yes':
      // An upstream that asks for more patience than a short wait is not asked again within this call.
      if (!mayRepeat || (told ?? 0) > target.retry.rateLimitWaitMs) return undefined
      return backoffMs(target.retry, again, told, gateway.random)
    case 'other-key':
      return gateway.keys.anyReady(target.providerName) ? 0 : undefined
    case 'other-key-or-wait':
      if (gateway.keys.anyReady(target.providerName)) return 0
      if (!mayRepeat || told === undefined || told > target.retry.rateLimitWaitMs) return undefined
      return told + LATE_MS
  }
}

function isLarger(target: Target, context: number): boolean {
  return target.abilities.context === undefined || target.abilities.context > context
}

/** Takes note of a failed attempt. @returns whether other steps may be tried */
export function goesOn(gateway: Gateway, journey: Journey, target: Target, fault: Fault): boolean {
  journey.last = { target, fault }
  if (fault.details.retryAfterMs !== undefined) comesBackAt(journey, gateway.clock.now() + fault.details.retryAfterMs)
  const row = rowOf(fault.kind)
  if (row.next === 'if-larger') {
    // A context that nobody told us is as small as it can be: then only unknown ones are worth a try.
    journey.contextOver = Math.max(journey.contextOver ?? 0, target.abilities.context ?? Number.POSITIVE_INFINITY)
    return true
  }
  const override = row.overridable ? journey.route!.faults.get(fault.kind) : undefined
  return override === undefined ? row.next === 'yes' : override === 'fail_over'
}

/** Takes note of a step that was passed over after all, by a circuit or for want of a key. */
export function notTried(journey: Journey, retryAtMs: number | undefined): void {
  comesBackAt(journey, retryAtMs)
  if (journey.tookExtra) journey.route!.allowance.giveBack()
}

/** Takes note of the moment when something could work again. */
function comesBackAt(journey: Journey, atMs: number | undefined): void {
  if (atMs !== undefined) journey.retryAtMs = Math.min(journey.retryAtMs ?? Number.POSITIVE_INFINITY, atMs)
}

/** The step to take all the same, when circuits alone stand in the way of every one: that of the target that opens soonest. */
export function lastResort(gateway: Gateway, journey: Journey): Step | undefined {
  const considered = journey.attempts.filter(({ outcome }) => !RULED_OUT.has(outcome))
  if (considered.length === 0 || considered.some(({ outcome }) => outcome !== 'passed-over:circuit-open')) return undefined
  const [first, ...others] = considered.map(({ target }) => target)
  const soonest = others.reduce((best, each) => (opens(gateway, each) < opens(gateway, best) ? each : best), first!)
  return journey.plan.find((step): step is Step => 'target' in step && step.target === soonest && step.passedOver === undefined)
}

const RULED_OUT: ReadonlySet<string> = new Set(['passed-over:incapable', 'passed-over:tag', 'passed-over:spend-cap'])
const opens = (gateway: Gateway, target: Target) => gateway.circuits.opensAtMs(target.id)

/** What the client is told when no step is left: the one fault that all attempts had, or that nothing worked; no provider, host or key. */
export function exhausted(gateway: Gateway, journey: Journey): Fault {
  const failed = journey.attempts.filter(
    ({ outcome }) => outcome !== 'answered' && outcome !== 'cancelled' && !outcome.startsWith('passed-over:'),
  )
  const { last } = journey
  const inOneWay = last !== undefined && failed.every(({ outcome }) => outcome === last.fault.kind)
  // About the call itself, which would fail anywhere in this way: what the provider said helps most.
  if (inOneWay && rowOf(last.fault.kind).next !== 'yes') return last.fault
  const retryAfterMs = journey.retryAtMs === undefined ? undefined : Math.max(0, journey.retryAtMs - gateway.clock.now())
  const attempts = failed.length === 1 ? '1 attempt was made' : `${failed.length} attempts were made`
  return new Fault('exhausted', {
    message: `No model could answer this request; ${attempts}.`,
    ...(inOneWay && { status: last.fault.status, type: last.fault.type }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}
