import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObjectSource, Spans, scanObject, spliceObject } from '../../src/core/json.ts'
import { type Chance, chance } from './random.ts'

const DEPTH = 128

function source(text: string): JsonObjectSource {
  const bytes = Buffer.from(text)
  const spans = scanObject(bytes, DEPTH)
  assert.ok(spans instanceof Spans, `${JSON.stringify(spans)}: ${text}`)
  return { bytes, spans }
}

const splice = (text: string, edits: Record<string, unknown>) => spliceObject(source(text), edits).toString('utf8')
const at = ({ bytes }: JsonObjectSource, from: number, to: number) => Buffer.from(bytes).toString('utf8', from, to)

/** The text of a member's value, for every member. */
function values(of: JsonObjectSource): Map<string, string> {
  return new Map([...of.spans].map(([key, { valueStart, end }]) => [key, at(of, valueStart, end)]))
}

// Numbers that a double cannot hold, escapes that JSON.stringify would write otherwise, and brackets where they mean nothing.
const SCALARS = [
  'true',
  'false',
  'null',
  '0',
  '-0',
  '12345678901234567890',
  '0.1e-7',
  '1E400',
  '1.0',
  '""',
  '"a"',
  '"\\u0041\\/\\n\\\\"',
  '"quote \\" inside"',
  '"\\\\"',
  '"ends in a backslash \\\\\\\\"',
  '"}],{[:"',
  '"日本 🧑‍🚀 ü"',
  '"\\ud83e\\uddd1"',
  '"\\ud800"',
] as const
const KEYS = [
  'model',
  'messages',
  'stream',
  'a',
  'b',
  'c',
  '',
  'ключ',
  '🗝',
  '__proto__',
  'constructor',
  'toString',
  'with "quotes"',
  'back\\slash',
  'new\nline',
  '}',
  ',',
] as const
const SPACES = ['', '', '', ' ', '\n', '\t', '\r\n  '] as const

/** JSON text as somebody else's serialiser could write it. */
function randomValue(by: Chance, depth: number): string {
  const space = () => by.pick(SPACES)
  const kind = depth > 4 ? 0 : by.below(5)
  const size = by.below(4)
  if (kind === 1)
    return `[${Array.from({ length: size }, () => space() + randomValue(by, depth + 1) + space()).join(',')}${space()}]`
  if (kind === 2)
    return randomObject(
      by,
      Array.from({ length: size }, (_, n) => `${by.pick(KEYS)}${n}`),
      depth + 1,
    )
  return by.pick(SCALARS)
}

function randomObject(by: Chance, keys: readonly string[], depth: number): string {
  const space = () => by.pick(SPACES)
  const members = keys.map(key => `${space()}${randomKey(by, key)}${space()}:${space()}${randomValue(by, depth)}${space()}`)
  return `{${members.join(',')}${space()}}`
}

/** Some letters escaped, which changes the bytes of a key and not the key. */
function randomKey(by: Chance, key: string): string {
  if (by.below(3) > 0) return JSON.stringify(key)
  const escaped = Array.from({ length: key.length }, (_, n) => `\\u${key.charCodeAt(n).toString(16).padStart(4, '0')}`)
  return `"${escaped.join('')}"`
}

function some<Value>(by: Chance, from: readonly Value[], share: number): Value[] {
  return from.filter(() => by.next() < share)
}

const EDITS: readonly unknown[] = [
  'gpt-4o',
  1,
  true,
  null,
  { include_usage: true },
  [],
  [{ a: '}' }],
  'new "text" \n 🙂',
  undefined,
  undefined,
]

