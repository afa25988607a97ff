import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback, parseAddress, providerKeyText } from '../../src/config/notation.ts'

test('an address is a host and a port', () => {
  assert.deepEqual(parseAddress('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 })
  assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 })
  assert.deepEqual(parseAddress('gateway.example.com:443'), { host: 'gateway.example.com', port: 443 })
  assert.deepEqual(parseAddress('[::1]:65535'), { host: '::1', port: 65_535 })
})

test('what is not an address is none', () => {
  for (const text of [
    '',
    '8080',
    ':8080',
    'localhost',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '::1:80',
    '[::g]:80',
    '256.1.1.1:80',
    '1.2.3:80',
    'a b:1',
    'http://a:1',
    '-a:1',
  ]) {
    assert.equal(parseAddress(text), undefined, text)
  }
})

test('loopback is what only this machine can reach', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])
    assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.com', 'example.com', '::ffff:10.0.0.1'])
    assert.ok(!isLoopback(host), host)
})

test('a key file in JSON is a key of one line, and any other text of several lines is none', () => {
  const account = { type: 'service_account', private_key: '-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n' }
  assert.equal(providerKeyText.parse(JSON.stringify(account, null, 2)), JSON.stringify(account))
  assert.equal(providerKeyText.parse('sk-1'), 'sk-1')
  for (const text of ['a\nb', '{\n', '{"a": 1,\n}']) assert.equal(providerKeyText.safeParse(text).success, false, text)
})
