/*
 * One try, as the plan sees it: a key, the circuit's word, and then an answer whose first content has come, or a fault. A try that fails is a
 * value. What it was is written down in the journey, and completed when it is over.
 */
import type { AttemptRecord, Outcome, PassedOver, Role, Step } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import { faultOf } from '../core/fault.ts'
import type { Stop } from '../core/stop.ts'
import type { Gateway, Journey } from './gateway.ts'
import { begin, UNWANTED } from './trying.ts'

/**
 * @param call as this target is to get it
 * @param stop ends this attempt from outside
 */
export async function attempt(
  gateway: Gateway,
  journey: Journey,
  step: Step,
  call: ChatCall,
  stop: Stop,
  role?: Role,
): Promise<Outcome> {
  const { target } = step
  const { clock, ledger } = gateway
  const startedTicks = clock.ticks()
  const pass = (reason: PassedOver, retryAtMs?: number): Outcome => {
    ledger.attempted(journey, { target, outcome: `passed-over:${reason}`, ms: 0 })
    return { kind: 'passed-over', reason, ...(retryAtMs !== undefined && { retryAtMs }) }
  }

  // The key before the circuit: a probe must not be wasted on a target that no key can ask.
  const chosen = gateway.keys.choose(target.providerName, journey.tokens)
  const held = chosen instanceof Promise ? await chosen : chosen
  if (!('key' in held)) return pass('no-key', held.retryAtMs)
  const { key } = held
  const asked = role === 'last-resort' ? gateway.circuits.admitAsLastResort(target.id) : gateway.circuits.admit(target.id)
  const admission = asked instanceof Promise ? await asked : asked
  if (!('permit' in admission)) {
    key.release({})
    return pass('circuit-open', admission.retryAtMs)
  }

  const trying = begin(gateway, journey, step, call, stop, key, admission.permit)
  try {
    const answer = await trying.run()
    const ms = clock.ticks() - startedTicks
    const record: AttemptRecord = {
      target,
      key: key.name,
      outcome: 'answered',
      ms,
      ...(role !== undefined && { role }),
      ...(trying.wasSlow() && { slow: true }),
    }
    ledger.attempted(journey, record)
    trying.recorded(record)
    return { kind: 'answered', answer }
  } catch (thrown) {
    const fault = faultOf(thrown)
    trying.over(fault)
    const { detail, upstreamStatus: status } = fault.details
    const record: AttemptRecord = {
      target,
      key: key.name,
      outcome: fault === UNWANTED ? 'cancelled' : fault.kind,
      ms: clock.ticks() - startedTicks,
      ...(role !== undefined && { role }),
      ...(detail !== undefined && fault !== UNWANTED && { detail: gateway.redact(detail) }),
      ...(status !== undefined && { status }),
    }
    ledger.attempted(journey, record)
    trying.recorded(record)
    return { kind: 'failed', fault }
  }
}
