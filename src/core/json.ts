/*
 * JSON as bytes. A relay does not write a call again: it passes the client's bytes on with a few top-level values replaced. That is
 * only safe when this file and the provider's parser agree on what the bytes say, so a body with two equal top-level keys is refused
 * (a provider could read the other one), and nesting is bounded before JSON.parse sees it (5 million brackets would block for seconds).
 */

/** Where one `"key": value` of the top-level object lies, as byte offsets. */
export interface Span {
  /** First byte of the key's opening quote. */
  readonly start: number
  readonly valueStart: number
  /** One past the last byte of the value. */
  readonly end: number
}

export interface JsonObjectSource {
  readonly bytes: Buffer
  readonly spans: Spans
}

/** So many keys are looked through as quickly as they are looked up. */
const FEW_KEYS = 16

/** The members of an object, by their keys. Most have a handful and are asked for one: no map, and no object for each. */
export class Spans {
  private readonly names: string[] = []
  /** Of each name: start, valueStart and end. */
  private readonly places: number[] = []
  /** Where there are many. */
  private index: Map<string, number> | undefined

  size(): number {
    return this.names.length
  }

  keys(): readonly string[] {
    return this.names
  }

  has(key: string): boolean {
    return this.indexOf(key) !== -1
  }

  get(key: string): Span | undefined {
    const at = this.indexOf(key)
    return at === -1 ? undefined : this.spanAt(at)
  }

  *[Symbol.iterator](): Generator<readonly [key: string, span: Span]> {
    for (let at = 0; at < this.names.length; at++) yield [this.names[at]!, this.spanAt(at)]
  }

  /** A key that is not among them yet. */
  add(key: string, start: number, valueStart: number, end: number): void {
    this.index?.set(key, this.names.length)
    this.names.push(key)
    this.places.push(start, valueStart, end)
    if (this.index === undefined && this.names.length > FEW_KEYS) this.index = new Map(this.names.map((name, at) => [name, at]))
  }

  private spanAt(at: number): Span {
    const { places } = this
    return { start: places[3 * at]!, valueStart: places[3 * at + 1]!, end: places[3 * at + 2]! }
  }

  private indexOf(key: string): number {
    return this.index === undefined ? this.names.indexOf(key) : (this.index.get(key) ?? -1)
  }
}

export type ScanProblem = 'not-an-object' | 'too-deep' | { readonly duplicate: string }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const COMMA = 0x2c
const COLON = 0x3a

/**
 * Finds the top-level keys and values of the JSON object in `bytes`. It checks nesting and brackets, not the rest of JSON's grammar:
 * use the result only together with a JSON.parse of the same bytes that succeeded.
 * @param text the bytes with one character for each: a string is searched in a fraction of the time that a buffer takes
 */
export function scanObject(bytes: Buffer, maxDepth: number, text = bytes.toString('latin1')): Spans | ScanProblem {
  const spans = new Spans()
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== OPEN_OBJECT) return 'not-an-object'
  let depth = 1
  let keyStart = -1
  let keyEnd = -1
  let valueStart = -1
  let valueEnd = -1
  for (at++; at < text.length; at++) {
    const byte = text.charCodeAt(at)
    if (byte <= 0x20) continue
    if (byte === QUOTE) {
      const close = closingQuote(text, at)
      if (close === -1) return 'not-an-object'
      if (depth === 1) {
        if (keyStart === -1) {
          keyStart = at
          keyEnd = close + 1
        } else if (valueStart === -1) valueStart = at
      }
      at = close
      valueEnd = close + 1
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (depth === 1 && valueStart === -1) valueStart = at
      if (++depth > maxDepth) return 'too-deep'
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT || byte === COMMA) {
      const endsMember = depth === 1 && byte !== CLOSE_ARRAY
      if (endsMember && keyStart !== -1) {
        if (valueStart === -1) return 'not-an-object'
        const key = keyOf(text, bytes, keyStart, keyEnd)
        if (key === undefined) return 'not-an-object'
        if (spans.has(key)) return { duplicate: key }
        spans.add(key, keyStart, valueStart, valueEnd)
        keyStart = -1
        valueStart = -1
      }
      if (byte !== COMMA) {
        valueEnd = at + 1
        if (--depth === 0) return spans
      }
    } else if (byte !== COLON) {
      if (depth === 1 && valueStart === -1) valueStart = at
      valueEnd = at + 1
    }
  }
  return 'not-an-object'
}

/**
 * The same object with some top-level values replaced, added or, where the edit is undefined, taken out. All other bytes stay as they are.
 * Edits are values that JSON.stringify can write.
 * @param appended one more element at the end of an array, by the array's key, which is not among the edits
 */
