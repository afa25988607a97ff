/*
 * What makes two calls one and the same question. Everything in a call counts, unknown fields included, but for what cannot change the
 * answer; the order of keys does not. The key is a hash: no prompt stands in it.
 */
import { hash } from 'node:crypto'
import type { ChatCall } from '../core/chat.ts'
import { asObject, closingQuote, tryParse } from '../core/json.ts'

/**
 * Fields that cannot change the answer: its form (whole or stream, with or without usage), and who asks, as labels for the provider's own
 * books. All of them stand beside the conversation and are shown to no model.
 */
const NO_MATTER: ReadonlySet<string> = new Set([
  'stream',
  'stream_options',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'metadata',
])

/** What counts beside the call itself. */
export interface Ground {
  /** Who shares answers: a client's name, or undefined for all. */
  readonly client: string | undefined
  readonly route: string
  /** Of everything in the configuration that decides who answers, and how. */
  readonly version: string
  /** Tags that the provider of an answer must have for this client. */
  readonly require: readonly string[]
}

/** Undefined for a call whose answer must not be given to others: what we read of it may not be what the provider reads. */
export function answerKey(call: ChatCall, { client, route, version, require }: Ground): string | undefined {
  const members = { count: 0 }
  const text = canonical(call.body, members, NO_MATTER)
  if (!isReadAlike(call, members.count)) return undefined
  return hash('sha256', JSON.stringify([client ?? null, route, version, [...require].sort(), text]), 'hex')
}

/** JSON with its keys in order. */
function canonical(value: unknown, members: { count: number }, without?: ReadonlySet<string>): string {
  if (Array.isArray(value)) return `[${value.map(each => canonical(each, members)).join(',')}]`
  const object = asObject(value)
  if (object === undefined) return JSON.stringify(value)
  const keys = Object.keys(object)
  members.count += keys.length
  let text = '{'
  for (const key of keys.sort()) {
    const written = canonical(object[key], members)
    if (without?.has(key)) continue
    text += `${JSON.stringify(key)}:${written},`
  }
  return `${text}}`
}

/**
 * Whether no object in the body has the same key twice. JSON.parse takes the last one; a provider that takes the first would answer another
 * question than the one that we remember, and whoever shares our answers could be made to read what somebody else wanted them to.
 */
function isReadAlike({ dialect, source }: ChatCall, members: number): boolean {
  const bytes = Buffer.from(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength)
  // One character per byte: what is looked for is ASCII.
  const found = colons(bytes.toString('latin1'))
  if (dialect === 'chat') return found === members
  const own = { count: 0 }
  canonical(tryParse(bytes.toString('utf8')), own)
  return found === own.count
}

const QUOTE = 0x22
const COLON = 0x3a

/** Outside of strings there is one for each member of an object, those that stand twice included. */
function colons(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === COLON) count++
    else if (code === QUOTE) at = closingQuote(text, at)
  }
  return count
}
