/*
 * Sees an answer to its end and tells it exactly once. An answer is complete, perhaps after another went on where the first one broke off;
 * or it broke off and the client is told so; or the client left. What ends first counts; whatever comes later changes nothing.
 */
import type { Answer, Ending } from '../core/attempt.ts'
import type { Piece, Taker } from '../core/chat.ts'
import type { AnswerWriter } from '../core/dialect.ts'
import { type Fault, faultOf, withoutSecrets } from '../core/fault.ts'
import { given } from '../resilience/recovery.ts'
import type { Gateway, Journey } from './gateway.ts'
import { mayResume, resumed } from './resume.ts'

/** Where the bytes of a streamed answer go. */
export interface Outlet {
  /** @returns whether it takes more; if not, the flow stands still until it is told to go on */
  write(bytes: Uint8Array): boolean
  /** That was all. */
  end(): void
}

/** An answer as it is told to the client: in one of these ways, once. */
export interface Told {
  /** Writes it as it comes, to whatever end. @returns goes on after a write that said to wait */
  flow(out: Outlet): () => void
  /** All of it at once, for an answer that is not streamed. Rejects with the Fault that broke it, which nobody has been told then. */
  whole(): Promise<Uint8Array>
}

export function told(gateway: Gateway, journey: Journey, writer: AnswerWriter, first: Answer): Told {
  let answer = first
  const had = mayResume(journey) ? given(journey.call!) : undefined
  /** Why the first answer broke off: what an end without recovery is told to have been. */
  let original: Fault | undefined
  let over = false
  let lastWords: Uint8Array | undefined

  function close(ending: Ending): void {
    over = true
    gateway.ledger.close(journey, ending)
  }

  /** The answer breaks off: the client is told, if it still reads. */
  function breakOff(fault: Fault): void {
    if (over) return
    if (fault.kind === 'client-gone') return close({ kind: 'abandoned' })
    const shown = withoutSecrets(fault, gateway.redact)
    close({ kind: 'broken', fault: shown })
    lastWords = writer.fail(shown)
  }

  /** While others are asked to go on, what ends the journey ends them first: what they used is written down before it is closed. */
  let goingOn = false
  const stopped = (fault: Fault) => goingOn || breakOff(fault)
  // Nobody may ever begin to read this: so what ends the journey from outside is heard here, and not by a `finally`.
  let unheard = journey.stop.heard(stopped)

  function seen(piece: Piece): Uint8Array | undefined {
    for (const event of piece.events) if (event.type === 'usage') journey.usage = event.usage
    had?.see(piece.events)
    journey.transcript?.add(piece.events)
    return writer.write(piece)
  }

  function flow(out: Outlet): () => void {
    /** Whether a piece has been asked for just now, and came at once: then the next one is asked for here, and not one call deeper. */
    let isAsking = false
    let hasCome = false

    function readOn(): void {
      if (over) return finish()
      do {
        hasCome = false
        isAsking = true
        answer.pieces.next(taker)
        isAsking = false
      } while (hasCome)
    }

    const taker: Taker = {
      take(piece) {
        try {
          if (over || piece === undefined) complete()
          else if (!written(seen(piece))) return
        } catch (thrown) {
          return void mend(thrown)
        }
        if (over) finish()
        else if (isAsking) hasCome = true
        else readOn()
      },
      fail: thrown => void mend(thrown),
    }

    const written = (bytes: Uint8Array | undefined) => bytes === undefined || out.write(bytes)

    async function mend(thrown: unknown): Promise<void> {
      await goOn(faultOf(thrown))
      readOn()
    }

    function finish(): void {
      if (lastWords !== undefined) out.write(lastWords)
      out.end()
    }

    readOn()
    return readOn
  }

  function complete(): void {
    if (over) return
    lastWords = writer.end()
    close({ kind: original === undefined ? 'complete' : 'recovered' })
  }

  async function goOn(fault: Fault): Promise<void> {
    original ??= fault
    if (over || had === undefined) return breakOff(original)
    let further: Answer | undefined
    goingOn = true
    try {
      further = await resumed(gateway, journey, had, answer, fault)
    } catch (thrown) {
      return breakOff(faultOf(thrown))
    } finally {
      goingOn = false
    }
    if (journey.stop.fault !== undefined) breakOff(journey.stop.fault)
    else if (further === undefined) breakOff(original)
    else {
      answer = further
      // Who is told first ends first, and that has to be the answer.
      unheard()
      unheard = journey.stop.heard(stopped)
    }
  }

  /** Such an answer has been read to its end before, and is a piece or two. */
  function whole(): Promise<Uint8Array> {
    return new Promise((resolve, fail) => {
      const taker: Taker = {
        take(piece) {
          if (piece !== undefined) {
            seen(piece)
            return answer.pieces.next(taker)
          }
          const body = writer.end()
          close({ kind: 'complete' })
          resolve(body)
        },
        fail,
      }
      answer.pieces.next(taker)
    })
  }

  return { flow, whole }
}
