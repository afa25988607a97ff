/*
 * An answer written down as it passes. Streams come in hundreds of small pieces; pieces of the same kind that follow each other are put
 * together, up to a length that is still a handy piece of a stream.
 */
import type { ChatEvent } from '../core/chat.ts'

export interface Recording {
  /** @returns false once the answer has become too large; nothing more is written down then */
  add(events: readonly ChatEvent[]): boolean
  readonly events: readonly ChatEvent[]
}

const LONGEST_PIECE = 2_000
/** About what an event takes up as JSON, beside what it says. */
const EVENT_BYTES = 50

export function recording(maxBytes: number): Recording {
  const events: ChatEvent[] = []
  let size = 0

  function write(event: ChatEvent): void {
    const before = events.at(-1)
    const together = before === undefined ? undefined : joined(before, event)
    if (together !== undefined) events[events.length - 1] = together
    else {
      events.push(event)
      size += EVENT_BYTES
    }
    size += lengthOf(event)
  }

  return {
    events,
    add(more) {
      for (const event of more) if (size <= maxBytes) write(event)
      if (size <= maxBytes) return true
      events.length = 0
      return false
    },
  }
}

function joined(before: ChatEvent, event: ChatEvent): ChatEvent | undefined {
  if (before.type === 'text-delta' && event.type === 'text-delta' && before.choice === event.choice) {
    return isHandy(before.text, event.text) ? { ...before, text: before.text + event.text } : undefined
  }
  // A signature ends what it signs.
  if (before.type === 'reasoning-delta' && event.type === 'reasoning-delta' && before.choice === event.choice) {
    const goesOn = before.signature === undefined && isHandy(before.text, event.text)
    return goesOn ? { ...event, text: before.text + event.text } : undefined
  }
  if (before.type === 'tool-delta' && event.type === 'tool-delta') {
    const same = before.choice === event.choice && before.index === event.index
    return same && isHandy(before.json, event.json) ? { ...before, json: before.json + event.json } : undefined
  }
  return undefined
}

const isHandy = (one: string, other: string) => one.length + other.length <= LONGEST_PIECE

function lengthOf(event: ChatEvent): number {
  if ('text' in event) return event.text.length
  if ('json' in event) return event.json.length
  return event.type === 'extra-delta' ? JSON.stringify(event.fields).length : 0
}
