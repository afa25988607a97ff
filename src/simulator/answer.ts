/*
 * What to say, whatever API asks. A wire reads a call into an ask; the answer to it is a list of blocks made of tokens, and every token
 * becomes one event of a stream. Tokens of text are words with the space that follows; JSON is cut into short fragments. Answers are
 * deterministic: two simulators of one name say the same, and the same again.
 */
import { asObject, tryParse } from '../core/json.ts'
import { synthesise } from './synthesis.ts'

export interface ToolOffer {
  readonly name: string
  /** A JSON Schema of the arguments. */
  readonly parameters: unknown
}

/** What of a call decides the answer. */
export interface Ask {
  readonly model: string
  readonly stream: boolean
  readonly choices: number
  readonly maxTokens: number | undefined
  readonly stops: readonly string[]
  /** `json`: any object; otherwise an object that fits the schema. */
  readonly format: 'text' | 'json' | { readonly schema: unknown }
  /** The tools that it may call, the one to call first at the beginning. */
  readonly tools: readonly ToolOffer[]
  /** Whether it may call two tools at once. */
  readonly parallel: boolean
  readonly thinks: boolean
  /** Whether a stream tells the usage. */
  readonly reportsUsage: boolean
  /** Whether the events of a stream are padded against eavesdroppers who watch their lengths. */
  readonly padded: boolean
  /** The text of the last message of the user. */
  readonly userText: string
  /** What tools have returned, when that is the last that was said. */
  readonly toolResult: string | undefined
  /** The beginning of the answer, where the conversation ends with it. */
  readonly prefill: string | undefined
  /** Whether the events of a stream come as one list. */
  readonly isList?: boolean
  readonly promptTokens: number
}

export type Block =
  | { readonly kind: 'thinking'; readonly tokens: readonly string[]; readonly signature: string }
  | { readonly kind: 'text'; readonly tokens: Iterable<string> }
  | { readonly kind: 'tool'; readonly name: string; readonly fragments: readonly string[] }

export interface Answer {
  readonly blocks: readonly Block[]
  readonly finish: 'stop' | 'stop-sequence' | 'length' | 'tools'
  /** With `stop-sequence`: which one. */
  readonly stoppedBy?: string | undefined
  /** Events of content: words, fragments, and one for each tool's name. */
  readonly tokens: number
  readonly thinkingTokens: number
}

/** Who answers. */
export interface Voice {
  readonly name: string
  /** What it says instead of its own sentence. */
  readonly answer?: string | undefined
  /** Whether an answer whose beginning it is given says that beginning again. */
  readonly echoes: boolean
}

const FRAGMENT_LENGTH = 8
/** A token of a huge answer is long, or its events would be many. */
const HUGE_TOKEN_LENGTH = 1024
const THOUGHT = 'The user expects an answer, so a short and plain one will do.'
const LONGEST_QUOTE = 2_000

export function answerTo(ask: Ask, voice: Voice): Answer {
  const thinking: Block[] = ask.thinks ? [{ kind: 'thinking', tokens: wordsOf(THOUGHT), signature: signatureOf(voice.name) }] : []
  if (ask.tools.length > 0 && ask.toolResult === undefined && ask.prefill === undefined) {
    const both = ask.parallel && /\bboth\b/i.test(ask.userText)
    const calls = ask.tools.slice(0, both ? 2 : 1).map(toolBlock)
    return limited([...thinking, ...calls], ask.maxTokens, 'tools')
  }
  const { text, isJson } = textFor(ask, voice)
  const { kept, stoppedBy } = stopAt(text, ask.stops)
  const rest = voice.echoes ? kept : after(ask.prefill, kept)
  const tokens = isJson ? fragmentsOf(rest) : wordsOf(rest)
  const blocks: Block[] = tokens.length === 0 ? thinking : [...thinking, { kind: 'text', tokens }]
  return limited(blocks, ask.maxTokens, stoppedBy === undefined ? 'stop' : 'stop-sequence', stoppedBy)
}

/** An answer whose text has about so many bytes, made while it is read. Limits of the call do not hold for it. */
export function hugeAnswer(bytes: number, voice: Voice): Answer {
  const count = Math.ceil(bytes / HUGE_TOKEN_LENGTH)
  return {
    blocks: [{ kind: 'text', tokens: repeated(hugeToken(voice), count) }],
    finish: 'stop',
    tokens: count,
    thinkingTokens: 0,
  }
}

