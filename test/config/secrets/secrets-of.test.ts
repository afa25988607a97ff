import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secret } from '../../../src/config/secrets/secret.ts'
import { secretsOf } from '../../../src/config/secrets/secrets-of.ts'

test('closed secrets are found wherever they are', () => {
  const config = { a: { keys: [{ value: secret('one') }, { value: secret('two') }] }, token: secret('three'), name: 'four' }
  assert.deepEqual(secretsOf(config), ['one', 'two', 'three'])
})

test('passwords within addresses are found, as written and as meant', () => {
  for (const [address, expected] of [
    ['redis://:p%40ss@h:6379/0', ['p%40ss', 'p@ss']],
    ['rediss://user:word@h', ['word']],
    ['redis-sentinel://u:word@h1:1,h2:2/name', ['word']],
    ['redis://h:6379/0', []],
    ['https://h/v1?api-version=2024&api_key=abc&sig=d%2Fe#x', ['abc', 'd%2Fe', 'd/e']],
  ] as const) {
    assert.deepEqual(secretsOf({ state: { redis: address } }), expected, address)
  }
})

test('of headers, those that carry credentials', () => {
  const headers = { authorization: 'Bearer abc', 'x-api-key': 'def', 'x-team': 'search' }
  assert.deepEqual(secretsOf({ providers: { p: { headers } } }), ['Bearer abc', 'abc', 'def'])
})

test('what the exporter of traces is given by variables', () => {
  assert.deepEqual(secretsOf({}, { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YWJj,x-scope=a' }), [
    'Basic YWJj',
    'YWJj',
    'a',
  ])
})
