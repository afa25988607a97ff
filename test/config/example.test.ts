import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { AVAILABLE_TYPES } from '../../src/config/schema.ts'

const file = new URL('../../config/understudy.example.yaml', import.meta.url)
const env = {
  OPENAI_API_KEY: 'sk-1',
  OPENAI_TEAM_B_KEY: 'sk-2',
  ANTHROPIC_API_KEY: 'sk-3',
  SEARCH_TEAM_KEY: 'client-1',
  HOOK_SECRET: 'hook-1',
}

test('the example is a configuration', async () => {
  const loaded = await loadConfig(file.pathname, { env })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'))
  assert.deepEqual(Object.keys(loaded.config.routes), ['gpt-4', 'internal', 'claude-*', 'openai/*'])
})

test('the example names the schema for editors in its first line', async () => {
  const [first] = (await readFile(file, 'utf8')).split('\n')
  assert.equal(first, '# yaml-language-server: $schema=./understudy.schema.json')
})

test('the example lists the types of providers that can be used', async () => {
  const text = await readFile(file, 'utf8')
  const listed = /type: openai +# ([^#]+)#([^#]+?)\n/.exec(text)
  const types = `${listed?.[1]}${listed?.[2]}`.split('|').map(type => type.trim())
  assert.deepEqual(types.toSorted(), [...AVAILABLE_TYPES].toSorted())
})

test('the example without its variables says which ones are missing', async () => {
  const loaded = await loadConfig(file.pathname, { env: {} })
  assert.ok(!loaded.ok)
  assert.deepEqual(
    loaded.problems.map(problem => problem.message),
    Object.keys(env).map(name => `the variable ${name} is not set`),
  )
})
