/* A storm of every fault at once and of clients that leave: nothing is cut short, said twice or left over, and the books agree. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { scriptRule } from '../../src/config/simulation.ts'
import { chance } from '../core/random.ts'
import { EVERYTHING, ROWS } from './rows.ts'
import { isClean, storm } from './storm.ts'

const CALLS = 1_500
/** What says when a rule holds, or refines a fault; the rest of a rule's keys are faults. */
const NO_FAULTS: ReadonlySet<string> = new Set([
  'share',
  'every',
  'calls',
  'from',
  'for',
  'model',
  'stream',
  'headers',
  'body',
  'cut_how',
])

it('has a row for every fault that a simulator knows', () => {
  const used = new Set(ROWS.flatMap(row => row.script(0.5)).flatMap(rule => Object.keys(rule)))
  const faults = Object.keys(scriptRule.shape).filter(key => !NO_FAULTS.has(key))
  assert.deepEqual(
    faults.filter(fault => !used.has(fault)),
    [],
  )
})

it(`settles ${CALLS} calls through every fault at once, each of them exactly once`, async t => {
  const { seed } = chance()
  t.diagnostic(`SEED=${seed}`)
  const result = await storm(EVERYTHING, { calls: CALLS, atOnce: 100, seed })
  const { problems, answeredMs, ...counts } = result
  t.diagnostic(JSON.stringify(counts))
  assert.deepEqual(problems, [])
  assert.ok(isClean(result))
  assert.equal(result.calls, CALLS)
  assert.ok(answeredMs.length > CALLS / 2)
  const { whole, recovered, lacking, broken, refused, left } = result
  assert.equal(whole + recovered + lacking + broken + refused + left, CALLS, 'whatever ended otherwise is told above')
  assert.ok(recovered > 0 && broken > 0 && refused > 0 && left > 0)
  assert.ok(result.resent > 0 && result.lost > 0 && result.unsent > 0, 'and the books had something to explain')
})
