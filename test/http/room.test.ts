/* How much room there is for bodies. The heap limits are those that Node 24 takes in control groups of these sizes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomForBodies } from '../../src/http/room.ts'

const MB = 1024 ** 2
const room = (heapLimitMb: number, allMb: number, processes = 1) =>
  Math.round(roomForBodies({ heapLimit: heapLimitMb * MB, all: allMb * MB, processes }) / MB)

test('an eighth of the old space, which is what V8 has apart from the young', () => {
  assert.deepEqual([room(259, 512), room(560, 1_024), room(1_120, 2_048), room(2_240, 4_096)], [29, 64, 128, 256])
})

test('a heap that is set by hand counts as it is set', () => {
  assert.equal(room(64 + 192, 24_576), 8)
})

test('no more than a sixteenth of the memory, however large the heap may grow', () => {
  assert.equal(room(259, 256), 16)
})

test('processes share the memory, though each may fill its heap', () => {
  assert.deepEqual([room(2_240, 4_096, 2), room(2_240, 4_096, 8)], [128, 32])
})
