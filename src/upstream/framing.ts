/*
 * Server-sent events out of whatever pieces the network cut them into. Line ends may be LF, CRLF or CR, a byte order mark may come
 * first, and a cut may fall anywhere, inside a character or between CR and LF. Beside its text each frame knows where its bytes lie,
 * so that a relay can pass them on without writing them again. What is no event at all, such as an error that a server writes as bare
 * JSON behind the events, is given as text.
 */
import type { Frame } from '../core/provider.ts'

export interface PlacedFrame extends Frame {
  /** Offsets into `bytes` of the same reading: the frame with its blank line. */
  readonly start: number
  readonly end: number
}

export interface Reading {
  /** The bytes that the offsets of `frames` refer to: this read, with what was left of the reads before in front. */
  readonly bytes: Buffer
  readonly frames: readonly PlacedFrame[]
}

export interface Framer {
  push(chunk: Uint8Array): Reading
  /** What is left when the stream is over: a last frame whose blank line never came, if any. */
  end(): Reading
}

/** Thrown when the bytes are no frames: nothing after them can be made sense of. */
export class FramingBroken extends Error {}

/** Thrown when one frame grows past the cap: a source that never ends a line would fill the memory. */
export class FrameTooLarge extends FramingBroken {}

const LF = 10
const CR = 13
const COLON = 58
const SPACE = 32
const NOTHING: Reading = { bytes: Buffer.alloc(0), frames: [] }
/** Images in one event are megabytes; nothing honest is larger than this. */
const MAX_FRAME_BYTES = 32 * 1024 * 1024

export function sseFramer(maxFrameBytes = MAX_FRAME_BYTES): Framer {
  return new SseFramer(maxFrameBytes)
}

class SseFramer implements Framer {
  private readonly maxFrameBytes: number
  // A frame that is not complete yet: what its lines said, and their bytes, which are joined only when it is. No line is read twice.
  private event: string | undefined
  private data: string | undefined
  private empty = true
  // Whether one of its lines is neither a field nor a comment.
  private foreign = false
  private lines: Buffer[] = []
  private linesBytes = 0
  // Pieces of a line whose end has not come, joined only when it does, so that a huge line costs no copies.
  private line: Buffer[] = []
  private lineBytes = 0
  private begun = false

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  push(chunk: Uint8Array): Reading {
    const fresh = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const { line } = this
    if (line.length === 0) return (this.begun && this.empty ? single(fresh) : undefined) ?? this.read(fresh, false)
    const mayEnd = fresh.includes(LF) || fresh.includes(CR) || line.at(-1)!.at(-1) === CR
    line.push(fresh)
    this.lineBytes += fresh.length
    if (mayEnd) return this.read(Buffer.concat(line), false)
    this.checkSize()
    return NOTHING
  }

  end(): Reading {
    return this.read(Buffer.concat(this.line), true)
  }

  /** Reads the lines that end within `bytes`, which begin where the line before ended; at the end of the stream, all that is left. */
  private read(bytes: Buffer, atEnd: boolean): Reading {
    const frames: PlacedFrame[] = []
    // Which of them are no events. Their text is taken when all their bytes are together.
    const unframed: number[] = []
    const before = this.linesBytes
    let at = this.begun ? 0 : markLength(bytes)
    let start = before > 0 ? -before : at
    let lf = bytes.indexOf(LF, at)
    let cr = bytes.indexOf(CR, at)
    while (at < bytes.length) {
      if (lf !== -1 && lf < at) lf = bytes.indexOf(LF, at)
      if (cr !== -1 && cr < at) cr = bytes.indexOf(CR, at)
      let lineEnd = lf
      let next = lf + 1
      if (cr !== -1 && (lf === -1 || cr < lf)) {
        // A CR at the very end may be half of a CRLF: wait for what follows, unless nothing will.
        if (cr === bytes.length - 1 && !atEnd) break
        lineEnd = cr
        next = bytes[cr + 1] === LF ? cr + 2 : cr + 1
      } else if (lf === -1) {
        if (!atEnd) break
        lineEnd = bytes.length
        next = bytes.length
      }
      if (lineEnd > at) this.readLine(bytes, at, lineEnd)
      else {
        if (!this.empty) this.found(frames, unframed, before + start, before + next)
        start = next
        this.event = undefined
        this.data = undefined
        this.empty = true
        this.foreign = false
      }
      at = next
    }
    if (at > 0) this.begun = true
    if (atEnd && !this.empty) this.found(frames, unframed, before + start, before + bytes.length)
    const placed = before === 0 || frames.length === 0 ? bytes : Buffer.concat([...this.lines, bytes])
    for (const index of unframed) {
      const frame = frames[index]!
      frames[index] = { ...frame, unframed: placed.toString('utf8', frame.start, frame.end) }
    }
    this.keep(bytes, start, at)
    return { bytes: placed, frames }
  }

  private found(frames: PlacedFrame[], unframed: number[], from: number, to: number): void {
    const { event, data } = this
    if (this.foreign && data === undefined) unframed.push(frames.length)
    frames.push({ event, data, start: from, end: to })
  }

  private readLine(bytes: Buffer, at: number, lineEnd: number): void {
    this.empty = false
    if (isField(bytes, at, lineEnd, 'data')) {
      const value = valueAt(bytes, at + 4, lineEnd)
      this.data = this.data === undefined ? value : `${this.data}\n${value}`
    } else if (isField(bytes, at, lineEnd, 'event')) this.event = valueAt(bytes, at + 5, lineEnd)
    else if (bytes[at] !== COLON && !isField(bytes, at, lineEnd, 'id') && !isField(bytes, at, lineEnd, 'retry'))
      this.foreign = true
  }

  /** What is left for the next reading: the frame that began at `start` (below 0: in a reading before), and the line that began at `at`. */
  private keep(bytes: Buffer, start: number, at: number): void {
    if (start >= 0) {
      this.lines = []
      this.linesBytes = 0
    }
    const from = Math.max(start, 0)
    if (from < at) this.lines.push(bytes.subarray(from, at))
    this.linesBytes += at - from
    this.line = at < bytes.length ? [bytes.subarray(at)] : []
    this.lineBytes = bytes.length - at
    this.checkSize()
  }

  private checkSize(): void {
    if (this.linesBytes + this.lineBytes <= this.maxFrameBytes) return
    throw new FrameTooLarge(`one event is larger than ${this.maxFrameBytes} bytes`)
  }
}

/** What most reads of a stream are: one event, which is one line of data. Undefined for all others, of which nothing has been read then. */
function single(bytes: Buffer): Reading | undefined {
  const lineEnd = bytes.length - 2
  if (bytes[lineEnd] !== LF || bytes[lineEnd + 1] !== LF || !isField(bytes, 0, lineEnd, 'data')) return undefined
  const data = valueAt(bytes, 4, lineEnd)
  if (data.includes('\n') || data.includes('\r')) return undefined
  return { bytes, frames: [{ event: undefined, data, start: 0, end: bytes.length }] }
}

function markLength(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
}

function isField(bytes: Buffer, at: number, lineEnd: number, name: 'data' | 'event' | 'id' | 'retry'): boolean {
  const end = at + name.length
  if (end > lineEnd || (end < lineEnd && bytes[end] !== COLON)) return false
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name.charCodeAt(i)) return false
  return true
}

/** The text after the colon at `colon`, without the one space that may follow it. */
function valueAt(bytes: Buffer, colon: number, lineEnd: number): string {
  const from = bytes[colon + 1] === SPACE ? colon + 2 : colon + 1
  return bytes.toString('utf8', Math.min(from, lineEnd), lineEnd)
}
