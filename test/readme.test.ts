/* The README against the code: its tables, its commands, its links, and the numbers of its defaults. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TABLES, withTables } from './support/readme-tables.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')

describe('the README', () => {
  for (const [name, make] of Object.entries(TABLES)) {
    it(`has the table of ${name} as the code has it (npm run readme)`, () => {
      assert.ok(readme.includes(make()), `run npm run readme`)
    })
  }

  it('has nothing else between the marks of its tables', () => {
    assert.equal(withTables(readme), readme)
  })

  it('links only to files that exist', () => {
    for (const [, target] of readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) assert.ok(existsSync(join(ROOT, target!)), target)
  })

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const named = [...readme.matchAll(/npm run ([a-z:]+)|npm (start|test)\b/g)].map(match => match[1] ?? match[2]!)
    assert.ok(named.length > 3)
    for (const script of named) assert.ok(script in scripts, `npm run ${script}`)
  })
})
