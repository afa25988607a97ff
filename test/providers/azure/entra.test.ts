import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/core/fault.ts'
import { applicationOf, entraTokens, isEntra, type Token } from '../../../src/providers/azure/entra.ts'
import { refusalOf } from '../../../src/providers/azure/identity.ts'
import { heldClock } from '../../support/clock.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** Tokens fetched from a script, numbered in the order in which they were fetched; `fail` is thrown in place of the next one. */
function scripted() {
  const clock = heldClock()
  const asked: string[] = []
  const script: { fail: unknown; waitFor: Promise<void> | undefined } = { fail: undefined, waitFor: undefined }
  let made = 0
  const tokens = entraTokens(clock, key => {
    made++
    return async (): Promise<Token> => {
      asked.push(key)
      const number = asked.length
      await script.waitFor
      if (script.fail !== undefined) throw script.fail
      return { text: `token-${number}`, expiresMs: clock.now() + HOUR_MS }
    }
  })
  return { clock, tokens, asked, script, credentialsMade: () => made }
}

test('a token is fetched once and kept until shortly before its end', async () => {
  const { clock, tokens, asked } = scripted()
  assert.equal(await tokens.of('entra'), 'token-1')
  await clock.pass(54 * MINUTE_MS)
  assert.equal(await tokens.of('entra'), 'token-1')
  await clock.pass(2 * MINUTE_MS)
  assert.equal(await tokens.of('entra'), 'token-2')
  assert.deepEqual(asked, ['entra', 'entra'])
})

test('calls that wait for a token wait for the same one', async () => {
  const { tokens, asked } = scripted()
  assert.deepEqual(await Promise.all([tokens.of('entra'), tokens.of('entra')]), ['token-1', 'token-1'])
  assert.equal(asked.length, 1)
})

test('each identity has its own', async () => {
  const { tokens, asked } = scripted()
  assert.deepEqual([await tokens.of('a'), await tokens.of('b'), await tokens.of('a')], ['token-1', 'token-2', 'token-1'])
  assert.deepEqual(asked, ['a', 'b'])
})

test('a token that still holds is used when the next one cannot be had', async () => {
  const { clock, tokens, script } = scripted()
  await tokens.of('entra')
  await clock.pass(57 * MINUTE_MS)
  script.fail = new Error('no route')
  assert.equal(await tokens.of('entra'), 'token-1')
  await clock.pass(3 * MINUTE_MS)
  await assert.rejects(tokens.of('entra'), { kind: 'upstream-unreachable' })
  script.fail = undefined
  assert.equal(await tokens.of('entra'), 'token-4')
})

test('why nobody could be asked is told without a word of the library’s', async () => {
  const { tokens, script } = scripted()
  script.fail = new TypeError('client_secret=hunter2')
  await assert.rejects(tokens.of('entra'), (thrown: Fault) => {
    assert.equal(thrown.details.detail, 'no token for this identity: TypeError')
    return true
  })
  script.fail = new Fault('upstream-refused-key')
  await assert.rejects(tokens.of('entra'), { kind: 'upstream-refused-key' })
})

test('a fetch that does not end is given up', async () => {
  const { clock, tokens, script } = scripted()
  script.waitFor = new Promise(() => {})
  const waiting = assert.rejects(tokens.of('entra'), { kind: 'upstream-timeout' })
  await clock.pass(15_000)
  await waiting
  script.waitFor = undefined
  assert.equal(await tokens.of('entra'), 'token-2')
})

test('a refused token is fetched again by a library that does not remember it', async () => {
  const { clock, tokens, credentialsMade } = scripted()
  await tokens.of('entra')
  await clock.pass(2 * MINUTE_MS)
  assert.equal(tokens.withdraw('entra', 'token-1'), true)
  assert.equal(await tokens.of('entra'), 'token-2')
  assert.equal(credentialsMade(), 2)
  assert.equal(tokens.withdraw('entra', 'token-1'), true, 'somebody else has withdrawn it already')
  assert.equal(credentialsMade(), 2)
})

test('a token that is refused when it is new is not worth another', async () => {
  const { tokens } = scripted()
  await tokens.of('entra')
  assert.equal(tokens.withdraw('entra', 'token-1'), false)
})

test('identities are told from keys', () => {
  const key = 'contoso.example:00000000-1111-2222-3333-444444444444:s3cret:with~colon'
  assert.deepEqual(applicationOf(key), {
    tenant: 'contoso.example',
    clientId: '00000000-1111-2222-3333-444444444444',
    secret: 's3cret:with~colon',
  })
  assert.ok(isEntra('entra') && isEntra(key))
  for (const other of ['', 'Entra', 'entra2', 'abc:def:ghi', '0123456789abcdef0123456789abcdef']) {
    assert.equal(isEntra(other), false, other)
    assert.equal(applicationOf(other), undefined, other)
  }
})

test('an identity that is not let in is a refused key, and told by its codes alone', () => {
  const refused = refusalOf({ errorResponse: { error: 'invalid_client', errorDescription: 'hunter2', errorCodes: [7000215] } })
  assert.equal(refused?.kind, 'upstream-refused-key')
  assert.equal(refused?.details.detail, 'the identity was refused: invalid_client 7000215')
  for (const other of [undefined, new Error('x'), { errorResponse: { error: 'temporarily_unavailable' } }, { errorResponse: 7 }])
    assert.equal(refusalOf(other), undefined)
})