export function spliceObject(
  source: JsonObjectSource,
  edits: Readonly<Record<string, unknown>>,
  appended: Readonly<Record<string, unknown>> = NONE,
): Buffer {
  const { bytes } = source
  const cuts: { readonly from: number; readonly to: number; readonly text: string }[] = []
  const kept = source.spans.size()
  let removed = 0
  let added = ''
  for (const key in edits) {
    const span = source.spans.get(key)
    const value = edits[key]
    if (value === undefined) {
      if (span === undefined) continue
      removed++
      const cut = memberWithComma(bytes, span)
      cuts.push({ from: cut.from, to: cut.to, text: '' })
    } else if (span !== undefined) cuts.push({ from: span.valueStart, to: span.end, text: JSON.stringify(value) })
    else added += `,${JSON.stringify(key)}:${JSON.stringify(value)}`
  }
  // Two neighbours that both go may each claim the comma between them; what remains then has its commas wrong. Such a body is written again.
  if (removed > 1 || (removed > 0 && removed === kept)) return rewrite(source, edits, appended)
  for (const key in appended) {
    const { at, text } = appending(bytes, source.spans.get(key)!, appended[key])
    cuts.push({ from: at, to: at, text })
  }
  if (added !== '') {
    const close = bytes.lastIndexOf(CLOSE_OBJECT)
    cuts.push({ from: close, to: close, text: kept === 0 ? added.slice(1) : added })
  }
  if (cuts.length === 0) return bytes
  if (cuts.length > 1) cuts.sort((a, b) => a.from - b.from)
  let length = bytes.length
  for (const { from, to, text } of cuts) length += Buffer.byteLength(text) - (to - from)
  const spliced = Buffer.allocUnsafe(length)
  let at = 0
  let from = 0
  for (const cut of cuts) {
    at += bytes.copy(spliced, at, from, cut.from)
    at += spliced.write(cut.text, at)
    from = cut.to
  }
  bytes.copy(spliced, at, from)
  return spliced
}

const NONE: Readonly<Record<string, unknown>> = {}

/** What has to stand before the bracket that closes this array. */
function appending(bytes: Uint8Array, { end }: Span, element: unknown): { readonly at: number; readonly text: string } {
  let before = end - 2
  while (bytes[before]! <= 0x20) before--
  return { at: end - 1, text: `${bytes[before] === OPEN_ARRAY ? '' : ','}${JSON.stringify(element)}` }
}

/** Member by member, so that the values that stay keep their very bytes (a number longer than a double would not survive a parse). */
function rewrite(
  source: JsonObjectSource,
  edits: Readonly<Record<string, unknown>>,
  appended: Readonly<Record<string, unknown>>,
): Buffer {
  const members: string[] = []
  const { bytes } = source
  for (const [key, span] of source.spans) {
    if (Object.hasOwn(appended, key)) {
      const { at, text } = appending(bytes, span, appended[key])
      members.push(`${bytes.toString('utf8', span.start, at)}${text}]`)
    } else if (!Object.hasOwn(edits, key)) members.push(bytes.toString('utf8', span.start, span.end))
    else if (edits[key] !== undefined) members.push(`${JSON.stringify(key)}:${JSON.stringify(edits[key])}`)
  }
  for (const key in edits) {
    if (edits[key] !== undefined && !source.spans.has(key)) members.push(`${JSON.stringify(key)}:${JSON.stringify(edits[key])}`)
  }
  return Buffer.from(`{${members.join(',')}}`)
}

function memberWithComma(bytes: Uint8Array, span: Span): { from: number; to: number } {
  const after = skipSpace(bytes, span.end)
  if (bytes[after] === COMMA) return { from: span.start, to: after + 1 }
  let before = span.start - 1
  while (before > 0 && bytes[before]! <= 0x20) before--
  return { from: bytes[before] === COMMA ? before : span.start, to: span.end }
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at]! <= 0x20) at++
  return at
}

/** Longer parts of a text are none of their own: they keep all of it in memory as long as they live. */
export const LONGEST_COPIED = 12

/** The offset of the quote that closes the string opened at `open`; -1 when there is none. */
export function closingQuote(text: string, open: number): number {
  let at = open
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at === -1) return -1
    let escapes = 0
    while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes++
    if (escapes % 2 === 0) return at
  }
}

function keyOf(text: string, bytes: Buffer, start: number, end: number): string | undefined {
  if (isPlain(text, start + 1, end - 1)) {
    const isShort = end - start - 2 <= LONGEST_COPIED
    return isShort ? text.slice(start + 1, end - 1) : bytes.toString('latin1', start + 1, end - 1)
  }
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as string
  } catch {
    return undefined
  }
}

/** Whether it says what its bytes say: ASCII without escapes. */
function isPlain(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = text.charCodeAt(at)
    if (byte === BACKSLASH || byte >= 0x80) return false
  }
  return true
}

/** An object, or undefined for anything else (null and arrays included): for reading what others wrote. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
}

/** JSON.parse that answers undefined instead of throwing. */
export function tryParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
