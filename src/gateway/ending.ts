/*
 * Sees an answer to its end and tells it exactly once. An answer is complete, perhaps after another went on where the first one broke off;
 * or it broke off and the client is told so; or the client left. What ends first counts; whatever comes later changes nothing.
 */
import type { Answer, Ending } from '../core/attempt.ts'
import type { Piece, Taker } from '../core/chat.ts'
import type { AnswerWriter } from '../core/dialect.ts'
import { type Fault, faultOf, withoutSecrets } from '../core/fault.ts'
import type { StopListener } from '../core/stop.ts'
import { type Given, given } from '../resilience/recovery.ts'
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
  /** All of it at once, for an answer that is not streamed. Throws what broke it, which nobody has been told then. */
  whole(): Uint8Array
}

export function told(gateway: Gateway, journey: Journey, writer: AnswerWriter, first: Answer): Told {
  return new Telling(gateway, journey, writer, first)
}

/** One object for each answer, and not a dozen functions that share its variables: there is one for every call. */
class Telling implements Told, Taker {
  private readonly gateway: Gateway
  private readonly journey: Journey
  private readonly writer: AnswerWriter
  private answer: Answer
  private readonly had: Given | undefined
  /** Why the first answer broke off: what an end without recovery is told to have been. */
  private original: Fault | undefined
  private over = false
  private lastWords: Uint8Array | undefined
  /** While others are asked to go on, what ends the journey ends them first: what they used is written down before it is closed. */
  private goingOn = false
  private out: Outlet | undefined
  private isFinished = false
  /** Whether a piece has been asked for just now, and came at once: then the next one is asked for there, and not one call deeper. */
  private isAsking = false
  private hasCome = false
  // Nobody may ever begin to read this: so what ends the journey from outside is heard here, and not by a `finally`.
  private readonly stopped: StopListener = fault => {
    if (!this.goingOn) this.breakOff(fault)
  }

  constructor(gateway: Gateway, journey: Journey, writer: AnswerWriter, first: Answer) {
    this.gateway = gateway
    this.journey = journey
    this.writer = writer
    this.answer = first
    this.had = mayResume(journey) ? given(journey.call!) : undefined
    journey.stop.hear(this.stopped)
  }

  flow(out: Outlet): () => void {
    this.out = out
    this.readOn()
    return () => this.readOn()
  }

  private readOn(): void {
    if (this.over) return this.finish()
    do {
      this.hasCome = false
      this.isAsking = true
      this.answer.pieces.next(this)
      this.isAsking = false
    } while (this.hasCome)
  }

  take(piece: Piece | undefined): void {
    try {
      if (this.over || piece === undefined) this.complete()
      else if (!this.write(piece)) return
    } catch (thrown) {
      return void this.fail(thrown)
    }
    if (this.over) this.finish()
    else if (this.isAsking) this.hasCome = true
    else this.readOn()
  }

  async fail(thrown: unknown): Promise<void> {
    await this.goOn(faultOf(thrown))
    this.readOn()
  }

  /** @returns whether the client takes more */
  private write(piece: Piece): boolean {
    const bytes = this.seen(piece)
    return bytes === undefined || this.out!.write(bytes)
  }

  /** Once: the last words, too, may be told to wait, and whoever goes on after that has nothing left to say. */
  private finish(): void {
    if (this.isFinished) return
    this.isFinished = true
    if (this.lastWords !== undefined) this.out!.write(this.lastWords)
    this.out!.end()
  }

  private complete(): void {
    if (this.over) return
    this.lastWords = this.writer.end()
    this.close({ kind: this.original === undefined ? 'complete' : 'recovered' })
  }

  private close(ending: Ending): void {
    this.over = true
    this.gateway.ledger.close(this.journey, ending)
  }

  /** The answer breaks off: the client is told, if it still reads. */
  private breakOff(fault: Fault): void {
    if (this.over) return
    if (fault.kind === 'client-gone') return this.close({ kind: 'abandoned' })
    const shown = withoutSecrets(fault, this.gateway.redact)
    this.close({ kind: 'broken', fault: shown })
    this.lastWords = this.writer.fail(shown)
  }

  private seen(piece: Piece): Uint8Array | undefined {
    const { journey } = this
    for (const event of piece.events) if (event.type === 'usage') journey.usage = event.usage
    this.had?.see(piece.events)
    journey.transcript?.add(piece.events)
    return this.writer.write(piece)
  }

  private async goOn(fault: Fault): Promise<void> {
    const { gateway, journey, had, answer } = this
    this.original ??= fault
    if (this.over || had === undefined) return this.breakOff(this.original)
    let further: Answer | undefined
    this.goingOn = true
    try {
      further = await resumed(gateway, journey, had, answer, fault)
    } catch (thrown) {
      return this.breakOff(faultOf(thrown))
    } finally {
      this.goingOn = false
    }
    if (journey.stop.fault !== undefined) this.breakOff(journey.stop.fault)
    else if (further === undefined) this.breakOff(this.original)
    else {
      this.answer = further
      // Who is told first ends first, and that has to be the answer.
      journey.stop.unhear(this.stopped)
      journey.stop.hear(this.stopped)
    }
  }

  /** Such an answer has been read to its end before, and its pieces come at once. */
  whole(): Uint8Array {
    let next: 'nothing' | 'piece' | 'end'
    const taker: Taker = {
      take: piece => {
        next = piece === undefined ? 'end' : 'piece'
        if (piece !== undefined) this.seen(piece)
      },
      fail(thrown) {
        throw thrown
      },
    }
    do {
      next = 'nothing'
      this.answer.pieces.next(taker)
      if (next === 'nothing') throw new Error('a whole answer has to be there')
    } while (next !== 'end')
    const body = this.writer.end()
    this.close({ kind: 'complete' })
    return body
  }
}
