/*
 * YAML text as a plain tree that remembers where everything stood. The tree is built here and not by the parser's own conversion for
 * three reasons: every key and value keeps its place in the text, for the reports; what an alias repeats is bounded and copied, so that
 * a small file cannot grow into a huge tree; and a key that is there twice is reported with its path.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import type { Path } from './problem.ts'

/** Offsets into the text. */
interface Spot {
  readonly key?: number
  readonly value: number
}

export interface Finding {
  readonly path: Path
  readonly line: number
  readonly column: number
  readonly message: string
}

export interface Tree {
  /** Plain objects without a prototype, arrays, strings, numbers, booleans and null. */
  readonly value: unknown
  readonly findings: readonly Finding[]
  /** When false the text is not YAML, `value` is undefined and only the findings mean something. */
  readonly readable: boolean
  has(path: Path): boolean
  /** Where a key or its value stands; for what is not there, its nearest parent. Line and column from 1. */
  locate(path: Path, at: 'key' | 'value'): { readonly line: number; readonly column: number }
}

/** How many nodes a tree may have, those that aliases repeat included: far more than any honest file, and little memory. */
const MOST_NODES = 300_000
const DEEPEST = 60
const TOO_DEEP = 'the file is nested too deeply'

export function readTree(text: string): Tree {
  const lines = new LineCounter()
  const findings: Finding[] = []
  const spots = new Map<string, Spot>()
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const find = (offset: number, path: Path, message: string) => {
    findings.push({ path, ...position(offset), message })
  }
  const locate = (path: Path, at: 'key' | 'value'): { readonly line: number; readonly column: number } => {
    const spot = spots.get(nameOf(path))
    if (spot !== undefined) return position(at === 'key' ? (spot.key ?? spot.value) : spot.value)
    return path.length === 0 ? { line: 1, column: 1 } : locate(path.slice(0, -1), 'key')
  }
  const tree = (value: unknown, readable: boolean): Tree => ({
    value,
    findings,
    readable,
    has: path => spots.has(nameOf(path)),
    locate,
  })

  const document = parse(text, lines)
  if (document === undefined) {
    find(0, [], TOO_DEEP)
    return tree(undefined, false)
  }
  const seenLines = new Set<number>()
  const complaints = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  for (const { pos, code, message } of complaints) {
    // One slip makes the parser stumble several times: the first complaint of a line is the one that helps.
    const { line } = position(pos[0])
    if (!seenLines.has(line)) find(pos[0], [], syntaxMessage(code, message))
    seenLines.add(line)
  }
  if (findings.length > 0) return tree(undefined, false)

  const value = document.contents === null ? null : convert(document.contents, spots, find)
  return tree(value, true)
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed | undefined {
  try {
    return parseDocument(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      merge: true,
      resolveKnownTags: false,
    })
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function convert(root: Node, spots: Map<string, Spot>, find: (offset: number, path: Path, message: string) => void): unknown {
  const anchors = new Map<string, Node>()
  const open = new Set<Node>()
  let count = 0
  let gaveUp = false

  /** Counts one more node; once there are too many, or it lies too deep, nothing more is read. */
  const tooMuch = (path: Path, offset: number): boolean => {
    if (gaveUp) return true
    gaveUp = ++count > MOST_NODES || path.length > DEEPEST
    if (gaveUp) find(offset, path, count > MOST_NODES ? 'the file is too large, or its aliases repeat too much' : TOO_DEEP)
    return gaveUp
  }

  const visit = (node: Node | null, path: Path, key: number | undefined, repeated: boolean): unknown => {
    const offset = node?.range?.[0] ?? key ?? 0
    const nothing = node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '')
    spots.set(nameOf(path), { ...(key === undefined ? {} : { key }), value: nothing ? (key ?? offset) : offset })
    if (node === null || tooMuch(path, offset)) return null
    if (isAlias(node)) return follow(node.source, path, offset, target => visitAt(target, path, true))
    if (!repeated && 'anchor' in node && node.anchor !== undefined) anchors.set(node.anchor, node)
    return visitAt(node, path, repeated)
  }

  const visitAt = (node: Node, path: Path, repeated: boolean): unknown => {
    if (isScalar(node)) return node.value
    open.add(node)
    let value: unknown = null
    if (isSeq(node)) value = node.items.map((item, index) => visit(item as Node | null, [...path, index], undefined, repeated))
    else if (isMap(node)) value = mapping(node, path, repeated)
    open.delete(node)
    return value
  }

  const mapping = (node: YAMLMap, path: Path, repeated: boolean): Record<string, unknown> => {
    const object: Record<string, unknown> = Object.create(null)
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null
      const offset = keyNode?.range?.[0] ?? node.range?.[0] ?? 0
      if (!isScalar(keyNode)) {
        find(offset, path, 'a key must be plain text')
        continue
      }
      if (typeof keyNode.value === 'symbol') continue
      const key = keyText(keyNode)
      if (key === '__proto__') find(offset, path, '"__proto__" cannot be a key')
      else if (key in object) find(offset, [...path, key], 'this key is here twice')
      else object[key] = visit(pair.value as Node | null, [...path, key], offset, repeated)
    }
    // `<<` gives what the mapping does not say itself.
    for (const pair of node.items) {
      if (isScalar(pair.key) && typeof pair.key.value === 'symbol') mergeInto(object, pair.value as Node | null, path)
    }
    return object
  }

  const mergeInto = (object: Record<string, unknown>, node: Node | null, path: Path): void => {
    const offset = node?.range?.[0] ?? 0
    if (tooMuch(path, offset)) return
    if (isAlias(node)) {
      follow(node.source, path, offset, target => mergeInto(object, target, path))
    } else if (isSeq(node)) {
      for (const item of node.items) mergeInto(object, item as Node | null, path)
    } else if (isMap(node)) {
      open.add(node)
      for (const pair of node.items) {
        const keyNode = pair.key as Node | null
        if (!isScalar(keyNode)) continue
        if (typeof keyNode.value === 'symbol') {
          mergeInto(object, pair.value as Node | null, path)
          continue
        }
        const key = keyText(keyNode)
        if (key in object || key === '__proto__') continue
        object[key] = visit(pair.value as Node | null, [...path, key], keyNode.range?.[0], true)
      }
      open.delete(node)
    } else find(offset, path, '"<<" takes an alias of a mapping')
  }

  const follow = (name: string, path: Path, offset: number, go: (target: Node) => unknown): unknown => {
    const target = anchors.get(name)
    if (target === undefined) find(offset, path, `there is no anchor "&${name}" before this alias`)
    else if (open.has(target)) find(offset, path, `the alias "*${name}" stands inside what it repeats`)
    else return go(target)
    return null
  }

  return visit(root, [], undefined, false)
}

