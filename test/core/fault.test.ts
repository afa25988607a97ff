import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULTS, Fault, type FaultName, faultOf, rowOf } from '../../src/core/fault.ts'

const NAMES = Object.keys(FAULTS) as FaultName[]

/** OpenAI's error types, and the one that stands in the log only. */
const TYPES = [
  'invalid_request_error',
  'permission_error',
  'rate_limit_error',
  'insufficient_quota',
  'server_error',
  'client_closed_request',
]

test('every fault has a status, a type, a code and a sentence that a client can read', () => {
  for (const name of NAMES) {
    const { status, type, code, message } = rowOf(name)
    assert.ok(status === 'theirs' || (Number.isInteger(status) && status >= 400 && status <= 599), name)
    assert.ok(TYPES.includes(type), `${name}: ${type}`)
    assert.ok(code === null || /^[a-z_]+$/.test(code), `${name}: ${code}`)
    assert.match(message, /^[A-Z].*\.$/, name)
  }
})

test('what a client did wrong is nobody else’s fault: no other target, no circuit, no key', () => {
  const ofClients = NAMES.filter(name => rowOf(name).from === 'client')
  assert.ok(ofClients.length >= 8)
  for (const name of ofClients) {
    const { next, again, circuit, key, status } = rowOf(name)
    assert.deepEqual({ next, again, circuit, key }, { next: 'no', again: 'no', circuit: false, key: 'none' }, name)
    assert.ok(status !== 'theirs' && status < 500, name)
  }
})

test('what a provider did wrong goes on to the next target, unless it is about the call itself', () => {
  for (const name of NAMES.filter(each => rowOf(each).from === 'provider')) {
    const { next, overridable, circuit, status } = rowOf(name)
    const aboutTheCall = ['upstream-refused-call', 'context-too-long', 'content-filtered'].includes(name)
    assert.equal(next === 'yes', !aboutTheCall, name)
    if (overridable) assert.ok(aboutTheCall, name)
    if (aboutTheCall) assert.equal(circuit, false, name)
    else assert.ok(status !== 'theirs' && (status >= 500 || status === 429), name)
  }
})

test('a key is set aside or a circuit learns of it, never both', () => {
  for (const name of NAMES) assert.ok(!(rowOf(name).circuit && rowOf(name).key !== 'none'), name)
})

test('the same target is not asked again after it was slow, or after half an answer', () => {
  for (const name of ['upstream-timeout', 'upstream-stalled', 'upstream-truncated', 'upstream-unknown-model'] as const) {
    assert.equal(rowOf(name).again, 'no', name)
  }
})

test('SDKs are told to come back by themselves for the client’s own rate limit alone', () => {
  assert.deepEqual(
    NAMES.filter(name => new Fault(name).shouldRetry),
    ['rate-limited'],
  )
})

test('a fault says what its row says, and what it was given instead', () => {
  const plain = new Fault('upstream-timeout')
  assert.ok(plain instanceof Error)
  const { kind, status, type, code, message, shouldRetry } = plain
  assert.deepEqual(
    { kind, status, type, code, message, shouldRetry },
    {
      kind: 'upstream-timeout',
      status: 504,
      type: 'server_error',
      code: 'upstream_timeout',
      message: 'The model provider could not answer.',
      shouldRetry: false,
    },
  )
  const own = new Fault('upstream-timeout', { message: 'm', status: 418, type: 't', code: 'c', shouldRetry: true })
  assert.deepEqual([own.message, own.status, own.type, own.code, own.shouldRetry], ['m', 418, 't', 'c', true])
  assert.equal(new Fault('unauthorized', { code: null }).code, null, 'no code is a code of its own')
  assert.equal(new Fault('rate-limited', { shouldRetry: false }).shouldRetry, false)
})

test('a refusal of the provider’s own has its status, and 400 where none is known', () => {
  assert.equal(new Fault('upstream-refused-call', { status: 422 }).status, 422)
  assert.equal(new Fault('upstream-refused-call').status, 400)
})

test('whatever is thrown becomes a fault; what is none is ours, and says nothing to the client', () => {
  const fault = new Fault('too-large')
  assert.equal(faultOf(fault), fault)
  for (const thrown of [new TypeError('secret at /home/x'), 'secret', undefined, null, 42]) {
    const ours = faultOf(thrown)
    assert.equal(ours.kind, 'internal')
    assert.equal(ours.status, 500)
    assert.doesNotMatch(ours.message, /secret/)
    assert.notEqual(ours.details.detail ?? '', '')
  }
  assert.match(
    faultOf(new TypeError('secret at /home/x')).details.detail!,
    /secret at \/home\/x\n\s+at /,
    'the log gets the stack',
  )
})
