/*
 * An upstream's answer as pieces. A stream is read frame by frame; the frames of one read stay together, and where the provider writes
 * the client's own dialect their bytes are the piece. Nothing is passed on before the first content, the commit point; until then the
 * attempt can still fail unseen.
 */
import { type ChatEvent, isContent, type Piece } from '../core/chat.ts'
import { Fault } from '../core/fault.ts'
import type { Decoder, Provider, UpstreamHeaders } from '../core/provider.ts'
import { type Framer, FramingBroken, type Reading } from '../upstream/framing.ts'

/** The next piece; undefined when the answer is complete. Rejects with a Fault when it is not going to be. */
export type NextPiece = () => Promise<Piece | undefined>

export interface StreamSource {
  readonly read: () => Promise<Buffer | undefined>
  readonly framer: Framer
  readonly decoder: Decoder
  /** Whether the bytes may go to the client as they are. */
  readonly relayed: boolean
  /** Told of each event that made no sense and was left out. */
  readonly onMalformed: () => void
  /** The answer is over, though the connection may not be. */
  readonly onDone: () => void
}

export function streamedPieces(source: StreamSource): NextPiece {
  const { decoder, framer } = source
  const ready: Piece[] = []
  let over = false
  let begun = false
  let failure: unknown

  async function next(): Promise<Piece | undefined> {
    for (;;) {
      const piece = ready.shift()
      if (piece !== undefined) {
        begun ||= piece.events.some(isContent)
        return piece
      }
      if (failure !== undefined) throw failure
      if (over) return undefined
      try {
        await readOn()
      } catch (thrown) {
        // Before the first content, what came in one read with the failure is better forgotten: another target can still answer.
        if (!begun) throw thrown
        failure = thrown
      }
    }
  }

  async function readOn(): Promise<void> {
    let chunk: Buffer | undefined
    try {
      chunk = await source.read()
    } catch (thrown) {
      // What dies after its finish has said all there was to say.
      return finish(() => {
        throw thrown
      })
    }
    if (chunk !== undefined)
      return take(
        framed(() => framer.push(chunk)),
        false,
      )
    take(
      framed(() => framer.end()),
      true,
    )
    if (!over) finish(undefined)
  }

  /** The last event of a stream may lack its blank line; the client gets it with one. */
  function take({ bytes, frames }: Reading, atEnd: boolean): void {
    let events: ChatEvent[] = []
    let start = -1
    let end = -1
    const flush = () => {
      if (start !== -1) {
        const wire = bytes.subarray(start, end)
        ready.push(source.relayed ? { events, wire: atEnd ? Buffer.concat([wire, BLANK_LINE]) : wire } : { events })
      }
      events = []
      start = -1
    }
    try {
      for (const frame of frames) {
        const decoded = decoder.push(frame)
        if (decoded === 'done') {
          flush()
          return finish(undefined)
        }
        if (decoded === 'malformed') {
          flush()
          source.onMalformed()
          continue
        }
        // An event with usage stands alone, since it may have to be kept from the client.
        const alone = source.relayed && decoded.some(event => event.type === 'usage')
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

  function finish(otherwise: (() => never) | undefined): void {
    let rest: readonly ChatEvent[]
    try {
      rest = decoder.end()
    } catch (thrown) {
      otherwise?.()
      throw thrown
    }
    over = true
    if (rest.length > 0) ready.push({ events: rest })
    source.onDone()
  }

  return next
}

function framed(read: () => Reading): Reading {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof FramingBroken) throw new Fault('upstream-garbled', { detail: thrown.message })
    throw thrown
  }
}

const BLANK_LINE = Buffer.from('\n\n')

/**
 * Reads up to the commit point.
 * @returns an iterator over all the pieces, those before the commit point included
 */
export async function committed(next: NextPiece): Promise<AsyncIterator<Piece, void>> {
  const held: Piece[] = []
  let reason: string | undefined
  for (;;) {
    const piece = await next()
    if (piece === undefined) {
      if (reason === undefined || reason === 'stop') throw new Fault('upstream-garbled', { detail: 'the answer is empty' })
      break
    }
    held.push(piece)
    if (piece.events.some(isContent)) break
    for (const event of piece.events) if (event.type === 'finish') reason = event.reason
  }
  return {
    async next() {
      const piece = held.shift() ?? (await next())
      return piece === undefined ? { done: true, value: undefined } : { done: false, value: piece }
    },
  }
}

/** The answer with the model that gives it said first: not every provider says who answered, and whoever does has the last word. */
export function introduced(pieces: AsyncIterator<Piece, void>, model: string): AsyncIterator<Piece, void> {
  let said = false
  return {
    async next() {
      const result = await pieces.next()
      if (said || result.done) return result
      said = true
      const start: ChatEvent = { type: 'start', id: '', model }
      return { done: false, value: { ...result.value, events: [start, ...result.value.events] } }
    },
  }
}

/** All of a stream as one piece without bytes, for a client that asked for a whole answer. */
export async function gathered(pieces: AsyncIterator<Piece, void>): Promise<Piece> {
  const events: ChatEvent[] = []
  for (;;) {
    const { done, value } = await pieces.next()
    if (done || value === undefined) return { events }
    events.push(...value.events)
  }
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

export function single(piece: Piece): AsyncIterator<Piece, void> {
  let given = false
  return {
    async next() {
      if (given) return { done: true, value: undefined }
      given = true
      return { done: false, value: piece }
    },
  }
}

/** The media type in lower case, without parameters. */
export function mediaType(headers: UpstreamHeaders): string {
  const value = headers['content-type']
  const text = typeof value === 'string' ? value : (value?.[0] ?? '')
  return text.split(';', 1)[0]!.trim().toLowerCase()
}
