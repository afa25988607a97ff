import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UpstreamHeaders } from '../../../src/core/provider.ts'
import { retryAfterMs } from '../../../src/providers/kit/retry-after.ts'
import { failed } from '../calls.ts'

const NOON = Date.UTC(2026, 2, 1, 12)
const HOUR = 3_600_000

const HEADERS: readonly (readonly [string, UpstreamHeaders, number | undefined])[] = [
  ['seconds', { 'retry-after': '20' }, 20_000],
  ['a fraction of a second', { 'retry-after': '0.25' }, 250],
  ['milliseconds before seconds', { 'retry-after': '20', 'retry-after-ms': '1500.5' }, 1_501],
  ['zero milliseconds as nothing', { 'retry-after': '1', 'retry-after-ms': '0' }, 1_000],
  ['zero as nothing', { 'retry-after': '0' }, undefined],
  ['less than nothing as nothing', { 'retry-after': '-5' }, undefined],
  ['rubbish as nothing', { 'retry-after': 'soon', 'x-ratelimit-reset-tokens': 'later' }, undefined],
  ['a list by its first', { 'retry-after': ['7', '9'] }, 7_000],
  ['a day as an hour', { 'retry-after': '86400' }, HOUR],
  ['a date by our clock', { 'retry-after': new Date(NOON + 90_000).toUTCString() }, 90_000],
  [
    'a date by their own clock',
    { 'retry-after': 'Sun, 01 Mar 2026 10:00:30 GMT', date: 'Sun, 01 Mar 2026 10:00:00 GMT' },
    30_000,
  ],
  ['a date that is over as nothing', { 'retry-after': new Date(NOON - 1_000).toUTCString() }, undefined],
  ['a duration where seconds belong', { 'retry-after': '1m30s' }, 90_000],
  ['a reset as a duration', { 'x-ratelimit-reset-requests': '1m30.5s' }, 90_500],
  ['a reset of a few milliseconds', { 'x-ratelimit-reset-tokens': '12ms' }, 12],
  ['a reset in hours', { 'x-ratelimit-reset-requests': '6h0m0s' }, HOUR],
  ['a reset in seconds', { 'x-ratelimit-reset-tokens': '55' }, 55_000],
  [
    'a reset spelt with another dash',
    { 'x-rate-limit-reset-tokens': '55', 'x-ratelimit-remaining-tokens': '-1', 'x-ratelimit-reset-tokens': '0' },
    55_000,
  ],
  ['a reset as a moment in seconds', { 'x-ratelimit-reset': String(NOON / 1_000 + 42) }, 42_000],
  ['a reset as a moment in milliseconds', { 'x-ratelimit-reset': String(NOON + 42_000) }, 42_000],
  ['a reset as a written moment', { 'anthropic-ratelimit-requests-reset': '2026-03-01T12:00:09Z' }, 9_000],
  [
    'the limit that is spent',
    {
      'x-ratelimit-remaining-requests': '13',
      'x-ratelimit-reset-requests': '2h',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '7.66s',
    },
    7_660,
  ],
  ['the longest of those spent', { 'x-ratelimit-reset-requests': '3s', 'x-ratelimit-reset-tokens': '5s' }, 5_000],
  [
    'the shortest where none is spent',
    {
      'x-ratelimit-remaining-requests': '13',
      'x-ratelimit-reset-requests': '20m',
      'x-ratelimit-remaining-tokens': '50',
      'x-ratelimit-reset-tokens': '2s',
    },
    2_000,
  ],
  ['what is asked before what resets', { 'retry-after': '20', 'x-ratelimit-reset-requests': '21m36.001s' }, 20_000],
  ['nothing as nothing', {}, undefined],
]

for (const [name, headers, expected] of HEADERS) {
  test(`headers are understood: ${name}`, () => assert.equal(retryAfterMs(failed(429, {}, headers)), expected))
}

const BODIES: readonly (readonly [string, unknown, number | undefined])[] = [
  [
    'Google’s retryDelay',
    { error: { code: 429, message: 'x', status: 'RESOURCE_EXHAUSTED', details: [{ '@type': 'x' }, { retryDelay: '48.93s' }] } },
    48_930,
  ],
  ['the same in an array', [{ error: { code: 429, details: [{ retryDelay: '48s' }] } }], 48_000],
  ['an availability', { error: { code: 503, message: 'x', availability: { retry_after: 12 } } }, 12_000],
  [
    'headers inside the body',
    {
      error: {
        code: 429,
        message: 'x',
        metadata: { headers: { 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': String(NOON + 5_000) } },
      },
    },
    5_000,
  ],
  ['"try again in 1.2s"', { error: { message: 'Rate limit reached. Please try again in 1.2s. Visit x.' } }, 1_200],
  ['"try again in 350ms"', { error: { message: 'Please try again in 350ms.' } }, 350],
  ['"try again in 6m0s"', { error: { message: 'Please try again in 6m0s.' } }, 360_000],
  ['"try again in 9m38.016s"', { error: { message: 'Limit 100000, Used 99000. Please try again in 9m38.016s.' } }, 578_016],
  ['"retry in 48.9s"', { error: { message: 'Please retry in 48.9s.' } }, 48_900],
  ['"retry after 20 seconds"', { error: { message: 'Please retry after 20 seconds. To increase' } }, 20_000],
  ['"try again after 2 minutes"', { message: 'Try again after 2 minutes' }, 120_000],
  ['"try again in a while"', { error: { message: 'Please try again in a while, or in 2027' } }, undefined],
  ['"retry shortly" and numbers', { error: { message: 'limited to 1 requests per minute. Please retry shortly.' } }, undefined],
  ['a plain text', 'Too many requests, retry after 3 seconds', 3_000],
]

for (const [name, body, expected] of BODIES) {
  test(`bodies are understood: ${name}`, () => assert.equal(retryAfterMs(failed(429, body)), expected))
}

test('of what headers and body say, the longer counts', () => {
  const body = { error: { message: 'Please try again in 30s.' } }
  assert.equal(retryAfterMs(failed(429, body, { 'retry-after': '10' })), 30_000)
  assert.equal(retryAfterMs(failed(429, body, { 'retry-after': '40' })), 40_000)
})

test('a moment means nothing where nobody knows the time', () => {
  const failure = { ...failed(200, { error: { metadata: { headers: { 'X-RateLimit-Reset': String(NOON) } } } }), receivedMs: 0 }
  assert.equal(retryAfterMs(failure), undefined)
})
