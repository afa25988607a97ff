import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameTooLarge, sseFramer } from '../../src/upstream/framing.ts'
import { chance } from '../core/random.ts'

interface Read {
  readonly event: string | undefined
  readonly data: string | undefined
  /** The frame's bytes, blank line included. */
  readonly wire: Buffer
}

/** Everything that a framer makes of these pieces. */
function read(pieces: readonly Uint8Array[]): Read[] {
  const framer = sseFramer()
  return [...pieces.map(piece => framer.push(piece)), framer.end()].flatMap(({ bytes, frames }) =>
    frames.map(({ event, data, start, end }) => ({ event, data, wire: Buffer.from(bytes.subarray(start, end)) })),
  )
}

const said = (frames: readonly Read[]) => frames.map(({ event, data }) => [event, data])
const wireOf = (frames: readonly Read[]) => Buffer.concat(frames.map(({ wire }) => wire))
const frames = (text: string) => said(read([Buffer.from(text)]))

/** What the WHATWG rules make of a whole text, but that frames without data are told, too, and a last one without a blank line. */
function byTheRules(text: string): (readonly [string | undefined, string | undefined])[] {
  const found: (readonly [string | undefined, string | undefined])[] = []
  let lines: string[] = []
  const flush = () => {
    if (lines.length === 0) return
    let event: string | undefined
    const data: string[] = []
    for (const line of lines) {
      const [, field, value = ''] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line)!
      if (field === 'data') data.push(value)
      if (field === 'event') event = value
    }
    found.push([event, data.length === 0 ? undefined : data.join('\n')])
    lines = []
  }
  for (const line of text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)) {
    if (line === '') flush()
    else lines.push(line)
  }
  flush()
  return found
}

/** Calls `with` with every way of cutting `bytes` at `cuts` places. */
function everyCut(bytes: Buffer, cuts: number, tried: (pieces: Buffer[]) => void, from = 0, done: Buffer[] = []): void {
  if (cuts === 0) tried([...done, bytes.subarray(from)])
  else for (let at = from; at <= bytes.length; at++) everyCut(bytes, cuts - 1, tried, at, [...done, bytes.subarray(from, at)])
}

const MARK = '\ufeff'
const TEXTS: Readonly<Record<string, string>> = {
  'a mark, a comment, an emoji, CRLF and a name': `${MARK}: hi\r\n\r\nevent: ü\r\ndata: {"a":"👩‍🚀"}\r\n\r\ndata:x\r\n\r\n`,
  'LF, two lines of data, no blank line at the end': 'data: 日\ndata\ndata:  b\n\nid: 1\ndata: [DONE]',
  'CR alone': 'data: 🙂\rdata: b\r\revent:e\rdata:c\r\r',
  'every kind of line end': 'data: a\r\n\ndata: b\n\rdata: c\r\r\ndata: d\r\n\r\n\r\n\n',
}

for (const [name, text] of Object.entries(TEXTS)) {
  test(`a stream means the same wherever one, two or three cuts fall: ${name}`, () => {
    const bytes = Buffer.from(text)
    const wanted = byTheRules(text)
    const wire = wireOf(read([bytes]))
    assert.deepEqual(said(read([bytes])), wanted)
    for (const cuts of [1, 2, 3]) {
      everyCut(bytes, cuts, pieces => {
        const found = read(pieces)
        // assert's own comparison is too slow for a hundred thousand ways.
        const same = JSON.stringify(said(found)) === JSON.stringify(wanted) && wireOf(found).equals(wire)
        if (!same) assert.deepEqual(said(found), wanted, `cut ${JSON.stringify(pieces.map(String))}`)
        assert.ok(same, `the bytes differ, cut ${JSON.stringify(pieces.map(String))}`)
      })
    }
    assert.deepEqual(said(read([...bytes].map(byte => Buffer.of(byte)))), wanted, 'byte by byte')
  })
}

