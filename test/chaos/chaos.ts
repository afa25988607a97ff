/*
 * npm run chaos: 20,000 calls through a gateway whose providers misbehave in every way that the simulators know, and whose clients leave
 * when they please. Each fault has a row of its own; the last row has them all. What must never happen (an answer that ends short and
 * says nothing, a word that comes twice, a call that nobody settles) makes the exit code 1.
 *
 *   --calls N      over all rows (20000)
 *   --at-once N    clients (64)
 *   --only TEXT    only rows whose name holds this, and the one without faults
 *   --seed N       the draws of an earlier run; its timing nobody can have again
 */
import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { chance } from '../core/random.ts'
import { FAULT_FREE, ROWS } from './rows.ts'
import { isClean, type Result, storm } from './storm.ts'
import { booksTable, callsTable } from './table.ts'

const MOST_PROBLEMS = 20
const WARM_UP_CALLS = 500

const { values: options } = parseArgs({
  options: {
    calls: { type: 'string', default: '20000' },
    'at-once': { type: 'string', default: '64' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
  },
})
const numberOf = (name: 'calls' | 'at-once' | 'seed'): number => {
  const number = Number(options[name])
  if (Number.isInteger(number) && number >= 1) return number
  process.stderr.write(`--${name} ${options[name]}: expected a whole number from 1\n`)
  process.exit(64)
}
const seed = options.seed === undefined ? chance().seed : numberOf('seed')
const rows = ROWS.filter(row => row === FAULT_FREE || row.name.includes(options.only))
const calls = Math.ceil(numberOf('calls') / rows.length)
const atOnce = numberOf('at-once')

process.stdout.write(
  `seed ${seed}; ${rows.length} rows of ${calls} calls, ${atOnce} at once; Node ${process.version}, ${availableParallelism()} CPUs, load ${loadavg()[0]!.toFixed(1)}\n\n`,
)
// What is compiled is compiled before the first row, with which the others are compared.
await storm(FAULT_FREE, { calls: WARM_UP_CALLS, atOnce, seed })
const results = new Map<string, Result>()
const startedMs = performance.now()
for (const [at, row] of rows.entries()) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${row.name}: ${at + 1} of ${rows.length}`)
  results.set(row.name, await storm(row, { calls, atOnce, seed: seed + at * 10 }))
}
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')

process.stdout.write(`${callsTable(results)}\n${booksTable(results)}\n`)
let isAllClean = true
for (const [name, result] of results) {
  isAllClean &&= isClean(result)
  for (const problem of result.problems.slice(0, MOST_PROBLEMS)) process.stdout.write(`${name}: ${problem}\n`)
  const more = result.problems.length - MOST_PROBLEMS
  if (more > 0) process.stdout.write(`${name}: … and ${more} more\n`)
}
const total = [...results.values()].reduce((sum, result) => sum + result.calls, 0)
const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
process.stdout.write(`${total} calls in ${seconds} s: ${isAllClean ? 'nothing truncated, repeated or unsettled' : 'NOT clean'}\n`)
process.exit(isAllClean ? 0 : 1)
