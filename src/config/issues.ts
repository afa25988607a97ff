/*
 * What zod found, in the operator's words. Zod's own messages speak of schemas ("Invalid input: expected record, received null"); these
 * speak of the file, and know what was probably meant.
 */
import type { z } from 'zod'
import type { Path } from './problem.ts'
import { didYouMean } from './suggest.ts'

export interface Flaw {
  readonly path: Path
  readonly at: 'key' | 'value'
  readonly message: string
}

type Issue = z.core.$ZodIssue

/** The text of an issue for which the schema has no words of its own: to be passed as `error` when parsing. */
export function explain(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'int' && typeof issue.input === 'number') return 'expected a whole number, found a fraction'
      return `expected ${kindNames[issue.expected] ?? issue.expected}, found ${kindOf(issue.input)}`
    case 'invalid_value':
      return expectedOneOf(issue.values, issue.input)
    case 'invalid_union':
      return Array.isArray(issue.options)
        ? expectedOneOf(issue.options, valueAt(issue.input, String(issue.discriminator)))
        : undefined
    case 'unrecognized_keys': {
      const known = knownKeys(issue.inst)
      return issue.keys.map((key: string) => `unknown key${didYouMean(key, known)}`).join('\n')
    }
    case 'too_small':
      return tooSmall(issue.origin, issue.minimum, issue.inclusive !== false)
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int' ? `must be ${issue.maximum} at most` : 'too long'
    default:
      return undefined
  }
}

/** Every flaw with its own path: unions brought down to the form that was meant, and lists of unknown keys taken apart. */
export function flawsOf(issues: readonly Issue[], before: Path = []): readonly Flaw[] {
  return issues.flatMap((issue): readonly Flaw[] => {
    const path = [...before, ...(issue.path as (string | number)[])]
    switch (issue.code) {
      case 'invalid_union': {
        const meant = issue.errors.find(branch => !branch.some(isAnotherForm))
        return meant === undefined ? [{ path, at: 'value', message: issue.message }] : flawsOf(meant, path)
      }
      case 'unrecognized_keys': {
        // One line a key: `explain` and the schema's own messages keep to that.
        const messages = issue.message.split('\n')
        return issue.keys.map((key, index) => ({ path: [...path, key], at: 'key', message: messages[index] ?? 'unknown key' }))
      }
      case 'invalid_key':
        return issue.issues.slice(0, 1).map(inner => ({ path, at: 'key', message: inner.message }))
      default:
        return [{ path, at: 'value', message: issue.message }]
    }
  })
}

/** The value has another form than this branch of a union: a list where a mapping is described, and so on. */
function isAnotherForm(issue: Issue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  tuple: 'a list',
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return kindNames[typeof value] ?? typeof value
}

function expectedOneOf(values: readonly unknown[], found: unknown): string {
  const words = values.map(String)
  const expected = words.length === 1 ? `expected ${words[0]}` : `expected one of ${words.join(', ')}`
  if (typeof found === 'boolean') return `${expected}, found ${found}`
  if (typeof found !== 'string') return `${expected}, found ${kindOf(found)}`
  return `${expected}, found "${found}"${didYouMean(found, words)}`
}

function tooSmall(origin: string, minimum: number | bigint, inclusive: boolean): string {
  if (origin === 'number' || origin === 'int') return inclusive ? `must be ${minimum} or more` : `must be more than ${minimum}`
  if (origin === 'string') return 'is empty'
  return minimum === 1 ? 'is empty; it needs at least one entry' : `needs ${minimum} entries`
}

function knownKeys(schema: unknown): readonly string[] {
  const shape = valueAt(valueAt(valueAt(schema, '_zod'), 'def'), 'shape')
  return typeof shape === 'object' && shape !== null ? Object.keys(shape) : []
}

function valueAt(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}
