/*
 * A call at its client's limits: what is reserved before it, and what is owed after it. Reserved is one attempt at the dearest target that
 * the call may come to; owed is what all of its attempts used, those that failed after the provider had begun to count included.
 */
import type { AttemptRecord, Target } from '../core/attempt.ts'
import type { ChatCall, Usage } from '../core/chat.ts'
import type { ClientLimits } from '../limits/admit.ts'
import type { Reservation } from '../limits/budgets.ts'
import { estimatedInputTokens } from '../usage/estimate.ts'
import { costUsd } from '../usage/price.ts'
import type { Gateway, Journey } from './gateway.ts'
import type { Prices } from './prices.ts'
import { candidates } from './routes.ts'

/**
 * Rejects with the Fault (rate-limited, over-budget) of a call that does not pass.
 * @param carried what the star of the route stood for
 */
export async function admit(gateway: Gateway, journey: Journey, limits: ClientLimits, carried: string): Promise<void> {
  const { call, tokens } = journey
  const [route, client] = [journey.route!, journey.client!]
  const admission = await limits.admit({
    tokens,
    cost: () => reservation(gateway.prices, call!, candidates(route, carried, client)),
    deadlineMs: route.deadlineMs,
  })
  journey.limitHeaders = admission.headers
  if ('fault' in admission) throw admission.fault
  journey.permit = admission.permit
}

/** The longest answer of a model that nothing is known of, in tokens, for a call that sets no limit to it. */
const LONG_ANSWER = 4_096

function reservation(prices: Prices, call: ChatCall, targets: readonly Target[]): Reservation {
  const { n, max_completion_tokens: longest, max_tokens: longestOf } = call.shape
  const stated = longest ?? longestOf ?? undefined
  const input = estimatedInputTokens(call)
  let mostUsd = 0
  let inputUsd = 0
  for (const target of targets) {
    const price = prices.of(target)
    const { maxOutput } = target.abilities
    const answer = Math.min(stated ?? maxOutput ?? LONG_ANSWER, maxOutput ?? Number.POSITIVE_INFINITY) * (n ?? 1)
    mostUsd = Math.max(mostUsd, costUsd(price, { input, output: answer })!)
    inputUsd = Math.max(inputUsd, costUsd(price, { input, output: 0 })!)
  }
  return { mostUsd, leastUsd: stated === undefined ? inputUsd : mostUsd }
}

/**
 * What an attempt used; undefined when it cost nothing that anybody knows of. What the provider of an answer did not tell is taken to be
 * as estimated, not nothing; an attempt that failed before its first content gave no answer to pay for.
 */
export function usageOf({ outcome, usage: told }: AttemptRecord, journey: Journey): Usage | undefined {
  const usage = outcome === 'answered' ? (told ?? NOTHING_TOLD) : told
  if (usage === undefined || (usage.input !== undefined && usage.output !== undefined)) return usage
  const input = estimatedInputTokens(journey.call!)
  const output = outcome === 'answered' ? Math.max(0, journey.tokens - input) : 0
  return { ...usage, input: usage.input ?? input, output: usage.output ?? output }
}

const NOTHING_TOLD: Usage = {}
