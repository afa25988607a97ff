/*
 * Settings that are part of the configuration's language and that nothing obeys yet. They are refused, never ignored: a gateway that
 * reads `recover` and lets the stream break is worse than one that does not start. Who builds one deletes its line here.
 */
import { asObject } from '../core/json.ts'
import type { Path } from './problem.ts'
import { SCHEMES_TO_COME } from './secrets/sources.ts'

interface Line {
  /** Keys from the top, with `*` for any key or index. */
  readonly path: string
  /** The values that are refused; every value when left out. */
  readonly refused?: (value: unknown) => boolean
}

const TABLE: readonly Line[] = [
  { path: 'admin.token', refused: isInVault },
  { path: 'providers.*.keys.*', refused: isInVault },
  { path: 'providers.*.keys.*.value', refused: isInVault },
  { path: 'clients.*.key', refused: isInVault },
]

/** The settings of the tree that nothing obeys yet, each with the place to point at. */
export function notYet(
  tree: unknown,
): readonly { readonly path: Path; readonly at: 'key' | 'value'; readonly message: string }[] {
  return TABLE.flatMap(({ path, refused }) =>
    matches(tree, path.split('.'), [])
      .filter(([, value]) => value !== undefined && (refused === undefined || refused(value)))
      .map(([place, value]) => {
        const isOneOfMany = refused !== undefined && typeof value !== 'object'
        return isOneOfMany
          ? { path: place, at: 'value' as const, message: `${shown(place, value)} is not available yet` }
          : { path: place, at: 'key' as const, message: `"${place.at(-1)}" is not available yet` }
      }),
  )
}

function matches(value: unknown, pattern: readonly string[], path: Path): readonly (readonly [Path, unknown])[] {
  const [step, ...rest] = pattern
  if (step === undefined) return [[path, value]]
  if (Array.isArray(value)) return step === '*' ? value.flatMap((item, index) => matches(item, rest, [...path, index])) : []
  const object = asObject(value)
  if (object === undefined) return []
  if (step === '*') return Object.keys(object).flatMap(key => matches(object[key], rest, [...path, key]))
  return step in object ? matches(object[step], rest, [...path, step]) : []
}

/** A value that is refused while others of its setting are not. Where in a vault a secret lies is not repeated. */
function shown(path: Path, value: unknown): string {
  const scheme = schemeIn(value)
  if (scheme !== undefined) return `"${scheme}:"`
  return typeof value === 'string' ? `"${value}"` : `"${path.at(-1)}: ${value}"`
}

function schemeIn(value: unknown): string | undefined {
  return typeof value === 'string' ? SCHEMES_TO_COME.find(scheme => value.startsWith(`${scheme}:`)) : undefined
}

function isInVault(value: unknown): boolean {
  return schemeIn(value) !== undefined
}
