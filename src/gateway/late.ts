/** When a first content is late, by what is known of the target. */
import type { Target } from '../core/attempt.ts'
import type { ChatCall } from '../core/chat.ts'
import type { AnswerKind } from '../resilience/pace.ts'
import type { Gateway, Journey } from './gateway.ts'

/** From when on a first content is late; undefined: never, or too little is known of the target. */
export function lateAfterMs(gateway: Gateway, { route }: Journey, target: Target, call: ChatCall): number | undefined {
  const { slowFactor } = route!
  if (slowFactor === undefined) return undefined
  const medianMs = gateway.paces.medianMs(target.id, kindOf(call))
  return medianMs === undefined ? undefined : slowFactor * medianMs
}

export const kindOf = ({ stream }: ChatCall): AnswerKind => (stream ? 'stream' : 'whole')
