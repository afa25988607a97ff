/*
 * Sees an answer to its end and tells it exactly once. An answer is complete, or it broke off and the client is told so, or the client
 * left. What ends first counts; whatever comes later changes nothing.
 */
import type { Ending } from '../core/attempt.ts'
import type { Piece } from '../core/chat.ts'
import type { AnswerWriter } from '../core/dialect.ts'
import { faultOf } from '../core/fault.ts'
import type { Gateway, Journey } from './gateway.ts'

export interface Told extends AsyncIterator<Uint8Array, void> {
  /** All of it at once, for an answer that is not streamed. Rejects with the Fault that broke it, which nobody has been told then. */
  whole(): Promise<Uint8Array>
}

export function told(gateway: Gateway, journey: Journey, writer: AnswerWriter, pieces: AsyncIterator<Piece, void>): Told {
  let over = false
  let lastWords: Uint8Array | undefined

  function close(ending: Ending): void {
    over = true
    gateway.ledger.close(journey, ending)
  }

  /** The answer breaks off: the client is told, if it still reads. */
  function breakOff(thrown: unknown): void {
    const fault = faultOf(thrown)
    if (over) return
    if (fault.kind === 'client-gone') return close({ kind: 'abandoned' })
    close({ kind: 'broken', fault })
    lastWords = writer.fail(fault)
  }

  // Nobody may ever begin to read this: so what ends the journey from outside is heard here, and not by a `finally`.
  journey.stop.heard(breakOff)

  async function next(): Promise<IteratorResult<Uint8Array, void>> {
    while (!over) {
      try {
        const { done, value } = await pieces.next()
        if (over) break
        if (done || value === undefined) {
          lastWords = writer.end()
          close({ kind: 'complete' })
          break
        }
        const bytes = writer.write(value)
        if (bytes !== undefined) return { done: false, value: bytes }
      } catch (thrown) {
        breakOff(thrown)
      }
    }
    const value = lastWords
    lastWords = undefined
    return value === undefined ? { done: true, value } : { done: false, value }
  }

  async function whole(): Promise<Uint8Array> {
    for (;;) {
      const { done, value } = await pieces.next()
      if (done || value === undefined) break
      writer.write(value)
    }
    const body = writer.end()
    close({ kind: 'complete' })
    return body
  }

  return { next, whole }
}
