/*
 * Takes and settles that are asked for within one turn of the event loop go to Redis as one command, which carries them out one after the
 * other, in the order in which they were asked for: what a command costs here is mostly its way to the other side and back, however much
 * it carries. Nobody waits for others by it, as it is sent before the loop looks for what else has come in.
 */
import type { Taken, Want } from '../core/store.ts'
import { type Failure, failure, refusal } from './failure.ts'
import { besides, hashTag } from './hash-tag.ts'

/** When something was taken that is settled without Redis having been asked for it. */
export interface Unasked {
  readonly takenMsAgo: number
}

export interface Gathered {
  /** `wants` has at least one. */
  take(id: string, wants: readonly Want[]): Promise<Taken>
  settle(id: string, wants: readonly Want[], unasked?: Unasked): Promise<void>
  /** Sends what waits, so that what is sent next comes after it. */
  send(): void
}

export interface GatheredOptions {
  /** The beginning of every key. */
  readonly prefix: string
  /** Whether one command reaches only keys of one slot. */
  readonly spread: boolean
  /** Sends one command. @returns what `COUNT` answers, parsed; rejects with a `Failure` */
  readonly count: (keys: readonly string[], operations: readonly Operation[]) => Promise<readonly Answer[]>
}

/** What was asked for is not done, as whoever did so has given up. */
export const LATE = 'late'

/** As `COUNT` expects it. */
export type Operation = readonly (string | number | false)[]

/** Of one operation: what remains, what did not fit, … */
export type Answer =
  | readonly number[]
  | { readonly want: number; readonly retryAfterMs: number }
  | { readonly error: string }
  | typeof LATE
  | 'settled'

interface Caller {
  /** @param taken undefined when it settled */
  resolve(taken: Taken | undefined): void
  reject(failure: Failure): void
}

interface Batch {
  readonly keys: string[]
  /** Key of the store → its place among `keys`, counted from 1 as Redis does. */
  readonly places: Map<string, number>
  readonly operations: Operation[]
  readonly callers: Caller[]
}

/** Redis does nothing else meanwhile: one operation takes it some 20 µs. */
const MOST_TOGETHER = 64

export function gathered({ prefix, spread, count }: GatheredOptions): Gathered {
  /**
   * By hash tag, or all under one name where everything may go together. A new map each time: one that is cleared leads the collector from
   * each of its tables to the next, and so from every batch that there was to the one after it.
   */
  let batches = new Map<string, Batch>()
  let willSend = false

  function send(): void {
    if (batches.size === 0) return
    const all = batches
    batches = new Map()
    for (const batch of all.values()) void sendOne(batch)
  }

  function sendInTurn(): void {
    willSend = false
    send()
  }

  async function sendOne({ keys, operations, callers }: Batch): Promise<void> {
    let answers: readonly Answer[]
    try {
      answers = await count(keys, operations)
    } catch (error) {
      for (const caller of callers) caller.reject(error as Failure)
      return
    }
    for (let at = 0; at < callers.length; at++) answer(callers[at]!, answers[at]!)
  }

  /** What goes together with an operation on `key`. */
  const groupOf = (key: string) => (spread ? (hashTag(key) ?? key) : '')

  function batchFor(group: string): Batch {
    let batch = batches.get(group)
    if (batch === undefined) {
      batch = { keys: [], places: new Map(), operations: [], callers: [] }
      batches.set(group, batch)
      if (!willSend) {
        willSend = true
        setImmediate(sendInTurn)
      }
    }
    return batch
  }

  /** The answer to the operation that was added to the batch last. */
  function answerIn(batch: Batch, group: string): Promise<Taken | undefined> {
    return new Promise((resolve, reject) => {
      if (batch.callers.push({ resolve, reject }) < MOST_TOGETHER) return
      batches.delete(group)
      void sendOne(batch)
    })
  }

  function place(batch: Batch, key: string): number {
    const known = batch.places.get(key)
    if (known !== undefined) return known
    const next = batch.keys.push(`${prefix}:${key}`)
    batch.places.set(key, next)
    return next
  }

  /** The record of a taker lies in the slot of all that it takes. */
  const recordPlace = (batch: Batch, key: string, id: string) => batch.keys.push(besides(prefix, key, 'taker', id))

  return {
    take(id, wants) {
      const { key } = wants[0]!
      const group = groupOf(key)
      const batch = batchFor(group)
      const operation: (string | number)[] = ['take', recordPlace(batch, key, id)]
      for (const want of wants) operation.push(want.kind, place(batch, want.key), amountOf(want), want.limit, spanOf(want))
      batch.operations.push(operation)
      return answerIn(batch, group) as Promise<Taken>
    },
    settle(id, wants, unasked) {
      const { key } = wants[0]!
      const group = groupOf(key)
      const batch = batchFor(group)
      const takenMsAgo = unasked?.takenMsAgo
      const operation: (string | number | false)[] = ['settle', recordPlace(batch, key, id), takenMsAgo ?? false]
      for (const want of wants) {
        // Of a sum that was not taken here, only the rest of its time is left; none when that is over.
        const passedMs = want.kind === 'sum' ? Math.floor(takenMsAgo ?? 0) : 0
        operation.push(want.kind, place(batch, want.key), amountOf(want), spanOf(want) - passedMs)
      }
      batch.operations.push(operation)
      return answerIn(batch, group) as Promise<undefined>
    },
    send,
  }
}

function answer(caller: Caller, told: Answer): void {
  if (told === 'settled') return caller.resolve(undefined)
  if (told === LATE) return caller.reject(failure('timeout', 'no', false))
  if ('error' in told) return caller.reject(refusal(told.error))
  if ('want' in told) return caller.resolve({ ok: false, want: told.want, retryAfterMs: told.retryAfterMs })
  caller.resolve({ ok: true, remaining: told })
}

/** A sum's as the text that it is: Redis adds more exactly than a number here is. */
const amountOf = (want: Want) => (want.kind === 'lease' ? 1 : want.kind === 'sum' ? String(want.amount) : want.amount)
const spanOf = (want: Want) => (want.kind === 'rate' ? want.windowMs : wholeMs(want.ttlMs))
/** Redis takes whole milliseconds, at least one. */
export const wholeMs = (ms: number) => Math.max(1, Math.ceil(ms))