/** The key as it is written: `4.0:` is the name "4.0", not the number 4. */
function keyText(key: Scalar): string {
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

/** A path as a map key. No key of a YAML document holds U+0000. */
export function nameOf(path: Path): string {
  return path.join('\0')
}

/** The parser's words where they help; some of them quote the text, which may be a secret, and are replaced. */
function syntaxMessage(code: string, message: string): string {
  const own: Readonly<Record<string, string>> = {
    RESOURCE_EXHAUSTION: TOO_DEEP,
    TAB_AS_INDENT: 'tabs cannot indent; use spaces',
    UNEXPECTED_TOKEN: 'this does not belong here',
    BLOCK_AS_IMPLICIT_KEY: 'a second "key: value" on the same line; put it on its own line, or quote a text that holds ": "',
    MULTIPLE_DOCS: 'the file holds a second document after "---"; only one is read',
    TAG_RESOLVE_FAILED: 'a tag ("!…") means nothing here; quote a text that begins with "!"',
    BAD_DQ_ESCAPE: 'an unknown escape sequence between double quotes; write \\\\ for a backslash, or use single quotes',
    BAD_ALIAS: 'an alias or anchor ("*…", "&…") needs a name; quote a text that begins with "*" or "&"',
  }
  return `not valid YAML: ${own[code] ?? message.charAt(0).toLowerCase() + message.slice(1)}`
}
