import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { sources } from '../../../src/config/secrets/sources.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-secrets-'))
})
after(() => rm(folder, { recursive: true }))

const take = (scheme: string, reference: string, env = {}) => sources(env, folder).get(scheme)!(reference)

test('a variable is found by its name', async () => {
  assert.deepEqual(await take('env', 'A_KEY', { A_KEY: 'one' }), { ok: true, text: 'one' })
})

test('a variable that is not set is reported with the one that was meant', async () => {
  const found = await take('env', 'OPENAI_KEY', { OPENAI_API_KEY: 'sk-1' })
  assert.deepEqual(found, { ok: false, message: 'the variable OPENAI_KEY is not set (did you mean "OPENAI_API_KEY"?)' })
})

test('an empty variable is no value', async () => {
  assert.deepEqual(await take('env', 'A_KEY', { A_KEY: '' }), { ok: false, message: 'the variable A_KEY is empty' })
})

test('what cannot be the name of a variable is refused and not repeated', async () => {
  const found = await take('env', 'sk-123 456')
  assert.ok(!found.ok)
  assert.doesNotMatch(found.message, /sk-123/)
})

test('a file gives its text without the line breaks at its end', async () => {
  await writeFile(join(folder, 'key'), 'sk-1\r\n\n')
  assert.deepEqual(await take('file', join(folder, 'key')), { ok: true, text: 'sk-1' })
})

test('a relative file is relative to the folder of the configuration', async () => {
  await writeFile(join(folder, 'near'), 'sk-2')
  assert.deepEqual(await take('file', './near'), { ok: true, text: 'sk-2' })
})

test('a file that is missing, empty, too large or a folder is reported with its path', async () => {
  await writeFile(join(folder, 'empty'), '\n')
  await writeFile(join(folder, 'large'), 'x'.repeat(65_537))
  const missing = join(folder, 'missing')
  assert.deepEqual(await take('file', missing), { ok: false, message: `cannot read ${missing}: there is no such file` })
  assert.deepEqual(await take('file', './empty'), { ok: false, message: `the file ${join(folder, 'empty')} is empty` })
  for (const name of ['large', '.']) {
    const message = `${join(folder, name)} is not a plain file of at most 64 KB`
    assert.deepEqual(await take('file', `./${name}`), { ok: false, message })
  }
})

test('a device that never ends is not read', async () => {
  assert.equal((await take('file', '/dev/zero')).ok, false)
})