test('a spliced object says what the edits say, and every other member keeps its very bytes', () => {
  const by = chance()
  for (let round = 0; round < 5_000; round++) {
    const keys = some(by, KEYS, by.next())
    const text = by.pick(SPACES) + randomObject(by, keys, 1) + by.pick(SPACES)
    const edited = [...some(by, keys, by.next() * 0.6), ...some(by, ['new', 'other', 'valueOf'], 0.3)]
    const edits = Object.fromEntries(edited.map(key => [key, by.pick(EDITS)]))
    const told = () => `SEED=${by.seed} round ${round}: ${text} with ${JSON.stringify(edits)}`

    const before = source(text)
    assert.deepEqual([...before.spans.keys()], keys, told())
    const spliced = splice(text, edits)

    // Object.fromEntries and not Object.assign: `__proto__` is a key like any other here.
    const wanted = new Map(Object.entries(JSON.parse(text) as object))
    for (const [key, value] of Object.entries(edits)) {
      if (value === undefined) wanted.delete(key)
      else wanted.set(key, value)
    }
    let parsed: unknown
    assert.doesNotThrow(() => (parsed = JSON.parse(spliced)), told())
    assert.deepEqual(new Map(Object.entries(parsed as object)), wanted, told())

    const [old, now] = [values(before), values(source(spliced))]
    for (const [key, value] of old) if (!Object.hasOwn(edits, key)) assert.equal(now.get(key), value, told())
  }
})

test('an array gets one more element at its end, and keeps its very bytes before it', () => {
  const by = chance()
  for (let round = 0; round < 2_000; round++) {
    const keys = some(by, KEYS, by.next()).filter(key => key !== 'messages')
    const items = Array.from({ length: by.below(4) }, () => by.pick(SPACES) + randomValue(by, 2) + by.pick(SPACES))
    const list = `[${items.join(',')}${by.pick(SPACES)}]`
    const others = randomObject(by, keys, 1)
    const text =
      by.below(2) === 0 ? `{"messages":${list}${keys.length === 0 ? '}' : `,${others.slice(1)}`}` : `{"messages":${list}}`
    const edits = Object.fromEntries(some(by, keys, by.next() * 0.6).map(key => [key, by.pick(EDITS)]))
    const told = () => `SEED=${by.seed} round ${round}: ${text} with ${JSON.stringify(edits)}`

    const spliced = spliceObject(source(text), edits, { messages: { a: ']' } })
    const { messages } = JSON.parse(spliced.toString()) as { messages: unknown[] }
    assert.deepEqual(messages, [...(JSON.parse(list) as unknown[]), { a: ']' }], told())
    const now = values(source(spliced.toString()))
    assert.ok(now.get('messages')!.startsWith(list.slice(0, -1)), told())
    const without = values(source(splice(text, edits)))
    for (const [key, value] of without) if (key !== 'messages') assert.equal(now.get(key), value, told())
  }
})

test('without edits that change anything the very bytes go on', () => {
  const text = ' { "a" : 1.0 , "b":[ ] } \n'
  assert.equal(splice(text, {}), text)
  assert.equal(splice(text, { missing: undefined }), text)
})

test('a replaced value leaves the white space and the order of its neighbours alone', () => {
  assert.equal(
    splice('{ "z":1 , "model" : "x"\n,"a" : 12345678901234567890 }', { model: 'y' }),
    '{ "z":1 , "model" : "y"\n,"a" : 12345678901234567890 }',
  )
})

test('members can be taken out first, last, between and all together', () => {
  assert.equal(splice('{"a":1,"b":2,"c":3}', { a: undefined }), '{"b":2,"c":3}')
  assert.equal(splice('{"a":1,"b":2,"c":3}', { b: undefined }), '{"a":1,"c":3}')
  assert.equal(splice('{"a":1,"b":2,"c":3}', { c: undefined }), '{"a":1,"b":2}')
  assert.equal(splice('{"a":1,"b":2,"c":3}', { b: undefined, c: undefined }), '{"a":1}')
  assert.equal(splice('{"a":1}', { a: undefined }), '{}')
  assert.equal(splice('{"a":1}', { a: undefined, b: 2 }), '{"b":2}')
  assert.equal(splice('{}', { b: 2 }), '{"b":2}')
})

test('a key of the client that every JavaScript object inherits is no edit', () => {
  const text = '{"constructor":1,"toString":[2],"a":1,"b":2}'
  assert.equal(splice(text, { a: undefined, b: undefined }), '{"constructor":1,"toString":[2]}')
})

