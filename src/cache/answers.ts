/*
 * Answers that are given again. An answer is kept as events, so that it can be replayed whole or as a stream, in any dialect, whatever way
 * it first came. Only answers that came to a good end are kept: every choice said `stop` or `tool_calls`. One that was cut off by a limit
 * or a filter is not, nor one with parts that events do not carry whole.
 */
import type { ChatEvent, DialectName, FinishReason } from '../core/chat.ts'
import type { Clock } from '../core/clock.ts'
import { asObject, tryParse } from '../core/json.ts'
import type { Shelf } from './shelf.ts'

export interface Answer {
  readonly events: readonly ChatEvent[]
  /** Its very text, where it came whole and could be passed on as it was: fields without a meaning for us are in here only. */
  readonly whole?: { readonly dialect: DialectName; readonly text: string }
  /** The id of the target that gave it. */
  readonly target: string
  /** What that target did not take of the call. */
  readonly leftOut: readonly string[]
}

/** How long answers may be given again, and how much longer they may stand in. */
export interface Terms {
  readonly ttlMs: number
  readonly staleMs: number
}

export interface Found {
  readonly answer: Answer
  readonly isFresh: boolean
}

export interface Answers {
  /** Never rejects: what cannot be had, or read, is not there. */
  find(key: string, terms: Terms): Promise<Found | undefined>
  /** Never throws, never waits. */
  keep(key: string, answer: Answer, terms: Terms): void
  /** The largest answer that is kept, in bytes. */
  readonly maxEntryBytes: number
}

/** Of the form below; another release may have written another. */
const VERSION = 1

export function answers(shelf: Shelf, clock: Clock, maxEntryBytes: number): Answers {
  return {
    maxEntryBytes,
    async find(key, { ttlMs, staleMs }) {
      const text = await shelf.take(key)
      const { version, atMs, answer } = asObject(text === undefined ? undefined : tryParse(text)) ?? {}
      if (version !== VERSION || typeof atMs !== 'number' || !isAnswer(answer)) return undefined
      // The terms may have become shorter since it was put there.
      const ageMs = clock.now() - atMs
      return ageMs < ttlMs + staleMs ? { answer, isFresh: ageMs < ttlMs } : undefined
    },
    keep(key, answer, { ttlMs, staleMs }) {
      const text = JSON.stringify({ version: VERSION, atMs: clock.now(), answer })
      if (Buffer.byteLength(text) <= maxEntryBytes) shelf.put(key, text, ttlMs + staleMs)
    },
  }
}

function isAnswer(value: unknown): value is Answer {
  const answer = asObject(value)
  return (
    typeof answer?.target === 'string' &&
    Array.isArray(answer.leftOut) &&
    Array.isArray(answer.events) &&
    answer.events.every(isEvent) &&
    isGood(answer.events) &&
    (answer.whole === undefined || typeof asObject(answer.whole)?.text === 'string')
  )
}

/** What an event of each kind has in any case. */
const FIELDS: Readonly<Record<ChatEvent['type'], Readonly<Record<string, 'string' | 'number' | 'object'>>>> = {
  start: { id: 'string', model: 'string' },
  'text-delta': { choice: 'number', text: 'string' },
  'reasoning-delta': { choice: 'number', text: 'string' },
  'refusal-delta': { choice: 'number', text: 'string' },
  'tool-start': { choice: 'number', index: 'number', id: 'string', name: 'string' },
  'tool-delta': { choice: 'number', index: 'number', json: 'string' },
  'extra-delta': { choice: 'number', fields: 'object' },
  finish: { choice: 'number', reason: 'string', raw: 'string' },
  usage: { usage: 'object' },
  'answer-recovered': { kind: 'string' },
}

/** A shelf that others can reach may hold anything: what is given again is whole, or it is not there. */
function isEvent(value: unknown): value is ChatEvent {
  const event = asObject(value)
  if (typeof event?.type !== 'string' || !Object.hasOwn(FIELDS, event.type)) return false
  const fields = FIELDS[event.type as ChatEvent['type']]
  for (const name in fields) if (typeof event[name] !== fields[name] || event[name] === null) return false
  return true
}

const GOOD_ENDS: ReadonlySet<FinishReason> = new Set(['stop', 'tool_calls'])
/** Fields that come in fragments of their own making, or in forms that a stream and a whole answer do not share. */
const NOT_CARRIED = ['audio', 'images', 'function_call', 'content_parts'] as const

/** Whether an answer that came to its end may be given again. */
export function isGood(events: readonly ChatEvent[]): boolean {
  const begun = new Set<number>()
  const ended = new Set<number>()
  for (const event of events) {
    if (!('choice' in event)) continue
    begun.add(event.choice)
    if (event.type === 'finish') {
      if (!GOOD_ENDS.has(event.reason)) return false
      ended.add(event.choice)
    } else if (event.type === 'extra-delta' && NOT_CARRIED.some(field => field in event.fields)) return false
  }
  return ended.size > 0 && ended.size === begun.size
}
