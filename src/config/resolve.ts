/*
 * Values from outside. `${NAME}` and `${NAME:-default}` are replaced inside any string, `env:NAME` and `file:/path` where they are the
 * whole string. It happens on the tree before the schema sees it, so that every setting can come from outside, and it remembers what
 * came from where: a report may then show what the file says (`env:NAME`), never what was found there.
 */
import { asObject } from '../core/json.ts'
import { nameOf } from './document.ts'
import type { Path } from './problem.ts'
import { type Environment, findVariable, SCHEMES_TO_COME, type Source } from './secrets/sources.ts'

/** Where values are taken. */
export interface Outside {
  readonly env: Environment
  /** By the scheme before the colon. */
  readonly sources: ReadonlyMap<string, Source>
}

export interface Resolved {
  /** A copy of the tree, with the values in place. */
  readonly value: unknown
  readonly problems: readonly { readonly path: Path; readonly message: string }[]
  /** What the file says at this path and what was found for it, when these are not the same. */
  outsideAt(path: Path): { readonly written: string; readonly found: string } | undefined
  /** Whether the value at this path could not be found; what stands there then means nothing. */
  isMissing(path: Path): boolean
}

interface Reference {
  readonly path: Path
  readonly text: string
  readonly put: (text: string) => void
  readonly outside: Outside
}

const SCHEMES = ['env', 'file', ...SCHEMES_TO_COME] as const

/** `$${NAME}` is how to write `${NAME}` itself. */
const VARIABLE = /\$?\$\{([^}]*)\}/g
const VARIABLE_PARTS = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

/** Without an outside, strings are left as they are. */
export async function resolveTree(tree: unknown, outside: Outside | undefined): Promise<Resolved> {
  const references: Reference[] = []
  const fromOutside = new Map<string, { readonly written: string; readonly found: string }>()
  const missing = new Set<string>()
  const problems: { path: Path; message: string }[] = []

  const fail = (path: Path, message: string) => {
    missing.add(nameOf(path))
    problems.push({ path, message })
  }

  const copy = (value: unknown, path: Path, put: (text: string) => void): unknown => {
    if (typeof value === 'string') {
      if (outside !== undefined && (value.includes('${') || schemeOf(value) !== undefined))
        references.push({ path, text: value, put, outside })
      return value
    }
    if (Array.isArray(value)) {
      const list: unknown[] = []
      value.forEach((item, index) => {
        const put = (text: string) => {
          list[index] = text
        }
        list.push(copy(item, [...path, index], put))
      })
      return list
    }
    const object = asObject(value)
    if (object === undefined) return value
    const copied: Record<string, unknown> = Object.create(null)
    for (const key of Object.keys(object)) {
      copied[key] = copy(object[key], [...path, key], text => {
        copied[key] = text
      })
    }
    return copied
  }

  const value = copy(tree, [], () => {})
  await Promise.all(
    references.map(async ({ path, text, put, outside: { env, sources } }) => {
      const { text: expanded, messages } = expand(text, env)
      if (messages.length > 0) fail(path, messages.join('; '))
      // What a variable held is a value, never a further reference: only the file decides where values are taken from.
      const source = expanded === text || schemeOf(text) !== undefined ? sources.get(schemeOf(expanded) ?? '') : undefined
      if (missing.has(nameOf(path)) || (expanded === text && source === undefined)) return
      const result = source === undefined ? { ok: true as const, text: expanded } : await source(referenceIn(expanded))
      if (!result.ok) return fail(path, result.message)
      fromOutside.set(nameOf(path), { written: text, found: result.text })
      put(result.text)
    }),
  )
  return { value, problems, outsideAt: path => fromOutside.get(nameOf(path)), isMissing: path => missing.has(nameOf(path)) }
}

/** The scheme of a string that is a reference as a whole; also of those that have no source yet. */
export function schemeOf(text: string): string | undefined {
  return SCHEMES.find(scheme => text.startsWith(`${scheme}:`))
}

/** What stands after the scheme. */
function referenceIn(text: string): string {
  return text.slice(text.indexOf(':') + 1)
}

/** The text with its variables in place, and what is wrong with those that are not. */
function expand(text: string, env: Environment): { readonly text: string; readonly messages: readonly string[] } {
  const messages: string[] = []
  const expanded = text.replace(VARIABLE, (whole, inside: string) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    const parts = VARIABLE_PARTS.exec(inside)
    if (parts === null) {
      messages.push(
        `"\${…}" holds the name of a variable, as in \${NAME} or \${NAME:-default}; "$\${" stands for the characters themselves`,
      )
      return whole
    }
    const [, name, fallback] = parts
    const variable = findVariable(name!, env)
    if (fallback !== undefined) return variable.ok && variable.text !== '' ? variable.text : fallback
    if (variable.ok) return variable.text
    messages.push(variable.message)
    return whole
  })
  return { text: expanded, messages }
}
