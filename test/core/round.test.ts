import assert from 'node:assert/strict'
import { test } from 'node:test'
import { together } from '../../src/core/round.ts'

test('what comes before it is handled is handled together, in its order; what comes meanwhile, the next time', () => {
  const due: (() => void)[] = []
  const handled: number[] = []
  const take = together<number>(
    run => due.push(run),
    each => {
      handled.push(each)
      if (each === 2) take(20)
    },
  )
  for (const each of [1, 2, 3]) take(each)
  assert.deepEqual(handled, [])
  assert.equal(due.length, 1)
  due.shift()!()
  assert.deepEqual(handled, [1, 2, 3])
  assert.equal(due.length, 1)
  due.shift()!()
  assert.deepEqual(handled, [1, 2, 3, 20])
  assert.equal(due.length, 0)
})
