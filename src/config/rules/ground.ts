/*
 * What rules stand on. They read the tree as the file gives it, with the values from outside in place, and not the schema's output: a
 * file with a wrong type in one corner still gets everything else checked, in the same report. A rule therefore passes over whatever
 * has not the form that it expects; the schema complains about that.
 */
import { asObject } from '../../core/json.ts'
import type { Path } from '../problem.ts'

export interface Ground {
  readonly tree: Readonly<Record<string, unknown>>
  /** The provider types that can be used. */
  readonly available: ReadonlySet<string>
  /** Points at the value, or at its parent when there is none; or at the key. The first word about a place is the one that is kept. */
  report(path: Path, message: string, at?: 'key' | 'value'): void
  /** A value, or a part of it, as a message may show it: what came from outside is shown as the file has it. */
  quote(path: Path, text: string): string
}

/** The entries of the mapping at this key of the tree. */
export function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return Object.entries(asObject(value) ?? {})
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
