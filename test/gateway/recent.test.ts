import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recent } from '../../src/gateway/recent.ts'

const call = (id: string, more: object = {}) =>
  JSON.stringify({ id, status: 200, ending: 'complete', route: 'r', client: 'c', attempts: [], ...more })
const idsOf = (calls: ReturnType<ReturnType<typeof recent>['list']>) => calls.map(({ record }) => record.id)

test('the last thousand calls are kept, the newest first, whatever their lengths', () => {
  const calls = recent()
  const lengthOf = (n: number) => (n % 7 === 0 ? 40_000 : n % 900)
  for (let n = 0; n < 2_500; n++) calls.keep(call(`${n}`, { detail: 'é'.repeat(lengthOf(n)) }), n, n % 2 === 0)
  const list = calls.list()
  assert.deepEqual(
    idsOf(list),
    Array.from({ length: 1_000 }, (_, back) => `${2_499 - back}`),
  )
  for (const { record, atMs, failedOver } of list) {
    assert.equal(record.id, `${atMs}`)
    assert.equal((record.detail as string).length, lengthOf(atMs))
    assert.equal(failedOver, atMs % 2 === 0)
  }
})

test('nothing is missing, whatever characters it ends with and whatever was in its place before', () => {
  const calls = recent()
  const details = ['🎭', 'é', '漢', 'x'].flatMap(last =>
    Array.from({ length: 1_200 }, (_, length) => 'x'.repeat(length) + last.repeat(1 + (length % 5))),
  )
  for (const [at, detail] of details.entries()) {
    calls.keep(call(`${at}`, { detail }), at, false)
    assert.equal(calls.find(`${at}`)!.record.detail, detail)
  }
})

test('they are found by what they were, and the newest of an id by it', () => {
  const calls = recent()
  assert.deepEqual(calls.list(), [])
  assert.equal(calls.find('a'), undefined)
  calls.keep(call('a', { status: 503 }), 1, true)
  calls.keep(call('b', { route: 'other' }), 2, false)
  calls.keep(call('a', { client: 'team' }), 3, false)
  assert.deepEqual(idsOf(calls.list({ status: 503 })), ['a'])
  assert.deepEqual(idsOf(calls.list({ route: 'r' })), ['a', 'a'])
  assert.deepEqual(idsOf(calls.list({ client: 'team' })), ['a'])
  assert.deepEqual(idsOf(calls.list({ failedOver: false })), ['a', 'b'])
  assert.equal(calls.find('a')!.atMs, 3)
})
