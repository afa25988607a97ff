/*
 * An upstream's answer as pieces. A stream is read frame by frame; the frames of one read stay together, and where the provider writes
 * the client's own dialect their bytes are the piece. Nothing is passed on before the first content, the commit point; until then the
 * attempt can still fail unseen.
 */
import { type ChatEvent, isContent, type Piece, type Pieces, type Taker } from '../core/chat.ts'
import { Fault } from '../core/fault.ts'
import type { Decoder, Provider, UpstreamHeaders } from '../core/provider.ts'
import type { Reader } from '../upstream/exchange.ts'
import { type Framer, FramingBroken, type Reading } from '../upstream/framing.ts'

/** Where a streamed answer comes from, and who is told of what on the way. */
export interface StreamSource {
  /** Asks for the next read of the body. */
  read(reader: Reader): void
  /** Told after each read, successful or not. */
  heard(): void
  /** Told of each piece before anybody else sees it. */
  noted(piece: Piece): void
  /** Told of each event that made no sense and was left out. */
  malformed(): void
  /** The answer is complete (the connection may not be), or it ended with this fault. */
  ended(thrown?: unknown): void
}

/** @param relayed whether the bytes may go to the client as they are */
export function streamedPieces(source: StreamSource, framer: Framer, decoder: Decoder, relayed: boolean): Pieces {
  return new StreamedPieces(source, framer, decoder, relayed)
}

/** One object for each stream: what an event touches of it has mostly left the processor's cache since the last one. */
class StreamedPieces implements Pieces, Reader {
  private readonly source: StreamSource
  private readonly framer: Framer
  private readonly decoder: Decoder
  private readonly relayed: boolean
  private readonly ready: Piece[] = []
  private ended = false
  private complete = false
  private begun = false
  private failure: unknown
  private waiting: Taker | undefined
  /** Whether a read has been asked for just now, and came at once. */
  private isAsking = false
  private hasCome = false

  constructor(source: StreamSource, framer: Framer, decoder: Decoder, relayed: boolean) {
    this.source = source
    this.framer = framer
    this.decoder = decoder
    this.relayed = relayed
  }

  next(taker: Taker): void {
    this.waiting = taker
    if (!this.settled()) this.readOn()
  }

  /** Gives who waits what there is. @returns whether there was anything */
  private settled(): boolean {
    const taker = this.waiting!
    const piece = this.ready.shift()
    if (piece !== undefined) {
      this.begun ||= piece.events.some(isContent)
      this.source.noted(piece)
      taker.take(piece)
    } else if (this.failure !== undefined) {
      this.source.ended(this.failure)
      taker.fail(this.failure)
    } else if (this.complete) {
      this.source.ended()
      taker.take(undefined)
    } else return false
    return true
  }

  /** Reads until there is something to give. A read that comes at once is seen here, or a thousand of them would be as many calls deep. */
  private readOn(): void {
    do {
      this.hasCome = false
      this.isAsking = true
      this.source.read(this)
      this.isAsking = false
    } while (this.hasCome && !this.settled())
  }

  private came(): void {
    if (this.isAsking) this.hasCome = true
    else if (!this.settled()) this.readOn()
  }

  take(chunk: Buffer | undefined): void {
    this.source.heard()
    try {
      this.takeRead(chunk)
    } catch (thrown) {
      this.failed(thrown)
    }
    this.came()
  }

  fail(fault: Fault): void {
    this.source.heard()
    this.failed(fault)
    this.came()
  }

  private failed(thrown: unknown): void {
    if (this.hasFinished()) return
    this.failure = thrown
    // Before the first content, what came in one read with the failure is better forgotten: another target can still answer.
    if (!this.begun) this.ready.length = 0
  }

  private takeRead(chunk: Buffer | undefined): void {
    if (chunk !== undefined) return this.takeFrames(framed(this.framer, chunk), false)
    this.takeFrames(framed(this.framer, undefined), true)
    if (!this.ended) this.finish()
  }

  /** The last event of a stream may lack its blank line; the client gets it with one. */
  private takeFrames({ bytes, frames }: Reading, atEnd: boolean): void {
    let events: ChatEvent[] = []
    let start = -1
    let end = -1
    const flush = () => {
      if (start !== -1) {
        const wire = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
        this.ready.push(this.relayed ? { events, wire: atEnd ? Buffer.concat([wire, BLANK_LINE]) : wire } : { events })
      }
      events = []
      start = -1
    }
    try {
      for (const frame of frames) {
        const decoded = this.decoder.push(frame)
        if (decoded === 'done') {
          flush()
          return this.finish()
        }
        if (decoded === 'malformed') {
          flush()
          this.source.malformed()
          continue
        }
        if ('unrelayed' in decoded) {
          flush()
          if (decoded.unrelayed.length > 0) this.ready.push({ events: decoded.unrelayed })
          continue
        }
        // What the end cut off, and says nothing yet, is not worth passing on.
        if (atEnd && decoded.length === 0) continue
        // An event with usage stands alone, since it may have to be kept from the client.
        const alone = this.relayed && decoded.some(event => event.type === 'usage')
        if (alone) flush()
        if (start === -1) start = frame.start
        end = frame.end
        for (const event of decoded) events.push(event)
        if (alone) flush()
      }
    } finally {
      flush()
    }
  }

