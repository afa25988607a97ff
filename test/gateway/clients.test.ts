import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/core/fault.ts'
import { ANYBODY, clientsByKey, keyHash, openToAll } from '../../src/gateway/clients.ts'
import { madeClient } from './made.ts'

const KEY = 'sk-understudy-0123456789abcdef'
/** Shares its first 20 characters with KEY. */
const COUSIN = 'sk-understudy-012345ffffffffff'

const search = madeClient({ name: 'search' })
const mail = madeClient({ name: 'mail' })
const clients = clientsByKey([
  { client: search, keySha256: keyHash(KEY) },
  { client: mail, keySha256: keyHash(COUSIN) },
])

const unauthorized = (thrown: unknown) => thrown instanceof Fault && thrown.kind === 'unauthorized'

test('a key is hashed with SHA-256, in hex', () => {
  assert.equal(keyHash('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('a known key is its client, and two that begin alike are told apart', () => {
  assert.equal(KEY.slice(0, 20), COUSIN.slice(0, 20))
  assert.equal(clients.identify(`Bearer ${KEY}`), search)
  assert.equal(clients.identify(`Bearer ${COUSIN}`), mail)
})

test('the scheme is read in any case, as HTTP wants it', () => {
  assert.equal(clients.identify(`bearer ${KEY}`), search)
  assert.equal(clients.identify(`BEARER   ${KEY}`), search)
})

test('whatever is not a whole known key is refused', () => {
  const refused = {
    'no header': undefined,
    'an empty header': '',
    'no key': 'Bearer',
    'an empty key': 'Bearer ',
    'an unknown key': 'Bearer sk-unknown',
    'a prefix of a key': `Bearer ${KEY.slice(0, -1)}`,
    'a key and more': `Bearer ${KEY}0`,
    'a key and a word': `Bearer ${KEY} more`,
    'a key without a scheme': KEY,
    'another scheme': `Basic ${KEY}`,
    'basic credentials that hold the key': `Basic ${Buffer.from(`search:${KEY}`).toString('base64')}`,
    'a key in another case': `Bearer ${KEY.toUpperCase()}`,
    'the hash of the key': `Bearer ${keyHash(KEY)}`,
    'two keys': `Bearer ${KEY}, Bearer ${COUSIN}`,
  }
  for (const [what, header] of Object.entries(refused)) assert.throws(() => clients.identify(header), unauthorized, what)
})

test('a client whose configured hash is that of nothing cannot be reached with nothing', () => {
  const hollow = clientsByKey([{ client: search, keySha256: keyHash('') }])
  for (const header of [undefined, '', 'Bearer', 'Bearer ']) assert.throws(() => hollow.identify(header), unauthorized)
})

test('a refusal says nothing of the key that was shown', () => {
  try {
    clients.identify('Bearer sk-unknown')
    assert.fail('identified')
  } catch (thrown) {
    assert.ok(thrown instanceof Fault)
    assert.equal(thrown.status, 401)
    assert.ok(!JSON.stringify([thrown.message, thrown.details]).includes('sk-unknown'))
  }
})

test('without clients anybody may call, key or none', () => {
  assert.equal(openToAll.identify(undefined), ANYBODY)
  assert.equal(openToAll.identify('Bearer anything'), ANYBODY)
})