test('two equal top-level keys are found however they are written', () => {
  const duplicate = (text: string) => scanObject(Buffer.from(text), DEPTH)
  assert.deepEqual(duplicate('{"model":1,"model":2}'), { duplicate: 'model' })
  assert.deepEqual(duplicate('{"model":"a", "mod\\u0065l" :"b"}'), { duplicate: 'model' })
  assert.deepEqual(duplicate('{"\\u006dodel":"a","x":[{}],"mod\\u0065l":"b"}'), { duplicate: 'model' })
  assert.deepEqual(duplicate('{"\\ud83d\\ude42":1,"🙂":2}'), { duplicate: '🙂' })
  assert.deepEqual(duplicate('{"__proto__":1,"__proto__":2}'), { duplicate: '__proto__' })
})

test('equal keys deeper down, and keys that differ only in case, are no duplicates', () => {
  assert.deepEqual([...source('{"a":{"x":1,"x":2},"A":[{"x":1},{"x":2}],"b":"a"}').spans.keys()], ['a', 'A', 'b'])
})

test('nesting is counted in objects and lists, up to the limit and no further', () => {
  const nested = (levels: number) => Buffer.from(`{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`)
  assert.ok(scanObject(nested(8), 8) instanceof Spans)
  assert.equal(scanObject(nested(9), 8), 'too-deep')
  assert.equal(scanObject(Buffer.from('{"a":{"b":{"c":1}}}'), 2), 'too-deep')
  assert.ok(scanObject(Buffer.from('{"a":"[[[[[[[[","b":"{{{{{{"}'), 2) instanceof Spans, 'brackets in a text nest nothing')
  assert.ok(scanObject(Buffer.from('{"a":[[]],"b":[[]],"c":[[]]}'), 3) instanceof Spans, 'what was closed counts no more')
})

test('millions of brackets are refused at once', () => {
  for (const bracket of ['[', '{"a":']) {
    const bytes = Buffer.from(`{"a":${bracket.repeat(5_000_000)}`)
    const started = performance.now()
    assert.equal(scanObject(bytes, DEPTH), 'too-deep')
    assert.ok(performance.now() - started < 200)
  }
})

test('long texts, many keys and runs of backslashes take linear time', () => {
  const long = Buffer.from(`{"a":"${'\\\\'.repeat(2_000_000)}","b":"${'\\"'.repeat(2_000_000)}"}`)
  const many = Buffer.from(`{${Array.from({ length: 200_000 }, (_, n) => `"${n}":${n}`).join(',')}}`)
  const started = performance.now()
  assert.ok(scanObject(long, DEPTH) instanceof Spans)
  assert.ok(scanObject(many, DEPTH) instanceof Spans)
  assert.ok(performance.now() - started < 1_500)
})

test('members are found by their keys, be they few or many, and a key twice among many is seen', () => {
  for (const count of [1, 16, 17, 18, 100]) {
    const numbered = (n: number) => `"k${n}": ${n * 1000}`
    const text = `{${Array.from({ length: count }, (_, n) => numbered(n)).join(', ')}}`
    const of = source(text)
    assert.equal(of.spans.size(), count)
    assert.deepEqual(
      [...values(of)],
      Array.from({ length: count }, (_, n) => [`k${n}`, `${n * 1000}`]),
    )
    for (let n = 0; n < count; n++) {
      const { start, end } = of.spans.get(`k${n}`)!
      assert.equal(at(of, start, end), numbered(n))
    }
    assert.equal(of.spans.get(`k${count}`), undefined)
    assert.ok(!of.spans.has('toString'))
    const twice = scanObject(Buffer.from(`${text.slice(0, -1)}, "k${count - 1}": 1}`), DEPTH)
    assert.deepEqual(twice, { duplicate: `k${count - 1}` })
  }
})

test('what is no object, or breaks off, is said to be none', () => {
  const broken = [
    '',
    '   ',
    '[]',
    '"a"',
    '1',
    'null',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":"',
    '{"a":"\\"',
    '{"a"}',
    '{"a":1,"b"}',
    '\ufeff{}',
    '{"\\x":1}',
  ]
  for (const text of broken) assert.equal(scanObject(Buffer.from(text), DEPTH), 'not-an-object', text)
})
