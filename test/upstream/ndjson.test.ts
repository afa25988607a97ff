import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameTooLarge } from '../../src/upstream/framing.ts'
import { ndjsonFramer } from '../../src/upstream/ndjson.ts'
import { chance } from '../core/random.ts'

/** The text of every frame, and the bytes that it says are its own. */
function read(pieces: readonly Uint8Array[]): { readonly data: string | undefined; readonly wire: string }[] {
  const framer = ndjsonFramer()
  return [...pieces.map(piece => framer.push(piece)), framer.end()].flatMap(({ bytes, frames }) =>
    frames.map(({ data, start, end }) => ({ data, wire: bytes.toString('utf8', start, end) })),
  )
}

const said = (text: string) => read([Buffer.from(text)]).map(({ data }) => data)
const cut = (bytes: Buffer, size: () => number) => {
  const pieces: Buffer[] = []
  for (let at = 0, to = 0; at < bytes.length; at = to) {
    to = at + size()
    pieces.push(bytes.subarray(at, to))
  }
  return pieces
}

test('every line is a frame, whichever way it ends', () => {
  assert.deepEqual(said('{"a":1}\n{"b":2}\r\n{"c":"é"}\n'), ['{"a":1}', '{"b":2}', '{"c":"é"}'])
})

test('blank lines are nothing, and the last line may lack its end', () => {
  assert.deepEqual(said('\n\r\n{"a":1}\n  \n\n{"b":2}'), ['{"a":1}', '{"b":2}'])
  assert.deepEqual(said('{"a":1}\r'), ['{"a":1}'])
  assert.deepEqual(said(''), [])
  assert.deepEqual(said('\n'), [])
})

test('a byte order mark is one at the very beginning alone', () => {
  assert.deepEqual(said('\ufeff{"a":1}\n\ufeff{"b":2}\n'), ['{"a":1}', '\ufeff{"b":2}'])
  assert.deepEqual(said('\ufeff'), [])
})

test('a stream means the same wherever it is cut, and its frames lie where they say', () => {
  const by = chance()
  const lines = ['{"a":"👩‍🚀"}', '{"b":2}', '', ' ', '{"c":"日本"}', 'x'.repeat(300)]
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: by.below(9) }, () => by.pick(lines) + by.pick(['\n', '\r\n'])).join('') + by.pick(lines)
    const wanted = text
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '')
    const found = read(cut(Buffer.from(text), () => 1 + by.below(by.pick([1, 7, 64]))))
    const seed = `SEED=${by.seed} round ${round}`
    assert.deepEqual(
      found.map(({ data }) => data),
      wanted,
      seed,
    )
    for (const { data, wire } of found) assert.equal(wire.trim(), data, seed)
  }
})

test('a frame is told as soon as its line ends', () => {
  const framer = ndjsonFramer()
  assert.equal(framer.push(Buffer.from('{"a"')).frames.length, 0)
  assert.equal(framer.push(Buffer.from(':1}\n{"b"')).frames.length, 1)
  assert.equal(framer.end().frames.length, 1)
  assert.equal(framer.end().frames.length, 0)
})

test('a line that never ends is given up at the cap', () => {
  const framer = ndjsonFramer(10_000)
  let pushed = 0
  assert.throws(() => {
    for (; pushed < 100_000; pushed += 100) framer.push(Buffer.from('x'.repeat(100)))
  }, FrameTooLarge)
  assert.equal(pushed, 10_000)
})

test('one line of 20 MB in pieces of 64 KB is read in linear time', () => {
  const framer = ndjsonFramer()
  const piece = Buffer.alloc(64 * 1024, 'x')
  const started = performance.now()
  for (let sent = 0; sent < 20 * 1024 * 1024; sent += piece.length) framer.push(piece)
  assert.equal(framer.push(Buffer.from('\n')).frames.length, 1)
  assert.ok(performance.now() - started < 500)
})
