/* The store that a gateway has with Redis, against each Redis that is to be had. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noRedis, type RedisServer, redisPrograms, startRedis } from '../support/redis-server.ts'
import { opened } from './opened.ts'
import { storeSuite } from './store-suite.ts'

for (const program of redisPrograms) {
  let server: RedisServer
  before(async () => {
    server = await startRedis([], program)
  })
  after(() => server.stop())
  storeSuite(program.name, async () => {
    const { store, changes } = await opened(server.url)
    if (changes.length > 0) await store.close()
    assert.deepEqual(changes, [])
    return { store, passMs: ms => sleep(ms) }
  })
}

test('Redis is there to be tested with', { skip: noRedis }, () => {})
