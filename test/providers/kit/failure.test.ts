import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FaultName } from '../../../src/core/fault.ts'
import type { UpstreamHeaders } from '../../../src/core/provider.ts'
import { classifyBy, type Told, told } from '../../../src/providers/kit/failure.ts'
import { failed } from '../calls.ts'

const SHAPES: readonly (readonly [string, number, unknown, Told, UpstreamHeaders?])[] = [
  [
    'OpenAI',
    400,
    { error: { message: 'no', type: 'invalid_request_error', param: 'messages[0]', code: 'invalid_type' } },
    { status: 400, message: 'no', type: 'invalid_request_error', code: 'invalid_type', param: 'messages[0]' },
  ],
  [
    'OpenAI, with nulls',
    400,
    { error: { message: 'no', type: 'x', param: null, code: null } },
    { status: 400, message: 'no', type: 'x' },
  ],
  [
    'Azure, with the reason within',
    400,
    { error: { code: 'content_filter', message: 'no', innererror: { code: 'ResponsibleAIPolicyViolation' } } },
    { status: 400, message: 'no', code: 'ResponsibleAIPolicyViolation' },
  ],
  [
    'Anthropic',
    429,
    { type: 'error', error: { type: 'rate_limit_error', message: 'no', details: { error_code: 'c' } }, request_id: 'r' },
    { status: 429, message: 'no', type: 'rate_limit_error', code: 'c' },
  ],
  [
    'Google',
    400,
    { error: { code: 400, message: 'no', status: 'INVALID_ARGUMENT', details: [{ reason: 'API_KEY_INVALID' }] } },
    { status: 400, message: 'no', type: 'INVALID_ARGUMENT', code: 'API_KEY_INVALID' },
  ],
  [
    'Google, in an array',
    503,
    [{ error: { code: 503, message: 'no', status: 'UNAVAILABLE' } }],
    { status: 503, message: 'no', type: 'UNAVAILABLE', code: '503' },
  ],
  [
    'AWS, by its header',
    429,
    { message: 'no' },
    { status: 429, message: 'no', type: 'ThrottlingException' },
    { 'x-amzn-errortype': 'ThrottlingException:http://internal/' },
  ],
  [
    'AWS, by its body',
    400,
    { __type: 'com.amazon.coral.service#AccessDeniedException', Message: 'no' },
    { status: 400, message: 'no', type: 'AccessDeniedException' },
  ],
  [
    'Cohere',
    400,
    { id: 'i', message: 'no', error_type: 'TOO_MANY_TOKENS' },
    { status: 400, message: 'no', type: 'TOO_MANY_TOKENS' },
  ],
  ['a bare text', 500, { error: 'no' }, { status: 500, message: 'no' }],
  ['xAI', 400, { code: 'invalid-argument', error: 'no' }, { status: 400, message: 'no', code: 'invalid-argument' }],
  [
    'OpenRouter',
    402,
    {
      error: { message: 'no', code: 402, metadata: { error_type: 'payment_required', limit_source: 'openrouter_credits' } },
      user_id: 'u',
    },
    { status: 402, message: 'no', type: 'payment_required', code: 'openrouter_credits' },
  ],
  [
    'OpenRouter, with the cause as text',
    429,
    { error: { message: 'Provider returned error', code: 429, metadata: { raw: 'busy now' } } },
    { status: 429, message: 'Provider returned error: busy now', code: '429' },
  ],
  [
    'OpenRouter, with the cause as JSON',
    400,
    {
      error: {
        message: 'Provider returned error',
        code: 400,
        metadata: { raw: '{"error":{"message":"too long","code":"context_length_exceeded"}}' },
      },
    },
    { status: 400, message: 'Provider returned error: context_length_exceeded too long', code: '400' },
  ],
  ['a detail', 401, { detail: 'no' }, { status: 401, message: 'no' }],
  [
    'a list of details',
    422,
    { detail: [{ loc: ['body', 'messages', 0], msg: 'no', type: 't' }, { msg: 'neither' }] },
    { status: 422, message: 'body.messages.0: no; neither', param: 'body.messages.0' },
  ],
  [
    'details inside a message',
    422,
    { object: 'error', message: { detail: [{ loc: ['body'], msg: 'no' }] }, type: 'invalid_request_error' },
    { status: 422, message: 'body: no', type: 'invalid_request_error' },
  ],
  [
    'a flat body',
    400,
    { object: 'error', message: 'no', type: 't', param: null, code: '3051' },
    { status: 400, message: 'no', type: 't', code: '3051' },
  ],
  [
    'a number for a code',
    400,
    { error: { message: 'no', type: 'BadRequestError', param: null, code: 400 } },
    { status: 400, message: 'no', type: 'BadRequestError', code: '400' },
  ],
  ['an HTML page', 502, '<!DOCTYPE html>\n<html><h1>502</h1></html>', { status: 502, message: '' }],
  ['plain text', 429, 'Too many requests\n', { status: 429, message: 'Too many requests' }],
  ['JSON that is a text', 500, JSON.parse('["no"]'), { status: 500, message: '["no"]' }],
  ['an empty body', 500, '', { status: 500, message: '' }],
  ['null', 500, null, { status: 500, message: 'null' }],
  [
    'an error inside a 200, with a status',
    200,
    { error: { message: 'no', code: 502 } },
    { status: 502, message: 'no', code: '502' },
  ],
  [
    'an error inside a 200, with another status',
    200,
    { error: { message: 'no', status_code: 400, code: 'c' } },
    { status: 400, message: 'no', code: 'c' },
  ],
]

