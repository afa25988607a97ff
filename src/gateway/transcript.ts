/** What was asked and what was said, for the log of those who want it there: each a bounded part of it, from its beginning. */
import type { Ending } from '../core/attempt.ts'
import type { ChatEvent } from '../core/chat.ts'

/** `errors`: only of calls that were refused, or whose answer broke off. */
export type Bodies = 'never' | 'errors' | 'all'

export interface Transcript {
  /** A part of the answer as the client got it. */
  add(events: readonly ChatEvent[]): void
  /** What the log line of a call that ended so has of it; `shown` is false where that is nothing. */
  shownAt(ending: Ending): { readonly shown: boolean; readonly prompt?: string; readonly answer?: string }
}

/** Of the prompt, and of the answer. Characters; a prompt in bytes. */
const MOST = 16_384

export function transcript(bodies: Bodies, body: Buffer): Transcript {
  let said = ''
  let saidLength = 0

  function say(text: string): void {
    if (said.length < MOST) said += text.slice(0, MOST - said.length)
    saidLength += text.length
  }

  return {
    add(events) {
      for (const event of events) {
        if (event.type === 'text-delta' || event.type === 'refusal-delta') say(event.text)
        else if (event.type === 'tool-start') say(`\n[${event.name}] `)
        else if (event.type === 'tool-delta') say(event.json)
      }
    },
    shownAt({ kind }) {
      if (bodies === 'never' || (bodies === 'errors' && kind !== 'refused' && kind !== 'broken')) return { shown: false }
      const prompt = cut(body.toString('utf8', 0, MOST), body.length - MOST, 'bytes')
      return { shown: true, prompt, ...(said !== '' && { answer: cut(said, saidLength - MOST, 'characters') }) }
    },
  }
}

const cut = (text: string, over: number, unit: string) => (over > 0 ? `${text}… (${over} more ${unit})` : text)
