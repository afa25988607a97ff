import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { secret } from '../../../src/config/secrets/secret.ts'

test('a secret reveals itself only where it is asked to', () => {
  const key = secret('sk-very-secret')
  assert.equal(key.reveal(), 'sk-very-secret')
  const shown = [
    String(key),
    `${key}`,
    JSON.stringify({ key }),
    inspect(key),
    inspect({ deep: [key] }, { depth: 9, showHidden: true, customInspect: false }),
    format('%s %o %j', key, key, key),
    Object.values(key).map(String).join(' '),
  ]
  for (const text of shown) assert.doesNotMatch(text, /very-secret/)
  assert.equal(JSON.stringify({ key }), '{"key":"[secret]"}')
  assert.equal(inspect(key), '[secret]')
})
