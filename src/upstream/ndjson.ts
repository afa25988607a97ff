/*
 * Newline-delimited JSON out of whatever pieces the network cut it into: every line is a frame. Line ends may be LF or CRLF, a byte order
 * mark may come first, blank lines (some servers send them as signs of life) are nothing, and the last line may lack its end.
 */
import { type Framer, FrameTooLarge, type PlacedFrame, type Reading } from './framing.ts'

const LF = 10
const SPACE = 32
const NOTHING: Reading = { bytes: Buffer.alloc(0), frames: [] }
/** Images in one line are megabytes; nothing honest is larger than this. */
const MAX_LINE_BYTES = 32 * 1024 * 1024

export function ndjsonFramer(maxLineBytes = MAX_LINE_BYTES): Framer {
  // Pieces of a line whose end has not come, joined only when it does, so that a huge line costs no copies.
  let line: Buffer[] = []
  let lineBytes = 0
  let begun = false

  function push(chunk: Uint8Array): Reading {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    line.push(fresh)
    lineBytes += fresh.length
    const reading = fresh.includes(LF) ? read(joined()) : NOTHING
    if (lineBytes > maxLineBytes) throw new FrameTooLarge(`one line is larger than ${maxLineBytes} bytes`)
    return reading
  }

  function read(bytes: Buffer): Reading {
    const frames: PlacedFrame[] = []
    let at = 0
    for (let lf = bytes.indexOf(LF); lf !== -1; lf = bytes.indexOf(LF, at)) {
      place(frames, bytes, at, lf, lf + 1)
      at = lf + 1
    }
    line = at < bytes.length ? [bytes.subarray(at)] : []
    lineBytes = bytes.length - at
    return { bytes, frames }
  }

  function place(frames: PlacedFrame[], bytes: Buffer, start: number, lineEnd: number, end: number): void {
    let first = begun ? start : start + markLength(bytes)
    let last = lineEnd
    begun = true
    while (first < last && bytes[first]! <= SPACE) first++
    while (last > first && bytes[last - 1]! <= SPACE) last--
    if (last > first) frames.push({ data: bytes.toString('utf8', first, last), start, end })
  }

  function joined(): Buffer {
    return line.length === 1 ? line[0]! : Buffer.concat(line)
  }

  return {
    push,
    end() {
      const bytes = joined()
      const frames: PlacedFrame[] = []
      place(frames, bytes, 0, bytes.length, bytes.length)
      line = []
      lineBytes = 0
      return { bytes, frames }
    },
  }
}

function markLength(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
}