/** The token that a huge answer repeats: each character is one byte, in JSON too. */
export function hugeToken(voice: Voice): string {
  const sentence = `${sentenceOf(voice.name)} `
  return sentence.repeat(Math.ceil(HUGE_TOKEN_LENGTH / sentence.length)).slice(0, HUGE_TOKEN_LENGTH)
}

/** Words, counted as tokens. */
export function countWords(text: string): number {
  let count = 0
  let inside = false
  for (let at = 0; at < text.length; at++) {
    const isSpace = text.charCodeAt(at) <= 0x20
    if (!isSpace && !inside) count++
    inside = !isSpace
  }
  return count
}

/** The text of a content field: a string, or the text parts of a list. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map(part => asObject(part)?.text ?? '').join('')
}

function sentenceOf(name: string): string {
  return `Hello, this is ${name}, a simulated model that answers every call with the same twenty words so that tests agree.`
}

function textFor(ask: Ask, voice: Voice): { text: string; isJson: boolean } {
  const own = voice.answer ?? sentenceOf(voice.name)
  if (ask.format !== 'text') {
    if (asObject(tryParse(own)) !== undefined) return { text: own, isJson: true }
    const value = ask.format === 'json' ? { answer: own } : synthesise(ask.format.schema)
    return { text: JSON.stringify(value), isJson: true }
  }
  if (ask.toolResult !== undefined) return { text: `The tool returned: ${ask.toolResult.slice(0, LONGEST_QUOTE)}`, isJson: false }
  return { text: own, isJson: false }
}

/** What follows this beginning; all of an answer that begins otherwise. */
function after(beginning: string | undefined, text: string): string {
  return beginning !== undefined && text.startsWith(beginning) ? text.slice(beginning.length) : text
}

function toolBlock(tool: ToolOffer): Block {
  const made = asObject(synthesise({ type: 'object', ...asObject(tool.parameters) })) ?? {}
  return { kind: 'tool', name: tool.name, fragments: fragmentsOf(JSON.stringify(made)) }
}

function wordsOf(text: string): readonly string[] {
  return text.match(/^\s+|\S+\s*/g) ?? []
}

/** At least two, where there is anything to cut. By code points, so that no character is torn. */
function fragmentsOf(json: string): readonly string[] {
  const characters = [...json]
  const length = Math.max(1, Math.min(FRAGMENT_LENGTH, Math.ceil(characters.length / 2)))
  const fragments: string[] = []
  for (let at = 0; at < characters.length; at += length) fragments.push(characters.slice(at, at + length).join(''))
  return fragments
}

function stopAt(text: string, stops: readonly string[]): { kept: string; stoppedBy?: string } {
  let found: { kept: string; stoppedBy?: string } = { kept: text }
  for (const stop of stops) {
    const at = stop === '' ? -1 : text.indexOf(stop)
    if (at !== -1 && at < found.kept.length) found = { kept: text.slice(0, at), stoppedBy: stop }
  }
  return found
}

function limited(blocks: readonly Block[], maxTokens: number | undefined, finish: Answer['finish'], stoppedBy?: string): Answer {
  const kept: Block[] = []
  let left = maxTokens ?? Number.POSITIVE_INFINITY
  let tokens = 0
  let thinkingTokens = 0
  for (const block of blocks) {
    const pieces = block.kind === 'tool' ? [block.name, ...block.fragments] : [...block.tokens]
    const taken = pieces.slice(0, left)
    left -= taken.length
    tokens += taken.length
    if (block.kind === 'thinking') thinkingTokens += taken.length
    if (taken.length > 0) kept.push(block.kind === 'tool' ? { ...block, fragments: taken.slice(1) } : { ...block, tokens: taken })
    if (taken.length < pieces.length) return { blocks: kept, finish: 'length', tokens, thinkingTokens }
  }
  return { blocks: kept, finish, stoppedBy, tokens, thinkingTokens }
}

function* repeated(token: string, count: number): Generator<string> {
  for (let at = 0; at < count; at++) yield token
}

function signatureOf(name: string): string {
  return Buffer.from(`a thought of ${name}, signed by its simulator and by nobody else`).toString('base64')
}
