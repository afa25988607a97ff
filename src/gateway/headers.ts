/** The response headers of a call: its id, what the operator lets clients know, and for refusals when to come back. */
import type { Fault } from '../core/fault.ts'
import { costUsd } from '../usage/price.ts'
import type { Gateway, Journey } from './gateway.ts'

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
    const cost = costUsd(journey.answeredBy?.abilities.price, journey.usage)
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
  if (journey.answeredBy !== undefined) headers['x-understudy-target'] = journey.answeredBy.id
  let attempts = 0
  for (const { outcome } of journey.attempts) if (!outcome.startsWith('passed-over:')) attempts++
  headers['x-understudy-attempts'] = String(attempts)
  headers['x-understudy-cache'] = 'off'
  if (journey.leftOut.length > 0) headers['x-understudy-left-out'] = journey.leftOut.join(', ')
  if (gateway.headersShown === 'full' && journey.attempts.length > 0) {
    headers['x-understudy-trail'] = journey.attempts
      .map(({ target, outcome, ms }) => `${target.id};${outcome};${Math.round(ms)}ms`)
      .join(', ')
  }
}