  /** Throws the decoder's Fault when the answer is not complete. */
  private finish(): void {
    this.ended = true
    const rest = this.decoder.end()
    this.complete = true
    if (rest.length > 0) this.ready.push({ events: rest })
  }

  /** What fails after its finish has said all there was to say. */
  private hasFinished(): boolean {
    if (this.ended) return this.complete
    try {
      this.finish()
    } catch {
      return false
    }
    return true
  }
}

function framed(framer: Framer, chunk: Buffer | undefined): Reading {
  try {
    return chunk === undefined ? framer.end() : framer.push(chunk)
  } catch (thrown) {
    if (thrown instanceof FramingBroken) throw new Fault('upstream-garbled', { detail: thrown.message })
    throw thrown
  }
}

const BLANK_LINE = Buffer.from('\n\n')

/** The next piece, for who reads one or a few. Rejects with what the answer ends with. */
export function promised(pieces: Pieces): Promise<Piece | undefined> {
  return new Promise((take, fail) => pieces.next({ take, fail }))
}

/**
 * Reads up to the commit point.
 * @param mayBeEmpty whether an answer without any content is one: what follows a beginning can be nothing
 * @returns the pieces up to the first content, that one included
 */
export async function committed(pieces: Pieces, mayBeEmpty: boolean): Promise<Piece[]> {
  const held: Piece[] = []
  let reason: string | undefined
  for (;;) {
    const piece = await promised(pieces)
    if (piece === undefined) {
      if (!mayBeEmpty && (reason === undefined || reason === 'stop'))
        throw new Fault('upstream-garbled', { detail: 'the answer is empty' })
      return held
    }
    held.push(piece)
    if (piece.events.some(isContent)) return held
    for (const event of piece.events) if (event.type === 'finish') reason = event.reason
  }
}

/** Reads on to the end and keeps it all. Rejects with a Fault past `maxBytes`, and with the one that the answer ends with. */
export async function gathered(held: readonly Piece[], pieces: Pieces, maxBytes: number): Promise<Piece[]> {
  const all = [...held]
  let bytes = 0
  for (;;) {
    const piece = await promised(pieces)
    if (piece === undefined) return all
    bytes += sizeOf(piece)
    if (bytes > maxBytes) throw new Fault('upstream-garbled', { detail: `the answer is larger than ${maxBytes} bytes` })
    all.push(piece)
  }
}

function sizeOf({ wire, events }: Piece): number {
  if (wire !== undefined) return wire.length
  return events.reduce((sum, event) => sum + ('text' in event ? event.text.length : 'json' in event ? event.json.length : 64), 0)
}

/** What has been read, and then what is still to come. */
export function following(held: readonly Piece[], rest: Pieces | undefined): Pieces {
  return new Following(held, rest)
}

class Following implements Pieces {
  private readonly held: readonly Piece[]
  private readonly rest: Pieces | undefined
  private at = 0

  constructor(held: readonly Piece[], rest: Pieces | undefined) {
    this.held = held
    this.rest = rest
  }

  next(taker: Taker): void {
    if (this.at < this.held.length) taker.take(this.held[this.at++])
    else if (this.rest === undefined) taker.take(undefined)
    else this.rest.next(taker)
  }
}

/** The first piece with the model that gives it said first: not every provider says who answered, and whoever does has the last word. */
export function introduced(first: Piece, model: string): Piece {
  const start: ChatEvent = { type: 'start', id: '', model }
  return { ...first, events: [start, ...first.events] }
}

/** A whole answer: the events of the body and, where the client may have them, its very bytes. */
export function wholePiece(provider: Provider, bytes: Buffer, relayed: boolean): Piece {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new Fault('upstream-garbled', { detail: `the answer is not JSON (${bytes.length} bytes)` })
  }
  const events = provider.decode(body)
  return relayed ? { events, wire: bytes } : { events }
}

/** The media type in lower case, without parameters. */
export function mediaType(headers: UpstreamHeaders): string {
  const value = headers['content-type']
  const text = typeof value === 'string' ? value : (value?.[0] ?? '')
  return text.split(';', 1)[0]!.trim().toLowerCase()
}
