/** What was asked and what was said, for the log of those who want it there: each a bounded part of it, from its beginning. */
import type { Ending } from '../core/attempt.ts'
import type { ChatEvent } from '../core/chat.ts'

/** `errors`: only of calls that were refused, or whose answer broke off. */
export type Bodies = 'never' | 'errors' | 'all'

export interface Transcript {
  /** A part of the answer as the client got it. */
  add(events: readonly ChatEvent[]): void
  /** What the log line of a call that ended so has of it; undefined: nothing. */
  shownAt(ending: Ending): { readonly prompt: string; readonly answer: string | undefined } | undefined
}

/** Of the prompt, and of the answer. Characters; a prompt in bytes. */
const MOST = 16_384
/** Secrets are taken out of so much more of it first: the end of one could be cut off, and the rest would not be known for what it is. */
const READ = MOST + 4_096

export function transcript(bodies: Bodies, body: Buffer, redact: (text: string) => string): Transcript {
  let said = ''
  let saidLength = 0

  function say(text: string): void {
    if (said.length < READ) said += text.slice(0, READ - said.length)
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
      if (bodies === 'never' || (bodies === 'errors' && kind !== 'refused' && kind !== 'broken')) return undefined
      const cut = (text: string, length: number, unit: string) =>
        redact(text).slice(0, MOST) + (length > MOST ? `… (${length - MOST} more ${unit})` : '')
      const prompt = cut(body.toString('utf8', 0, READ), body.length, 'bytes')
      return { prompt, answer: said === '' ? undefined : cut(said, saidLength, 'characters') }
    },
  }
}
