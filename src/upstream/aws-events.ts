/*
 * The binary event streams of AWS (application/vnd.amazon.eventstream) out of whatever pieces the network cut them into. A message says
 * its own length twice over: total and headers, under a checksum of these two, then headers and payload, under a checksum of the
 * whole. The library takes messages apart and verifies them; here they are only cut out of the stream. After a message that is damaged
 * nothing can be found any more, for there is no mark between messages: the stream is broken.
 */
import { crc32 } from 'node:zlib'
import type { EventStreamCodec } from '@smithy/eventstream-codec'
import { type Framer, FrameTooLarge, FramingBroken, type PlacedFrame, type Reading } from './framing.ts'

/** Total length, length of the headers, checksum of these. */
const PRELUDE_BYTES = 12
/** A prelude and the checksum at the end. */
const LEAST_MESSAGE_BYTES = 16
/** More than AWS sends in one message. */
const MAX_MESSAGE_BYTES = 24 * 1024 * 1024
const NOTHING: Reading = { bytes: Buffer.alloc(0), frames: [] }

export type Codec = Pick<EventStreamCodec, 'decode'>

/** The library, loaded when the first such stream comes: it takes 12 MB that most gateways never need. */
export async function awsEventsCodec(): Promise<Codec> {
  const { EventStreamCodec } = await import('@smithy/eventstream-codec')
  return new EventStreamCodec(
    bytes => (typeof bytes === 'string' ? bytes : textOf(bytes)),
    text => Buffer.from(text),
  )
}

/**
 * The `event` of a frame is the message's event type; `exception:` and the type of the exception; or `error:` and the code of the error.
 * `data` is the payload as text.
 */
export function awsEventsFramer(codec: Codec, maxMessageBytes = MAX_MESSAGE_BYTES): Framer {
  // What belongs to a message that is not complete, joined only when enough has come to go on.
  let waiting: Buffer[] = []
  let waitingBytes = 0
  let neededBytes = PRELUDE_BYTES

  function push(chunk: Uint8Array): Reading {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    waiting.push(fresh)
    waitingBytes += fresh.length
    if (waitingBytes < neededBytes) return NOTHING
    return read(waiting.length === 1 ? fresh : Buffer.concat(waiting))
  }

  function read(bytes: Buffer): Reading {
    const frames: PlacedFrame[] = []
    let at = 0
    neededBytes = PRELUDE_BYTES
    while (bytes.length - at >= PRELUDE_BYTES) {
      const length = messageLength(bytes, at)
      if (length > maxMessageBytes) throw new FrameTooLarge(`one event is larger than ${maxMessageBytes} bytes`)
      if (bytes.length - at < length) {
        neededBytes = length
        break
      }
      frames.push({ ...frameOf(codec, bytes.subarray(at, at + length)), start: at, end: at + length })
      at += length
    }
    waiting = at < bytes.length ? [bytes.subarray(at)] : []
    waitingBytes = bytes.length - at
    return { bytes, frames }
  }

  // Half a message is nothing; that the answer is not complete is for the decoder to say.
  return { push, end: () => NOTHING }
}

/** Verified before the rest is waited for: a wrong length would have it wait for megabytes. */
function messageLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at)
  const headersLength = bytes.readUInt32BE(at + 4)
  if (crc32(bytes.subarray(at, at + 8)) !== bytes.readUInt32BE(at + 8)) throw new FramingBroken('an event has a wrong checksum')
  if (length < LEAST_MESSAGE_BYTES + headersLength) throw new FramingBroken('the headers of an event are longer than the event')
  return length
}

function frameOf(codec: Codec, message: Buffer): { readonly event: string | undefined; readonly data: string } {
  let decoded: ReturnType<Codec['decode']>
  try {
    decoded = codec.decode(message)
  } catch (thrown) {
    throw new FramingBroken(`an event is damaged: ${thrown instanceof Error ? thrown.message : thrown}`)
  }
  const header = (name: string): string | undefined => {
    const value = Object.hasOwn(decoded.headers, name) ? decoded.headers[name]?.value : undefined
    return typeof value === 'string' ? value : undefined
  }
  const data = textOf(decoded.body)
  switch (header(':message-type')) {
    case 'exception':
      return { event: `exception:${header(':exception-type') ?? ''}`, data }
    case 'error':
      // An error has no payload; what it says stands in a header.
      return {
        event: `error:${header(':error-code') ?? ''}`,
        data: data === '' ? JSON.stringify({ message: header(':error-message') ?? '' }) : data,
      }
    default:
      return { event: header(':event-type'), data }
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
