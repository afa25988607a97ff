import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree } from '../../src/config/document.ts'

/** The tree with ordinary prototypes, for comparing. */
const plain = (text: string) => JSON.parse(JSON.stringify(readTree(text).value))
const findings = (text: string) => readTree(text).findings.map(({ line, column, message }) => `${line}:${column} ${message}`)

test('a tree holds the values of the file', () => {
  assert.deepEqual(plain('a: [1, true, x, null]\n"b c": {d: 2.5}\n4.0: e\n'), {
    a: [1, true, 'x', null],
    'b c': { d: 2.5 },
    '4.0': 'e',
  })
})

test('off, yes and no are text', () => {
  assert.deepEqual(plain('a: off\nb: yes\nc: no\n'), { a: 'off', b: 'yes', c: 'no' })
})

test('JSON is understood, tabs included', () => {
  assert.deepEqual(plain('{\n\t"a": [\n\t\t1,\n\t\t{"b": "c"}\n\t]\n}\n'), { a: [1, { b: 'c' }] })
})

test('keys and values are found at their line and column', () => {
  const tree = readTree('a:\n  - b: one\n    c: two\n')
  assert.deepEqual(tree.locate(['a', 0, 'c'], 'key'), { line: 3, column: 5 })
  assert.deepEqual(tree.locate(['a', 0, 'c'], 'value'), { line: 3, column: 8 })
  assert.deepEqual(tree.locate(['a', 0], 'value'), { line: 2, column: 5 })
})

test('what is not there is found at its nearest parent', () => {
  const tree = readTree('a:\n  b:\n    c: 1\n')
  assert.deepEqual(tree.locate(['a', 'b', 'x'], 'value'), { line: 2, column: 3 })
  assert.deepEqual(tree.locate(['a', 'y', 'x'], 'value'), { line: 1, column: 1 })
  assert.deepEqual(tree.locate(['z'], 'key'), { line: 1, column: 1 })
})

test('a key with nothing behind it is found at the key', () => {
  assert.deepEqual(readTree('a:\n  b:\nc: 1\n').locate(['a', 'b'], 'value'), { line: 2, column: 3 })
})

test('lines that end with CR LF and a byte order mark do not shift the places', () => {
  assert.deepEqual(readTree('\uFEFFa: 1\r\nb:\r\n  c: x\r\n').locate(['b', 'c'], 'value'), { line: 3, column: 6 })
})

test('syntax errors are reported with their places, once a line', () => {
  assert.deepEqual(findings('a:\n\t- b\n'), ['2:1 not valid YAML: tabs cannot indent; use spaces'])
  assert.deepEqual(findings('a: b: c\n'), [
    '1:4 not valid YAML: a second "key: value" on the same line; put it on its own line, or quote a text that holds ": "',
  ])
  assert.deepEqual(findings('a: [1, 2\nb: 3\n'), [
    '2:1 not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
  ])
  assert.deepEqual(findings('a: 1\n---\nb: 2\n'), [
    '2:1 not valid YAML: the file holds a second document after "---"; only one is read',
  ])
  assert.deepEqual(findings('*foo: 3\n'), [
    '1:5 not valid YAML: an alias or anchor ("*…", "&…") needs a name; quote a text that begins with "*" or "&"',
  ])
  assert.deepEqual(findings('a: !vault x\n'), [
    '1:4 not valid YAML: a tag ("!…") means nothing here; quote a text that begins with "!"',
  ])
})

test('a syntax error does not repeat the text, which may be a secret', () => {
  for (const text of [
    '- a\nsk-secret: 1\n',
    'a: "\\sk-secret"\n',
    'a: !sk-secret x\n',
    'a: "b" sk-secret\n',
    'sk-secret\na: 1\n',
    'a: *\nb: sk-secret',
  ]) {
    const messages = findings(text)
    assert.notEqual(messages.length, 0, text)
    assert.doesNotMatch(messages.join('\n'), /sk-secret/)
  }
})

test('a key that is there twice is reported at the second place with its path', () => {
  const tree = readTree('a:\n  b: 1\n  c: 2\n  b: 3\n')
  assert.deepEqual(tree.findings, [{ path: ['a', 'b'], line: 4, column: 3, message: 'this key is here twice' }])
  assert.ok(tree.readable)
})

test('keys that would reach into the prototype are refused', () => {
  assert.deepEqual(findings('a:\n  __proto__: {b: 1}\n'), ['2:3 "__proto__" cannot be a key'])
  assert.equal(Object.getPrototypeOf(readTree('a: 1').value), null)
})

test('a key that is no text is refused', () => {
  assert.deepEqual(findings('? [a, b]\n: 1\n'), ['1:3 a key must be plain text'])
})

test('aliases repeat what they name, and << adds what is not given', () => {
  const text = 'a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [*a, {z: 4}]}\n'
  const a = { x: 1, y: 2 }
  assert.deepEqual(plain(text), { a, b: a, c: { x: 1, y: 3 }, d: { ...a, z: 4 } })
})

test('what << added is found where it is written', () => {
  assert.deepEqual(readTree('a: &a\n  x: 1\nb:\n  <<: *a\n').locate(['b', 'x'], 'value'), { line: 2, column: 6 })
})

test('an alias without an anchor, inside itself or in the wrong place is reported', () => {
  assert.deepEqual(findings('a: *b\n'), ['1:4 there is no anchor "&b" before this alias'])
  assert.deepEqual(findings('a: *b\nb: &b 1\n'), ['1:4 there is no anchor "&b" before this alias'])
  assert.deepEqual(findings('a: &a [1, *a]\n'), ['1:11 the alias "*a" stands inside what it repeats'])
  assert.deepEqual(findings('a: &a\n  <<: *a\n'), ['2:7 the alias "*a" stands inside what it repeats'])
  assert.deepEqual(findings('a: {<<: 3}\n'), ['1:9 "<<" takes an alias of a mapping'])
})

test('a small file cannot grow into a huge tree by its aliases', () => {
  const bomb = (line: (from: string) => string) =>
    Array.from({ length: 12 }, (_, level) => `a${level}: &a${level} ${line(level === 0 ? '' : `*a${level - 1}`)}`).join('\n')
  const lists = bomb(
    from =>
      `[${Array(9)
        .fill(from === '' ? 'x' : from)
        .join(', ')}]`,
  )
  const merges = bomb(from => (from === '' ? '{x: 1}' : `{<<: [${Array(9).fill(from).join(', ')}]}`))
  for (const text of [lists, merges]) {
    const start = performance.now()
    const messages = findings(text)
    assert.equal(messages.length, 1)
    assert.match(messages[0]!, /the file is too large, or its aliases repeat too much/)
    assert.ok(performance.now() - start < 5_000)
  }
})

test('a file that is nested too deeply is refused', () => {
  assert.match(findings(`a: ${'['.repeat(100)}${']'.repeat(100)}`).join(), /nested too deeply/)
  assert.match(findings('['.repeat(50_000)).join(), /nested too deeply/)
})
