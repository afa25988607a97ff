import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import type { Want } from '../../src/core/store.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { sumsFile } from '../../src/state/sums-file.ts'
import { heldClock } from '../support/clock.ts'
import { storeSuite } from './store-suite.ts'

const folder = mkdtempSync(join(tmpdir(), 'understudy-sums-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
const newPath = () => join(folder, `${++files}.db`)
const silent = () => {}
const DAY_MS = 86_400_000
const sum = (amount: number, key = 'budget', ttlMs = 2 * DAY_MS): Want => ({ kind: 'sum', key, amount, limit: 100, ttlMs })

storeSuite('embedded with a file', async () => {
  const clock = heldClock()
  return { store: embeddedStore(clock, sumsFile(newPath(), silent)), passMs: clock.pass }
})

test('sums and counters that live for hours survive; what is short-lived or written does not', async () => {
  const path = newPath()
  const clock = heldClock()
  const before = embeddedStore(clock, sumsFile(path, silent))
  await before.take('a', [sum(30)])
  await before.settle('a', [sum(12.5)])
  await before.add('spend', 7, DAY_MS)
  await before.add('spend', 0.25, DAY_MS)
  await before.add('short', 1, 60_000)
  await before.write('circuit', 'open', 2 * DAY_MS)
  await before.close()

  const next = embeddedStore(clock, sumsFile(path, silent))
  assert.deepEqual(await next.read(['budget', 'spend', 'short', 'circuit']), ['12.5', '7.25', undefined, undefined])
  // It is the same sum: its limit and its end are as before.
  assert.equal((await next.take('b', [sum(88)])).ok, false)
  assert.equal((await next.take('c', [sum(87.5)])).ok, true)
  await clock.pass(DAY_MS)
  assert.deepEqual(await next.read(['spend']), [undefined])
  await next.close()
})

test('what has expired meanwhile, or was forgotten, is not there any more', async () => {
  const path = newPath()
  const clock = heldClock()
  const before = embeddedStore(clock, sumsFile(path, silent))
  await before.add('old', 1, DAY_MS)
  await before.add('gone', 1, 3 * DAY_MS)
  await before.add('kept', 1, 3 * DAY_MS)
  await clock.pass(1_000)
  await before.forget(['gone'])
  await before.close()
  await clock.pass(2 * DAY_MS)
  const file = sumsFile(path, silent)
  assert.deepEqual(
    file.load(clock.now()).map(({ key }) => key),
    ['kept'],
  )
  file.close()
})

test('changes go to the file together, 200 ms after the first one', async () => {
  const clock = heldClock()
  const batches: (readonly string[])[] = []
  const file = sumsFile(newPath(), silent)
  const store = embeddedStore(clock, {
    ...file,
    save: rows => {
      batches.push(rows.map(({ key }) => key))
      return file.save(rows)
    },
  })
  for (let call = 0; call < 100; call++) await store.add(call % 2 === 0 ? 'a' : 'b', 1, DAY_MS)
  await clock.pass(199)
  assert.deepEqual(batches, [])
  await clock.pass(1)
  assert.deepEqual(batches, [['a', 'b']])
  await clock.pass(5_000)
  assert.equal(batches.length, 1)
  await store.close()
})

test('what takers that died with the process had set aside is free again', async () => {
  const path = newPath()
  const clock = heldClock()
  const file = sumsFile(path, silent)
  const killed = embeddedStore(clock, file)
  await killed.take('a', [sum(10)])
  await killed.settle('a', [sum(3)])
  await killed.take('under way', [sum(60)])
  await clock.pass(200)
  // The process is gone, and with it its lock.
  file.close()
  const next = embeddedStore(clock, sumsFile(path, silent))
  assert.deepEqual(await next.read(['budget']), ['3'])
  await next.close()
})

test('a batch that cannot be written is told of once, and written when that is possible again', async () => {
  const path = newPath()
  const clock = heldClock()
  const troubles: (string | undefined)[] = []
  const file = sumsFile(path, reason => troubles.push(reason))
  let full = true
  const refusing = { ...file, save: (rows: Parameters<typeof file.save>[0]) => file.save(full ? [...rows, BAD_ROW] : rows) }
  const store = embeddedStore(clock, refusing)
  await store.add('a', 1, DAY_MS)
  await clock.pass(200)
  await store.add('b', 1, DAY_MS)
  await clock.pass(200)
  full = false
  await store.add('c', 1, DAY_MS)
  await clock.pass(200)
  assert.equal(troubles.length, 2)
  assert.match(troubles[0]!, /NOT NULL/)
  assert.equal(troubles[1], undefined)
  assert.deepEqual(
    file.load(clock.now()).map(({ key }) => key),
    ['a', 'b', 'c'],
  )
  await store.close()
})

/** SQLite refuses it, and with it the whole batch. */
const BAD_ROW = { key: 'bad', row: { value: Number.NaN, expiresAt: 0 } }

test('a file that cannot be used says why and what to do', () => {
  const held = newPath()
  const first = sumsFile(held, silent)
  assert.throws(() => sumsFile(held, silent), /another process uses it/)
  first.close()
  sumsFile(held, silent).close()

  const damaged = newPath()
  writeFileSync(damaged, 'this is no database, though it is long enough to look like something. '.repeat(100))
  assert.throws(() => sumsFile(damaged, silent), /damaged or no database.*move it away/)

  assert.throws(() => sumsFile(join(folder, 'nowhere', 'a.db'), silent), /cannot be opened; its folder must exist/)
  assert.throws(() => sumsFile(folder, silent), /cannot be opened/)

  const foreign = newPath()
  const other = new DatabaseSync(foreign)
  other.exec('CREATE TABLE accounts (id INTEGER)')
  other.close()
  assert.throws(() => sumsFile(foreign, silent), /database of another program/)

  const later = newPath()
  sumsFile(later, silent).close()
  const database = new DatabaseSync(later)
  database.exec('PRAGMA user_version = 2')
  database.close()
  assert.throws(() => sumsFile(later, silent), /later version/)
})
