import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const REDIS = import.meta.resolve('ioredis')
const CONNECTION = new URL('../../src/state/connection.ts', import.meta.url).href

/** Whether V8 finds the methods of texts at once after this module has been loaded. */
async function isQuickAfter(module: string): Promise<boolean> {
  const script = `await import(${JSON.stringify(module)}); console.log(%HasFastProperties(String.prototype))`
  const args = ['--allow-natives-syntax', '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return stdout.trim() === 'true'
}

test('the library for Redis does not make texts slow in the whole process', async () => {
  assert.equal(await isQuickAfter('node:fs'), true)
  assert.equal(await isQuickAfter(CONNECTION), true)
})

test('and it would, left alone; when it no longer does, what undoes it can go', async () => {
  assert.equal(await isQuickAfter(REDIS), false)
})