test('random streams mean what the rules say, in pieces of any size', () => {
  const by = chance()
  const lines = [
    'data: {"a":1}',
    'data:',
    'data',
    'data:  two',
    'event: x',
    'event',
    ': c',
    ':',
    'id: 7',
    'retry: 1',
    'datax: no',
    'dat',
    'é: 1',
    'data: 🙂é',
    '',
    '',
    '',
  ]
  for (let round = 0; round < 3_000; round++) {
    const text = Array.from({ length: by.below(14) }, () => by.pick(lines) + by.pick(['\n', '\r\n', '\r'])).join('')
    const bytes = Buffer.from((by.below(4) === 0 ? MARK : '') + text)
    const pieces: Buffer[] = []
    for (let at = 0, to = 0; at < bytes.length; at = to) {
      to = at + 1 + by.below(by.pick([1, 4, 40]))
      pieces.push(bytes.subarray(at, to))
    }
    assert.deepEqual(said(read(pieces)), byTheRules(bytes.toString()), `SEED=${by.seed} round ${round}: ${JSON.stringify(text)}`)
  }
})

test('the bytes of the frames, put together, are the stream', () => {
  const by = chance()
  const blocks = ['data: {"a":"🧑‍🚀"}', ': comment', 'event: e\ndata: 1\ndata: 2', 'id: 1', 'data:x']
  const text = Array.from({ length: 400 }, () => `${by.pick(blocks)}\n\n`).join('')
  for (const ends of ['\n', '\r\n', '\r']) {
    const bytes = Buffer.from(text.replaceAll('\n', ends))
    for (const size of [1, 2, 3, 7, 100, 4_096, bytes.length]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size))
      const found = read(pieces)
      assert.equal(found.length, 400)
      assert.ok(wireOf(found).equals(bytes), `SEED=${by.seed}, pieces of ${size}, ${JSON.stringify(ends)}`)
      for (const { wire } of found) assert.ok(wire.toString().endsWith(ends + ends), 'each is cut behind its blank line')
    }
  }
})

test('fields are read as the rules say', () => {
  const table: readonly (readonly [text: string, event: string | undefined, data: string | undefined])[] = [
    ['data: a\n\n', undefined, 'a'],
    ['data:a\n\n', undefined, 'a'],
    ['data:  a\n\n', undefined, ' a'],
    ['data:\ta\n\n', undefined, '\ta'],
    ['data: a: b\n\n', undefined, 'a: b'],
    ['data\n\n', undefined, ''],
    ['data:\n\n', undefined, ''],
    ['data: \n\n', undefined, ''],
    ['data\ndata\n\n', undefined, '\n'],
    ['data: a\ndata: b\n\n', undefined, 'a\nb'],
    ['data: a\nid: 1\nretry: 2\ndata: b\n\n', undefined, 'a\nb'],
    ['event: e\ndata: a\n\n', 'e', 'a'],
    ['event:e\nevent: f\ndata: a\n\n', 'f', 'a'],
    ['event\ndata: a\n\n', '', 'a'],
    [': c\n\n', undefined, undefined],
    [':\ndata: a\n\n', undefined, 'a'],
    ['datas: a\n\n', undefined, undefined],
    ['dat: a\n\n', undefined, undefined],
    [' data: a\n\n', undefined, undefined],
    ['Data: a\n\n', undefined, undefined],
    [`data: ${MARK}a\n\n`, undefined, `${MARK}a`],
    ['data: a\0b\n\n', undefined, 'a\0b'],
  ]
  for (const [text, event, data] of table) assert.deepEqual(frames(text), [[event, data]], JSON.stringify(text))
})

test('blank lines that end nothing are no frames, and a name does not outlive its frame', () => {
  assert.deepEqual(frames('\n\n\r\n'), [])
  assert.deepEqual(frames(''), [])
  assert.deepEqual(frames('event: e\ndata: a\n\n\n\ndata: b\n\n'), [
    ['e', 'a'],
    [undefined, 'b'],
  ])
})

test('a byte order mark is one at the very beginning alone', () => {
  assert.deepEqual(frames(`${MARK}data: a\n\n`), [[undefined, 'a']])
  assert.deepEqual(frames(`data: a\n\n${MARK}data: b\n\n`), [
    [undefined, 'a'],
    [undefined, undefined],
  ])
})

