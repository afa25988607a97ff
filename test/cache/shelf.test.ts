import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryShelf, type Shelf, storeShelf } from '../../src/cache/shelf.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { deadStore } from '../resilience/stores.ts'
import { heldClock } from '../support/clock.ts'

const KINDS: readonly (readonly [string, (clock: ReturnType<typeof heldClock>) => Shelf])[] = [
  ['in memory', clock => memoryShelf(clock, 1_000_000)],
  ['in the store', clock => storeShelf(embeddedStore(clock))],
]

for (const [name, make] of KINDS) {
  describe(`a shelf ${name}`, () => {
    it('gives back what was put there, until its time is over', async () => {
      const clock = heldClock()
      const shelf = make(clock)
      assert.equal(await shelf.take('a'), undefined)
      shelf.put('a', 'émoji 😀', 1_000)
      shelf.put('b', 'x', 5_000)
      await clock.pass(999)
      assert.equal(await shelf.take('a'), 'émoji 😀')
      await clock.pass(1)
      assert.deepEqual([await shelf.take('a'), await shelf.take('b')], [undefined, 'x'])
    })

    it('keeps the last text that was put at a place', async () => {
      const shelf = make(heldClock())
      shelf.put('a', 'first', 1_000)
      shelf.put('a', 'second', 1_000)
      assert.equal(await shelf.take('a'), 'second')
    })
  })
}

describe('a shelf in memory', () => {
  const kilobyte = 'x'.repeat(1_000)
  const held = (shelf: Shelf, count: number) =>
    Array.from({ length: count }, (_, n) => n).filter(n => shelf.take(String(n)) !== undefined)

  it('makes room by letting go of what nobody has asked for longest', () => {
    const shelf = memoryShelf(heldClock(), 4 * 1_256)
    for (let n = 0; n < 4; n++) shelf.put(String(n), kilobyte, 1_000)
    shelf.take('0')
    shelf.put('4', kilobyte, 1_000)
    shelf.put('5', kilobyte, 1_000)
    assert.deepEqual(held(shelf, 6), [0, 3, 4, 5])
  })

  it('counts bytes, and counts them down again', async () => {
    const clock = heldClock()
    const shelf = memoryShelf(clock, 2 * 1_256)
    for (let n = 0; n < 100; n++) shelf.put('0', kilobyte, 1_000)
    shelf.put('1', 'é'.repeat(500), 1_000)
    assert.deepEqual(held(shelf, 2), [0, 1])
    await clock.pass(1_000)
    assert.deepEqual(held(shelf, 2), [])
    for (let n = 0; n < 2; n++) shelf.put(String(n), kilobyte, 1_000)
    assert.deepEqual(held(shelf, 2), [0, 1])
  })

  it('does not clear itself for what does not fit at all', () => {
    const shelf = memoryShelf(heldClock(), 2_000)
    shelf.put('0', kilobyte, 1_000)
    shelf.put('1', 'x'.repeat(2_000), 1_000)
    assert.deepEqual(held(shelf, 2), [0])
  })
})

it('trouble with the store is nothing on the shelf', async () => {
  const shelf = storeShelf(deadStore())
  shelf.put('a', 'x', 1_000)
  assert.equal(await shelf.take('a'), undefined)
})
