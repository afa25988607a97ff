/** The response headers of a call: its id, what the operator lets clients know, and for refusals when to come back. */
import type { Fault } from '../core/fault.ts'
import type { Gateway, Journey } from './gateway.ts'
import { costOf } from './ledger.ts'

const NO_STORE = 'private, no-store'

/** For an answer: whole, or the head of a stream. */
export function answerHeaders(gateway: Gateway, journey: Journey): Record<string, string> {
  const stream = journey.call?.stream === true
  const headers: Record<string, string> = stream
    ? {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      }
    : { 'content-type': 'application/json; charset=utf-8', 'cache-control': NO_STORE }
  headers['x-request-id'] = journey.id
  if (journey.limitHeaders !== undefined) Object.assign(headers, journey.limitHeaders)
  if (gateway.headersShown === 'none') return headers
  tell(gateway, journey, headers)
  if (!stream) {
    const cost = journey.shownTarget === undefined ? costOf(journey) : 0
    if (cost !== undefined) headers['x-understudy-cost-usd'] = cost.toFixed(6)
  }
  return headers
}

export function refusalHeaders(gateway: Gateway, journey: Journey, fault: Fault): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': NO_STORE,
    'x-request-id': journey.id,
    'x-should-retry': String(fault.shouldRetry),
  }
  if (journey.limitHeaders !== undefined) Object.assign(headers, journey.limitHeaders)
  const { retryAfterMs } = fault.details
  if (retryAfterMs !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
  if (gateway.headersShown !== 'none' && journey.route !== undefined) tell(gateway, journey, headers)
  return headers
}

function tell(gateway: Gateway, journey: Journey, headers: Record<string, string>): void {
  if (journey.route !== undefined) headers['x-understudy-route'] = journey.route.name
  const target = journey.shownTarget ?? journey.answeredBy?.id
  if (target !== undefined) headers['x-understudy-target'] = target
  let attempts = 0
  for (const { outcome } of journey.attempts) if (!outcome.startsWith('passed-over:')) attempts++
  headers['x-understudy-attempts'] = String(attempts)
  headers['x-understudy-cache'] = journey.cached ?? 'off'
  headers['x-understudy-level'] = journey.level
  if (journey.leftOut.length > 0) headers['x-understudy-left-out'] = journey.leftOut.join(', ')
  if (gateway.headersShown === 'full' && journey.attempts.length > 0) {
    headers['x-understudy-trail'] = trailOf(journey)
  }
}

/** One entry per attempt so far. */
export function trailOf({ attempts }: Journey): string {
  return attempts.map(({ target, outcome, broke, ms }) => `${target.id};${broke ?? outcome};${Math.round(ms)}ms`).join(', ')
}
