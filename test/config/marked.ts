/** Configurations in which a ▸ stands where a problem must be reported. */
import assert from 'node:assert/strict'
import { type LoadOptions, parseConfig } from '../../src/config/load.ts'
import { formatPath } from '../../src/config/problem.ts'
import type { Config } from '../../src/config/schema.ts'

export const ENV = { KEY: 'sk-upstream-1', CLIENT_KEY: 'client-key-1' }

/** The least that is a configuration. */
export const PROVIDERS = 'providers:\n  openai: {type: openai, keys: [env:KEY]}\n'
export const ROUTES = 'routes:\n  gpt-4: [openai/gpt-4o]\n'

/** Checks that the text has just these problems, each written as `path  message` and standing at the ▸ of the same number. */
export async function expectProblems(
  marked: string,
  expected: readonly string[],
  options: Partial<LoadOptions> = {},
): Promise<void> {
  const { text, places } = unmark(marked)
  const loaded = await parseConfig(text, 'understudy.yaml', { env: ENV, ...options })
  assert.ok(!loaded.ok, 'the configuration was accepted')
  const found = loaded.problems.map(
    problem => `${problem.line}:${problem.column}  ${formatPath(problem.path)}  ${problem.message}`,
  )
  assert.deepEqual(
    found,
    expected.map((problem, index) => `${places[index]}  ${problem}`),
  )
}

export async function accepted(text: string, options: Partial<LoadOptions> = {}): Promise<Config> {
  const loaded = await parseConfig(text, 'understudy.yaml', { env: ENV, ...options })
  assert.ok(loaded.ok, loaded.ok ? '' : JSON.stringify(loaded.problems, null, 2))
  return loaded.config
}

function unmark(marked: string): { readonly text: string; readonly places: readonly string[] } {
  const places: string[] = []
  const lines = marked.split('\n').map((line, index) => {
    const parts = line.split('▸')
    let column = 1
    for (const part of parts.slice(0, -1)) {
      column += part.length
      places.push(`${index + 1}:${column}`)
    }
    return parts.join('')
  })
  return { text: lines.join('\n'), places }
}
