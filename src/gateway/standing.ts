/** How a target stands now, without asking for it: what a call that comes to it would meet. */
import type { PassedOver } from '../core/attempt.ts'
import type { CircuitState } from '../resilience/circuit.ts'
import type { Gateway } from './gateway.ts'

export interface Standing {
  readonly circuit: CircuitState
  /** Whether an operator holds it. */
  readonly isForced: boolean
  /** When an open circuit lets somebody try; milliseconds since 1970. */
  readonly opensAtMs: number | undefined
  readonly keys: number
  /** Ready, or to be tried again. Their limits are not asked for. */
  readonly usableKeys: number
  /** Whether its provider is at its spend cap. */
  readonly isCapped: boolean
  /** Why its provider is not well, for which it goes behind others. */
  readonly unwell: string | undefined
  /** Why a call would pass it over; undefined: it would not. */
  readonly passedOver: PassedOver | undefined
}

export function standingOf(gateway: Gateway, providerName: string, id: string): Standing {
  const { circuits, keys, spend, clock } = gateway
  const circuit = circuits.state(id)
  const opensAtMs = circuits.opensAtMs(id)
  const all = keys.status(providerName)
  const usableKeys = all.filter(
    ({ state, untilMs }) => state === 'ready' || (state === 'retired' && untilMs !== undefined && untilMs <= clock.now()),
  ).length
  const isCapped = spend.isCapped(providerName)
  return {
    circuit,
    isForced: circuits.forced(id),
    opensAtMs: circuit !== 'closed' && Number.isFinite(opensAtMs) && opensAtMs > 0 ? opensAtMs : undefined,
    keys: all.length,
    usableKeys,
    isCapped,
    unwell: gateway.probing.whyUnwell(providerName),
    // In the order in which a call meets them.
    passedOver: isCapped ? 'spend-cap' : usableKeys === 0 ? 'no-key' : circuit === 'open' ? 'circuit-open' : undefined,
  }
}
