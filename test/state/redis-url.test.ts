import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRedisUrl } from '../../src/state/redis-url.ts'

const NOTHING = { name: '', user: undefined, password: undefined, sentinelPassword: undefined, db: 0, tls: false }

test('every form of address is understood', () => {
  const forms: Record<string, object> = {
    'redis://localhost': { kind: 'standalone', hosts: [{ host: 'localhost', port: 6379 }] },
    'redis://10.0.0.1:7000/2': { kind: 'standalone', hosts: [{ host: '10.0.0.1', port: 7000 }], db: 2 },
    'redis://[::1]:7000': { kind: 'standalone', hosts: [{ host: '::1', port: 7000 }] },
    'redis://:p%40ss@h': { kind: 'standalone', hosts: [{ host: 'h', port: 6379 }], password: 'p@ss' },
    'rediss://me:a:b@h': { kind: 'standalone', hosts: [{ host: 'h', port: 6379 }], user: 'me', password: 'a:b', tls: true },
    'redis-sentinel://h1,h2:7/lead': {
      kind: 'sentinel',
      hosts: [
        { host: 'h1', port: 26379 },
        { host: 'h2', port: 7 },
      ],
      name: 'lead',
    },
    'redis-sentinel://me:x@h1/lead/3?tls=true&sentinel_password=y': {
      kind: 'sentinel',
      hosts: [{ host: 'h1', port: 26379 }],
      name: 'lead',
      db: 3,
      tls: true,
      user: 'me',
      password: 'x',
      sentinelPassword: 'y',
    },
    'redis-cluster://h1:1,[fe80::1]:2?tls=true': {
      kind: 'cluster',
      hosts: [
        { host: 'h1', port: 1 },
        { host: 'fe80::1', port: 2 },
      ],
      tls: true,
    },
  }
  for (const [text, expected] of Object.entries(forms)) assert.deepEqual(parseRedisUrl(text), { ...NOTHING, ...expected }, text)
})

test('what is wrong is told, and no password with it', () => {
  const wrong: Record<string, RegExp> = {
    'http://h': /address/,
    'redis://': /hosts/,
    'redis://h:0': /hosts/,
    'redis://h:99999': /hosts/,
    'redis://h1,h2': /redis-sentinel.*redis-cluster/,
    'redis://h/name': /database/,
    'redis://h/1/2': /database/,
    'redis://h?tls=true': /rediss/,
    'redis-sentinel://h1,h2': /name of the master/,
    'redis-cluster://h1/1': /databases/,
    'redis-cluster://h1?tls=yes': /true or false/,
    'redis-cluster://h1?retry=1': /option/,
    'redis://pass-word@h': /:password@/,
    'redis://:pass-word%@h': /%25/,
    'redis://:pass-word@h o': /hosts/,
  }
  for (const [text, message] of Object.entries(wrong)) {
    const parsed = parseRedisUrl(text)
    assert.ok('wrong' in parsed, text)
    assert.match(parsed.wrong, message, text)
    assert.doesNotMatch(parsed.wrong, /pass-word/)
  }
})