for (const [name, status, body, expected, headers] of SHAPES) {
  test(`an error body is read: ${name}`, () => {
    const failure = failed(status, body, headers)
    assert.deepEqual(
      told(Array.isArray(body) && typeof body[0] === 'string' ? { ...failure, body: failure.text } : failure),
      expected,
    )
  })
}

const error = (code: string | null, message = 'no', type = 'x') => ({ error: { message, type, code } })

const MEANINGS: readonly (readonly [number, unknown, FaultName])[] = [
  // By code, whatever the status.
  [429, error('insufficient_quota'), 'upstream-quota-exhausted'],
  [429, error('project_spend_limit_exceeded', 'no', 'insufficient_quota'), 'upstream-quota-exhausted'],
  [429, error('rate_limit_exceeded', 'add a payment method at /account/billing'), 'upstream-rate-limited'],
  [429, error('slow_down'), 'upstream-overloaded'],
  [503, error('server_is_overloaded'), 'upstream-overloaded'],
  [400, error('context_length_exceeded'), 'context-too-long'],
  [400, error('content_policy_violation'), 'content-filtered'],
  [400, error('DataInspectionFailed'), 'content-filtered'],
  [400, error('Arrearage'), 'upstream-quota-exhausted'],
  [400, error('model_not_found'), 'upstream-unknown-model'],
  [403, error('unsupported_country_region_territory'), 'upstream-refused-key'],
  [429, error('Throttling.RateQuota'), 'upstream-rate-limited'],
  // By sentence: context, then quota, then content.
  [400, error('invalid_request_error', "This model's maximum context length is 65536 tokens."), 'context-too-long'],
  [
    400,
    error('3051', 'Prompt contains 150004 tokens and 0 draft tokens, too large for model with 131072 maximum context length'),
    'context-too-long',
  ],
  [422, error(null, 'inputs tokens + max_new_tokens must be <= 4096'), 'context-too-long'],
  [500, error(null, 'the request exceeds the available context size'), 'context-too-long'],
  [429, error(null, 'Too many tokens, please wait before trying again.'), 'upstream-rate-limited'],
  [
    413,
    error(null, 'Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 12328'),
    'upstream-refused-call',
  ],
  [400, error(null, 'max_tokens: 9000 > 8192, which is the maximum allowed'), 'upstream-refused-call'],
  [400, error('invalid_request_error', 'Your credit balance is too low to access the API.'), 'upstream-quota-exhausted'],
  [402, error(null, 'Insufficient Balance'), 'upstream-quota-exhausted'],
  [400, error(null, 'The response was filtered due to the prompt triggering our content management policy.'), 'content-filtered'],
  [500, error(null, 'Overloaded', 'api_error'), 'upstream-overloaded'],
  [404, error(null, 'No such File object: file-abc'), 'upstream-refused-call'],
  // By status.
  [301, '', 'upstream-error'],
  [400, error(null), 'upstream-refused-call'],
  [401, error('invalid_request_error'), 'upstream-refused-key'],
  [402, '', 'upstream-quota-exhausted'],
  [403, { error: { message: 'Forbidden', type: 'invalid_request_error', code: 'forbidden' } }, 'upstream-refused-key'],
  [404, error(null, 'Resource not found'), 'upstream-unknown-model'],
  [405, '', 'upstream-refused-call'],
  [408, '', 'upstream-error'],
  [409, '', 'upstream-refused-call'],
  [412, '', 'upstream-refused-key'],
  [413, '<html>413</html>', 'upstream-refused-call'],
  [415, '', 'upstream-refused-call'],
  [422, '', 'upstream-refused-call'],
  [424, '', 'upstream-error'],
  [425, '', 'upstream-overloaded'],
  [429, '', 'upstream-rate-limited'],
  [498, '', 'upstream-overloaded'],
  [499, '', 'upstream-error'],
  [500, '', 'upstream-error'],
  [501, '', 'upstream-error'],
  [502, '<html>502</html>', 'upstream-error'],
  [503, '', 'upstream-overloaded'],
  [504, '', 'upstream-error'],
  [520, '<html>520</html>', 'upstream-error'],
  [524, '', 'upstream-error'],
  [529, '', 'upstream-overloaded'],
  [530, '', 'upstream-overloaded'],
  // Inside a 200.
  [200, { error: { message: 'busy', code: 503 } }, 'upstream-overloaded'],
  [200, { error: { message: 'no', code: 429 } }, 'upstream-rate-limited'],
  [200, { error: { message: 'no', code: '400' } }, 'upstream-refused-call'],
  [200, error(null, 'boom', 'server_error'), 'upstream-error'],
  [200, error(null, 'bad field', 'invalid_request_error'), 'upstream-refused-call'],
  [200, { error: { message: 'The model is overloaded' } }, 'upstream-overloaded'],
  [200, { error: { message: 'something' } }, 'upstream-garbled'],
  [200, '<html>Welcome</html>', 'upstream-garbled'],
]

