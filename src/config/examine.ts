/*
 * A text against a schema: everything that is wrong with it, at once, each thing at its line and column. The order of the steps is the
 * order in which they are believed: where the same place has several things wrong, the first word about it is kept.
 */
import type { z } from 'zod'
import { asObject } from '../core/json.ts'
import { nameOf, readTree, type Tree } from './document.ts'
import { explain, type Flaw, flawsOf } from './issues.ts'
import { inOrder, type Path, type Problem } from './problem.ts'
import { type Outside, type Resolved, resolveTree } from './resolve.ts'

export interface Examination<Schema extends z.ZodType> {
  readonly schema: Schema
  /** Changes the tree before values from outside are put in. */
  readonly prepare?: (tree: Record<string, unknown>) => void
  /** Where values from outside are taken; they are left as they are when there is none. */
  readonly outside?: Outside
  /** What a schema cannot say. */
  readonly rules?: (tree: unknown, quote: (path: Path, text: string) => string) => readonly Flaw[]
}

export type Examined<Output> =
  /** `problemAt`: for what is found to be wrong with it later. */
  | { readonly ok: true; readonly value: Output; readonly problemAt: (path: Path, message: string) => Problem }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export async function examine<Schema extends z.ZodType>(
  text: string,
  file: string,
  examination: Examination<Schema>,
): Promise<Examined<z.output<Schema>>> {
  const tree = readTree(text)
  const problems = new Map<string, Problem>()
  for (const { path, line, column, message } of tree.findings) {
    problems.set(`${line}:${column}`, { file, line, column, path, message })
  }
  const finish = () => ({ ok: false as const, problems: inOrder([...problems.values()]) })
  if (!tree.readable) return finish()
  const problemAt = (path: Path, message: string, at: 'key' | 'value' = 'value'): Problem => ({
    file,
    ...tree.locate(path, at),
    path,
    message,
  })

  const top = asObject(tree.value)
  if (top !== undefined) examination.prepare?.(top as Record<string, unknown>)
  const resolved = await resolveTree(tree.value, examination.outside)
  const parsed = parse(examination.schema, resolved)
  const flaws = [
    ...resolved.problems.map(({ path, message }): Flaw => ({ path, at: 'value', message })),
    ...parsed.flaws
      .filter(({ path, at }) => at === 'key' || !resolved.isMissing(path))
      .map(flaw => inWords(flaw, tree, resolved)),
    ...(examination.rules?.(parsed.tree, quoteFor(resolved)) ?? []).filter(({ path }) => !resolved.isMissing(path)),
  ]
  for (const { path, at, message } of flaws) {
    const place = nameOf(path)
    if (!problems.has(place)) problems.set(place, problemAt(path, message, at))
  }
  return problems.size > 0 || parsed.output === undefined ? finish() : { ok: true, value: parsed.output.value, problemAt }
}

interface Parsed<Output> {
  readonly output?: { readonly value: Output }
  readonly flaws: readonly Flaw[]
  /** The tree as it was parsed. */
  readonly tree: unknown
}

/**
 * The environment holds text only, so that `rpm: ${RPM}` would never be a number. Where a text from outside is refused and looks like a
 * number or a boolean, it is tried as one.
 */
function parse<Schema extends z.ZodType>(schema: Schema, resolved: Resolved): Parsed<z.output<Schema>> {
  const first = schema.safeParse(resolved.value, { error: explain })
  if (first.success) return { output: { value: first.data }, flaws: [], tree: resolved.value }
  const flaws = flawsOf(first.error.issues)
  const suspects = flaws.filter(({ path, at }) => at === 'value' && resolved.outsideAt(path) !== undefined)
  if (suspects.map(({ path }) => retype(resolved.value, path)).every(changed => !changed)) return { flaws, tree: resolved.value }

  const second = schema.safeParse(resolved.value, { error: explain })
  if (second.success) return { output: { value: second.data }, flaws: [], tree: resolved.value }
  const words = new Map(flaws.map(flaw => [nameOf(flaw.path), flaw]))
  return { flaws: flawsOf(second.error.issues).map(flaw => words.get(nameOf(flaw.path)) ?? flaw), tree: resolved.value }
}

/** Makes the text at this path what it looks like; whether it did. */
function retype(tree: unknown, path: Path): boolean {
  const parent = valueIn(tree, path.slice(0, -1))
  const last = path.at(-1)
  if (typeof parent !== 'object' || parent === null || last === undefined) return false
  const holder = parent as Record<string | number, unknown>
  const text = holder[last]
  if (typeof text !== 'string') return false
  if (text === 'true' || text === 'false') holder[last] = text === 'true'
  else if (/^-?\d+(\.\d+)?$/.test(text)) holder[last] = Number(text)
  return typeof holder[last] !== 'string'
}

function inWords(flaw: Flaw, tree: Tree, resolved: Resolved): Flaw {
  const isThere = tree.has(flaw.path) || flaw.path.length === 0
  if (!isThere && flaw.message.startsWith('expected ')) {
    return { ...flaw, message: `is missing; ${flaw.message.replace(/, found nothing$/, '')}` }
  }
  const outside = resolved.outsideAt(flaw.path)
  // The schema's messages quote the value that they refuse; what came from outside may be a secret in the wrong place.
  return outside === undefined
    ? flaw
    : { ...flaw, message: flaw.message.replaceAll(`"${outside.found}"`, `"${outside.written}"`) }
}

function valueIn(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => {
    return typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[step] : undefined
  }, tree)
}

function quoteFor(resolved: Resolved): (path: Path, text: string) => string {
  return (path, text) => `"${resolved.outsideAt(path)?.written ?? text}"`
}
