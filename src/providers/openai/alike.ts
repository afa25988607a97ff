/*
 * Events of one stream are alike: the same text but for the words that each brings, and for padding. Parsing the JSON of each is a good part
 * of what an event costs. So one is looked at closely, and of those that follow only what differs is read, as long as all the rest is the same.
 */
import type { ChatEvent } from '../../core/chat.ts'
import { asObject, closingQuote, LONGEST_COPIED, tryParse } from '../../core/json.ts'
import type { Decoded } from '../../core/provider.ts'

type Fields = Readonly<Record<string, unknown>>

/** One that brings words, and nothing else. */
type Words = Extract<ChatEvent, { readonly type: 'text-delta' | 'reasoning-delta' }>

/** Where words and padding stand. What these names mean in an event is not concluded from them, but tried. */
const CHANGING = /"(?:content|reasoning_content|reasoning|obfuscation|padding|p)":"(?!")/g
/** What is known of an event is held as long as the stream goes on, and with it all of the event. */
const LONGEST_KNOWN = 4_096
/** A stream whose events differ in something else as well is not looked at for ever. */
const MOST_LESSONS = 4

export class Alike {
  /** What stands around the texts that change; empty as long as none is known. */
  private parts: readonly string[] = []
  /** Which of these texts are the words. */
  private told = 0
  private like: Words | undefined
  private lessons = MOST_LESSONS

  /** What this event brings, if it is like the one that is known; undefined: it has to be parsed. */
  read(json: string): Words | undefined {
    const { parts, like } = this
    if (like === undefined || !standsAt(json, 0, parts[0]!)) return undefined
    let at = parts[0]!.length
    let words = ''
    for (let next = 1; next < parts.length; next++) {
      const close = closingQuote(json, at - 1)
      // Without any words it would be no event.
      if (close <= at || !standsAt(json, close, parts[next]!)) return undefined
      const text = textBetween(json, at, close)
      if (text === undefined) return undefined
      if (next - 1 === this.told) words = text
      at = close + parts[next]!.length
    }
    if (at !== json.length) return undefined
    return { type: like.type, choice: like.choice, text: words }
  }

  /**
   * @param json of an event that has been parsed
   * @param decoded what it brought
   * @param decode says what another one would bring now
   */
  learn(json: string, decoded: Decoded, decode: (parsed: Fields) => Decoded): void {
    if (this.lessons === 0 || json.length > LONGEST_KNOWN || wordsOf(decoded) === undefined) return
    this.lessons--
    const parts = partsOf(json)
    const tried = asObject(tryParse(parts.reduce((text, part, at) => `${text}${probe(at - 1)}${part}`)))
    const like = tried && wordsOf(decode(tried))
    const told = parts.findIndex((_, at) => probe(at) === like?.text)
    if (told === -1) return
    this.parts = parts
    this.told = told
    this.like = like
  }
}

/** A part of a text is compared as a whole, where startsWith looks at one character after the other. */
const standsAt = (json: string, at: number, part: string) => json.slice(at, at + part.length) === part

const probe = (at: number) => `probe-${at}`

function wordsOf(decoded: Decoded): Words | undefined {
  if (!Array.isArray(decoded) || decoded.length !== 1) return undefined
  const event = (decoded as readonly ChatEvent[])[0]!
  if (event.type === 'text-delta') return event
  return event.type === 'reasoning-delta' && event.signature === undefined ? event : undefined
}

/** The JSON, which has been parsed, without the texts that change. */
function partsOf(json: string): readonly string[] {
  const parts: string[] = []
  let at = 0
  for (const { index, 0: name } of json.matchAll(CHANGING)) {
    const from = index + name.length
    parts.push(json.slice(at, from))
    at = closingQuote(json, from - 1)
  }
  parts.push(json.slice(at))
  return parts
}

/** What the JSON string says whose quotes stand before `from` and at `to`; undefined when it is none. */
function textBetween(json: string, from: number, to: number): string | undefined {
  const isCopied = to - from <= LONGEST_COPIED
  for (let at = from; isCopied; at++) {
    if (at === to) return json.slice(from, to)
    const code = json.charCodeAt(at)
    if (code < 0x20 || code === BACKSLASH) break
  }
  return tryParse(json.slice(from - 1, to + 1)) as string | undefined
}

const BACKSLASH = 0x5c