test('a last event without its blank line counts, and so does one without its line end', () => {
  assert.deepEqual(frames('data: a\n\ndata: [DONE]\n'), [
    [undefined, 'a'],
    [undefined, '[DONE]'],
  ])
  assert.deepEqual(frames('data: [DONE]'), [[undefined, '[DONE]']])
  assert.deepEqual(frames('data: [DONE]\r'), [[undefined, '[DONE]']])
})

test('a frame is told as soon as its blank line is there', () => {
  const framer = sseFramer()
  assert.equal(framer.push(Buffer.from('data: a\n')).frames.length, 0)
  assert.equal(framer.push(Buffer.from('\n')).frames.length, 1)
  assert.equal(framer.push(Buffer.from('data: b\r\n\r\n')).frames.length, 1)
  assert.equal(framer.end().frames.length, 0)
})

const MB = 1024 * 1024

/** Milliseconds to read `total` bytes of `line` after `data: `, in pieces of 64 KB. */
function time(total: number, line: string): number {
  const framer = sseFramer()
  const piece = Buffer.from(line.repeat(Math.ceil((64 * 1024) / line.length)))
  const started = performance.now()
  framer.push(Buffer.from('data: '))
  for (let sent = 0; sent < total; sent += piece.length) assert.equal(framer.push(piece).frames.length, 0)
  const { frames: last } = framer.push(Buffer.from('\n\n'))
  assert.equal(last.length, 1)
  assert.ok(last[0]!.end - last[0]!.start >= total)
  return performance.now() - started
}

test('one line of 20 MB in pieces of 64 KB is read in linear time', () => {
  assert.ok(time(20 * MB, 'x') < 500)
})

test('one event of 20 MB in many lines is read in linear time', () => {
  const ms = time(20 * MB, `${'x'.repeat(100)}\ndata: `)
  assert.ok(ms < 3_000, `${ms} ms`)
})

test('an event that never ends is given up at the cap, whether or not its lines end', () => {
  for (const line of ['x'.repeat(1_000), 'data: x\n', ': ping\r\n', 'data: x\r']) {
    const framer = sseFramer(100_000)
    let pushed = 0
    assert.throws(
      () => {
        for (; pushed < 1_000_000; pushed += line.length) framer.push(Buffer.from(line))
      },
      FrameTooLarge,
      JSON.stringify(line),
    )
    assert.ok(pushed > 99_000 && pushed < 102_000, `${pushed}`)
  }
})

test('many events that are each below the cap pass, however many they are', () => {
  const framer = sseFramer(1_000)
  const piece = Buffer.from('data: 0123456789\n\n'.repeat(500))
  let told = 0
  for (let round = 0; round < 100; round++) told += framer.push(piece).frames.length
  assert.equal(told, 50_000)
})

test('what is no event at all is given as text, wherever it is cut', () => {
  const bytes = Buffer.from('data: a\r\n\r\n{\r\n  "error": {"message": "zu spät 🗼"}\r\n}\r\n')
  for (let size = 1; size <= bytes.length; size++) {
    const framer = sseFramer()
    const frames = []
    for (let at = 0; at < bytes.length; at += size) frames.push(...framer.push(bytes.subarray(at, at + size)).frames)
    frames.push(...framer.end().frames)
    assert.deepEqual(
      frames.map(({ data, unframed }) => [data, unframed]),
      [
        ['a', undefined],
        [undefined, '{\r\n  "error": {"message": "zu spät 🗼"}\r\n}\r\n'],
      ],
      `cut every ${size} bytes`,
    )
  }
})

test('comments, names, ids and times are events, and whatever stands beside data is nothing', () => {
  const text = ': ping\n\nevent: x\n\nid: 1\nretry: 5\n\nodd\ndata: a\n\nodd\n\nodd: too\n\nidle\n'
  const framer = sseFramer()
  const frames = [...framer.push(Buffer.from(text)).frames, ...framer.end().frames]
  assert.deepEqual(
    frames.map(({ unframed }) => unframed),
    [undefined, undefined, undefined, undefined, 'odd\n\n', 'odd: too\n\n', 'idle\n'],
  )
})
