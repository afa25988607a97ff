/*
 * One try, as the plan sees it: a key, the circuit's word, and then an answer whose first content has come, or a fault. A try that fails is a
 * value. What it was is written down in the journey, and completed when it is over.
 */
import type { Outcome, PassedOver, Role, Step } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import type { Stop } from '../core/stop.ts'
import type { Admission } from '../resilience/circuit.ts'
import type { HeldKey, KeyResult } from '../resilience/keys.ts'
import type { Gateway, Journey } from './gateway.ts'
import { outcomeOf } from './trying.ts'

/** What is asked of a target. */
export interface Asking {
  readonly gateway: Gateway
  readonly journey: Journey
  readonly step: Step
  /** As this target is to get it. */
  readonly call: ChatCall
  /** Ends this attempt from outside. */
  readonly stop: Stop
  readonly role: Role | undefined
}

/**
 * Key and circuit mostly say at once, and what need not be waited for is not: the way through here is that of every call. What is passed
 * over is known at once, too.
 */
export function attempt(asking: Asking): Outcome | Promise<Outcome> {
  const { gateway, journey, step } = asking
  // The key before the circuit: a probe must not be wasted on a target that no key can ask.
  const held = gateway.keys.choose(step.target.providerName, journey.tokens)
  return held instanceof Promise ? held.then(known => withKey(asking, known)) : withKey(asking, held)
}

function withKey(asking: Asking, held: KeyResult): Outcome | Promise<Outcome> {
  if (!('key' in held)) return passedOver(asking, 'no-key', held.retryAtMs)
  const { gateway, step, role } = asking
  const { id } = step.target
  const admission = role === 'last-resort' ? gateway.circuits.admitAsLastResort(id) : gateway.circuits.admit(id)
  return admission instanceof Promise
    ? admission.then(known => admitted(asking, held.key, known))
    : admitted(asking, held.key, admission)
}

function admitted(asking: Asking, key: HeldKey, admission: Admission): Outcome | Promise<Outcome> {
  if ('permit' in admission) return outcomeOf(asking, key, admission.permit)
  key.release({})
  return passedOver(asking, 'circuit-open', admission.retryAtMs)
}

function passedOver({ gateway, journey, step: { target } }: Asking, reason: PassedOver, retryAtMs: number | undefined): Outcome {
  gateway.ledger.attempted(journey, { target, outcome: `passed-over:${reason}`, ms: 0 })
  return { kind: 'passed-over', reason, ...(retryAtMs !== undefined && { retryAtMs }) }
}
