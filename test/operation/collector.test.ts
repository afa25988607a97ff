import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { COLLECTOR_FLAGS } from '../../src/operation/collector.ts'

const COLLECTOR = new URL('../../src/operation/collector.ts', import.meta.url).href

/** Makes 12 GB of buffers as bodies of 100 KB would, all of which die at once; prints how many full collections there were meanwhile. */
const BODIES = `
  import { PerformanceObserver, constants } from 'node:perf_hooks'
  let full = 0
  new PerformanceObserver(list => {
    for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full++
  }).observe({ entryTypes: ['gc'] })
  for (let round = 0; round < 2_400; round++) {
    for (let body = 0; body < 50; body++) {
      const parts = Array.from({ length: 20 }, (_, part) => ({ part }))
      parts.push({ part: Buffer.allocUnsafeSlow(100_000) })
    }
    await new Promise(setImmediate)
  }
  await new Promise(resolve => setTimeout(resolve))
  console.log(full)
`

/** With its threads, how many collections there are depends on how busy the machine is. */
const ONE_THREAD = '--single-threaded-gc'

function fullCollections(setUp: string): number {
  const args = [ONE_THREAD, '--input-type=module', '--eval', setUp + BODIES]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

test('this Node knows all flags of the collector', () => {
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8', maxBuffer: 1024 * 1024 })
  for (const flag of COLLECTOR_FLAGS) {
    const name = flag.replace(/^--(no-)?/, '').replace(/=.*/, '')
    assert.match(known, new RegExp(`^ +--${name} `, 'm'))
  }
})

test('buffers that die young do not make V8 collect everything, over and over', () => {
  const without = fullCollections('')
  assert.ok(without > 50, `V8 no longer does that: ${without} full collections`)
  const most = fullCollections(`const { setUpCollector } = await import(${JSON.stringify(COLLECTOR)}); setUpCollector();`)
  assert.ok(most < without / 10, `${most} full collections, and ${without} without the flags`)
})
