/** What happens here, as those hear of it who want to be told by a webhook. */
import type { CircuitState } from '../resilience/circuit.ts'
import type { KeyState } from '../resilience/keys.ts'
import type { Webhooks } from '../telemetry/webhooks.ts'
import type { Journey } from './gateway.ts'

export interface Notices {
  circuit(target: string, to: CircuitState): void
  key(provider: string, key: string, to: KeyState): void
  /** A call that has ended. */
  call(journey: Journey): void
}

export function notices({ tell }: Webhooks): Notices {
  /** Their circuits are not closed: one that opens again after a failed probe has not opened anew. */
  const out = new Set<string>()
  return {
    circuit(target, to) {
      if (to === 'closed') {
        out.delete(target)
        tell('circuit.closed', { target })
      } else {
        if (to === 'open' && !out.has(target)) tell('circuit.opened', { target })
        out.add(target)
      }
    },
    key(provider, key, to) {
      if (to === 'retired') tell('key.retired', { provider, key })
    },
    call({ ending, route, client, attempts, shownTarget }) {
      const fault = ending !== undefined && 'fault' in ending ? ending.fault.kind : undefined
      if (fault === 'over-budget') tell('budget.exhausted', { client: client!.name })
      // A call that is refused while the gateway drains has come to no route. Something may have stood in for an answer, where targets had
      // been asked for one.
      else if (route !== undefined && (fault === 'exhausted' || (shownTarget !== undefined && attempts.length > 0)))
        tell('route.exhausted', { route: route.name })
    },
  }
}