for (const [status, body, expected] of MEANINGS) {
  test(`${status} ${JSON.stringify(body)} is ${expected}`, () =>
    assert.equal(classifyBy([], failed(status, body)).kind, expected))
}

test('a provider’s own rules come first, and all conditions of a rule must hold', () => {
  const rules = [{ status: [429, 403], code: /^insufficient_quota$/, message: /minute/, fault: 'upstream-rate-limited' as const }]
  assert.equal(classifyBy(rules, failed(429, error('insufficient_quota', 'per minute'))).kind, 'upstream-rate-limited')
  assert.equal(classifyBy(rules, failed(429, error('insufficient_quota', 'per month'))).kind, 'upstream-quota-exhausted')
  assert.equal(classifyBy(rules, failed(400, error('insufficient_quota', 'per minute'))).kind, 'upstream-quota-exhausted')
})

test('a call that the provider asks for again is not refused', () => {
  assert.equal(classifyBy([], failed(409, '', { 'x-should-retry': 'true' })).kind, 'upstream-error')
  assert.equal(classifyBy([], failed(409, '', { 'x-should-retry': 'false' })).kind, 'upstream-refused-call')
})

test('a refused call tells the client what the provider said, without its places and keys', () => {
  const fault = classifyBy(
    [],
    failed(422, { error: { message: 'Bad field, see https://x.example.com/docs', type: 't', code: 'c', param: 'p' } }),
  )
  assert.deepEqual(fault.details, {
    detail: '422 t c Bad field, see https://x.example.com/docs',
    upstreamStatus: 422,
    message: 'Bad field, see [removed]',
    status: 422,
    type: 't',
    code: 'c',
    param: 'p',
  })
})

test('a refusal inside a 200 is a 400 to the client', () => {
  const { details } = classifyBy([], failed(200, error(null, 'bad', 'invalid_request_error')))
  assert.equal(details.status, 400)
  assert.equal(details.upstreamStatus, 200)
})

test('context and content tell the client why, and keep our own code', () => {
  const fault = classifyBy([], failed(400, error('context_length_exceeded', 'maximum context length is 5')))
  assert.equal(fault.message, 'maximum context length is 5')
  assert.equal(fault.code, 'context_length_exceeded')
  assert.equal(fault.status, 400)
})

test('what concerns our key tells the client nothing', () => {
  const fault = classifyBy([], failed(401, error('invalid_api_key', 'Incorrect API key provided: sk-abcdefgh12345678')))
  assert.equal(fault.details.message, undefined)
  assert.equal(fault.status, 502)
  assert.doesNotMatch(fault.details.detail ?? '', /sk-abc/)
})

test('the wait is told where waiting helps, and only there', () => {
  const headers = { 'retry-after': '3' }
  assert.equal(classifyBy([], failed(429, '', headers)).details.retryAfterMs, 3_000)
  assert.equal(classifyBy([], failed(503, '', headers)).details.retryAfterMs, 3_000)
  assert.equal(classifyBy([], failed(402, '', headers)).details.retryAfterMs, 3_000)
  assert.equal(classifyBy([], failed(400, '', headers)).details.retryAfterMs, undefined)
})

test('the detail is one line of at most 500 characters', () => {
  const { detail } = classifyBy([], failed(500, `<html>\n${'word \n'.repeat(500)}`)).details
  assert.equal(detail?.length, 500)
  assert.match(detail ?? '', /^500 <html> word word/)
})

test('no body can make it throw', () => {
  const oddities: unknown[] = [
    undefined,
    null,
    0,
    '',
    'x',
    [],
    [[]],
    [null],
    {},
    { error: null },
    { error: [] },
    { error: 5 },
    { error: { message: 5 } },
  ]
  oddities.push(
    { error: { details: 'x', metadata: 7, code: {} } },
    { detail: [null, 5, { loc: 'x' }] },
    { message: { a: 1 } },
    { error: { metadata: { raw: [] } } },
  )
  for (const body of oddities)
    for (const status of [0, 200, 400, 999])
      assert.ok(classifyBy([], { status, headers: {}, body, text: '', receivedMs: 0 }).kind)
})
