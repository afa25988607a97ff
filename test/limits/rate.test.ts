import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationText, limitHeaders, limitRefusal } from '../../src/limits/rate.ts'

test('durations are written as OpenAI writes them', () => {
  const cases = { 0: '0s', 1: '1ms', 6.2: '7ms', 999: '999ms', 1000: '1s', 8640: '8.64s', 60000: '1m0s', 93500: '1m33.5s' }
  for (const [ms, text] of Object.entries(cases)) assert.equal(durationText(Number(ms)), text)
})

test('the headers tell of those limits that there are, in whole requests and tokens', () => {
  const now = Date.parse('2026-11-27T14:00:20Z')
  assert.deepEqual(limitHeaders({ rpm: 10 })({ rpm: 7.9, tpm: 0 }, now), {
    'x-ratelimit-limit-requests': '10',
    'x-ratelimit-remaining-requests': '7',
    'x-ratelimit-reset-requests': '1m40s',
  })
  assert.deepEqual(limitHeaders({ tpm: 500, concurrency: 3 })({ rpm: 0, tpm: -20 }, now), {
    'x-ratelimit-limit-tokens': '500',
    'x-ratelimit-remaining-tokens': '0',
    'x-ratelimit-reset-tokens': '1m40s',
  })
  assert.equal(limitHeaders({ tpm: 500 })({ rpm: 0, tpm: 500 }, now)['x-ratelimit-reset-tokens'], '0s')
  assert.deepEqual(limitHeaders({ concurrency: 3 })({ rpm: 0, tpm: 0 }, now), {})
})

test('a refusal says which limit it was, how large it is and when to come back', () => {
  const limits = { rpm: 10, tpm: 500, concurrency: 3 }
  const requests = limitRefusal('rpm', limits, 2_500)
  assert.deepEqual(
    [requests.kind, requests.status, requests.code, requests.shouldRetry],
    ['rate-limited', 429, 'rate_limit_exceeded', true],
  )
  assert.match(requests.message, /requests per minute: the limit is 10\. Please try again in 2\.5s\./)
  assert.equal(requests.details.retryAfterMs, 2_500)
  assert.match(limitRefusal('tpm', limits, 1).message, /tokens per minute: the limit is 500/)
  const flight = limitRefusal('concurrency', limits, 600_000)
  assert.match(flight.message, /3 requests in flight/)
  assert.equal(flight.details.retryAfterMs, 1_000)
})
