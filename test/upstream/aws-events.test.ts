import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { awsEventsCodec, awsEventsFramer } from '../../src/upstream/aws-events.ts'
import { FrameTooLarge, FramingBroken } from '../../src/upstream/framing.ts'
import { chance } from '../core/random.ts'
import { awsMessage } from './aws-message.ts'

const codec = await awsEventsCodec()

const event = (type: string, payload: string) =>
  awsMessage({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, payload)

function read(pieces: readonly Uint8Array[]): { readonly event: string | undefined; readonly data: string | undefined }[] {
  const framer = awsEventsFramer(codec)
  return [...pieces.map(piece => framer.push(piece)), framer.end()].flatMap(({ frames }) =>
    frames.map(({ event, data }) => ({ event, data })),
  )
}

describe('event streams of AWS', () => {
  test('give the type and the payload of every event', () => {
    const bytes = Buffer.concat([event('messageStart', '{"role":"assistant"}'), event('messageStop', '{"p":"日本 🗼"}')])
    assert.deepEqual(read([bytes]), [
      { event: 'messageStart', data: '{"role":"assistant"}' },
      { event: 'messageStop', data: '{"p":"日本 🗼"}' },
    ])
  })

  test('tell exceptions and errors by name, and what an error says in its header', () => {
    const exception = awsMessage({ ':message-type': 'exception', ':exception-type': 'throttlingException' }, '{"message":"slow"}')
    const error = awsMessage({ ':message-type': 'error', ':error-code': 'InternalError', ':error-message': 'oh "no"' }, '')
    assert.deepEqual(read([exception, error]), [
      { event: 'exception:throttlingException', data: '{"message":"slow"}' },
      { event: 'error:InternalError', data: '{"message":"oh \\"no\\""}' },
    ])
  })

  test('may hold headers of every kind, and none at all', () => {
    const kinds = Buffer.concat([
      Buffer.from([1, 97, 0, 1, 98, 1, 1, 99, 2, 7, 1, 100, 3, 0, 7, 1, 101, 4, 0, 0, 0, 7]),
      Buffer.from([1, 102, 5, 0, 0, 0, 0, 0, 0, 0, 7, 1, 103, 6, 0, 1, 9, 1, 104, 8, 0, 0, 0, 0, 0, 0, 0, 7]),
      Buffer.from([1, 105, 9, ...Buffer.alloc(16, 3)]),
    ])
    assert.deepEqual(read([awsMessage(kinds, 'x'), awsMessage({}, '')]), [
      { event: undefined, data: 'x' },
      { event: undefined, data: '' },
    ])
  })

  test('mean the same wherever they are cut, and their frames lie where they say', () => {
    const by = chance()
    const messages = Array.from({ length: 40 }, (_, n) => event(`e${n}`, '🗼'.repeat(by.below(60))))
    const bytes = Buffer.concat(messages)
    const whole = read([bytes])
    assert.equal(whole.length, 40)
    const framer = awsEventsFramer(codec)
    const reading = framer.push(bytes)
    for (const [n, { start, end }] of reading.frames.entries()) assert.ok(reading.bytes.subarray(start, end).equals(messages[n]!))
    const sizes = [() => 1, () => 7, () => 64, ...Array.from({ length: 20 }, () => () => 1 + by.below(200))]
    for (const size of sizes) {
      const pieces: Buffer[] = []
      for (let at = 0, to = 0; at < bytes.length; at = to) {
        to = at + size()
        pieces.push(bytes.subarray(at, to))
      }
      assert.deepEqual(read(pieces), whole, `SEED=${by.seed}`)
    }
  })

  test('that end within an event give nothing for it', () => {
    const bytes = event('messageStart', '{}')
    for (let length = 0; length < bytes.length; length++) assert.deepEqual(read([bytes.subarray(0, length)]), [])
  })

  test('are broken as soon as one bit is wrong', () => {
    const bytes = event('contentBlockDelta', '{"delta":{"text":"It is"}}')
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes)
      damaged[at]! ^= 1 << (at % 8)
      assert.throws(() => read([damaged]), FramingBroken, `byte ${at}`)
    }
  })

  test('are not waited for when what comes is something else', () => {
    assert.throws(() => read([Buffer.from('<html><body>502 Bad Gateway</body></html>')]), FramingBroken)
  })

  test('with a header of no known kind, or headers longer than the event, are broken', () => {
    assert.throws(() => read([awsMessage(Buffer.from([1, 97, 77]), 'x')]), FramingBroken)
    const lying = Buffer.alloc(16)
    lying.writeUInt32BE(16, 0)
    lying.writeUInt32BE(99, 4)
    lying.writeUInt32BE(crc32(lying.subarray(0, 8)), 8)
    lying.writeUInt32BE(crc32(lying.subarray(0, 12)), 12)
    assert.throws(() => read([lying]), FramingBroken)
  })

  test('with an event over 24 MB are given up before it has come', () => {
    const prelude = Buffer.alloc(12)
    prelude.writeUInt32BE(24 * 1024 * 1024 + 1, 0)
    prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
    assert.throws(() => read([prelude]), FrameTooLarge)
  })

  test('with an event of 20 MB in pieces of 64 KB are read in linear time', () => {
    const bytes = event('contentBlockDelta', 'x'.repeat(20 * 1024 * 1024))
    const framer = awsEventsFramer(codec)
    const started = performance.now()
    let frames = 0
    for (let at = 0; at < bytes.length; at += 64 * 1024) frames += framer.push(bytes.subarray(at, at + 64 * 1024)).frames.length
    assert.equal(frames, 1)
    const ms = performance.now() - started
    assert.ok(ms < 3_000, `${ms} ms`)
  })
})
