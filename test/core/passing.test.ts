import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Passing } from '../../src/core/passing.ts'
import { chance } from './random.ts'

test('it knows what a Map knows, in the same order, whatever comes and goes', t => {
  const { seed, next } = chance()
  t.diagnostic(`SEED=${seed}`)
  const drawn = (most: number) => Math.floor(next() * most)
  // Few names, so that they come again; some of one ending, so that they share a bucket.
  const name = () => `${drawn(3)}:${drawn(200)}-the-same-end`.slice(0, 3 + drawn(20))
  const known = new Map<string, number>()
  const passing = new Passing<number>()
  for (let step = 0; step < 20_000; step++) {
    const one = name()
    // Grows to hundreds and shrinks again.
    if (drawn(4) > (step % 5_000 < 2_500 ? 0 : 2)) {
      known.set(one, step)
      passing.set(one, step)
    } else {
      known.delete(one)
      passing.delete(one)
    }
    assert.equal(passing.size(), known.size)
    const other = name()
    assert.equal(passing.get(other), known.get(other))
    assert.equal(passing.has(other), known.has(other))
    if (step % 500 === 0) assert.deepEqual([...passing], [...known])
  }
  assert.ok(known.size > 0)
})

test('each may be deleted when it is told', () => {
  const passing = new Passing<number>()
  for (let n = 0; n < 300; n++) passing.set(`name:${n}`, n)
  const told: number[] = []
  for (const [name, n] of passing) {
    told.push(n)
    if (n % 3 !== 0) passing.delete(name)
  }
  assert.deepEqual(
    told,
    Array.from({ length: 300 }, (_, n) => n),
  )
  assert.deepEqual(
    [...passing].map(([, n]) => n),
    Array.from({ length: 100 }, (_, n) => 3 * n),
  )
})
