import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerKey, type Ground } from '../../src/cache/key.ts'
import { chat } from '../../src/dialects/chat/chat.ts'

const GROUND: Ground = { client: 'team', route: 'r', version: 'v', require: [] }
const keyOf = (body: string, more: Partial<Ground> = {}) => answerKey(chat.parse(Buffer.from(body)), { ...GROUND, ...more })

const BODY = '{"model":"m","messages":[{"role":"user","content":"Hello: \\"you\\\\"}],"tools":[],"seed":1}'

test('the order of keys and white space do not matter, everywhere in the body', () => {
  const same = `{ "seed" : 1,\n"tools":[ ], "messages":[{"content":"Hello: \\"you\\\\","role":"user"}],"model":"m"}`
  assert.match(keyOf(BODY)!, /^[0-9a-f]{64}$/)
  assert.equal(keyOf(same), keyOf(BODY))
})

test('the order of a list matters, and what a value is', () => {
  const key = (more: string) => keyOf(`{"model":"m","messages":[{"role":"user","content":"x"}],${more}}`)
  const keys = [
    '"stop":["a","b"]',
    '"stop":["b","a"]',
    '"x":1',
    '"x":"1"',
    '"x":null',
    '"x":[]',
    '"x":{}',
    '"x":{"y":1}',
    '"y":{"x":1}',
  ]
  assert.equal(new Set(keys.map(key)).size, keys.length)
})

test('whose answer it is, at which route and under which configuration, makes it another', () => {
  const keys = [
    keyOf(BODY),
    keyOf(BODY, { client: 'other' }),
    keyOf(BODY, { client: undefined }),
    keyOf(BODY, { route: 's' }),
    keyOf(BODY, { version: 'w' }),
    keyOf(BODY, { require: ['eu'] }),
  ]
  assert.equal(new Set(keys).size, keys.length)
  assert.equal(keyOf(BODY, { require: ['a', 'b'] }), keyOf(BODY, { require: ['b', 'a'] }))
  assert.notEqual(keyOf(BODY, { client: undefined }), keyOf(BODY, { client: 'null' }))
})

test('a body with a key that stands twice somewhere has none', () => {
  for (const content of [
    '{"role":"user","content":"a","content":"b"}',
    '{"role":"user","content":"a"},{"x":{"y":1,"y":1},"role":"user","content":"b"}',
    '{"role":"user","content":"a","__proto__":{},"__proto__":1}',
  ]) {
    assert.equal(keyOf(`{"model":"m","messages":[${content}]}`), undefined, content)
  }
  const tricky = '{"role":"user","content":"\\"a\\":1,\\"a\\":2 : \\\\","__proto__":{"a":1},"":{"":1}}'
  assert.ok(keyOf(`{"model":"m","messages":[${tricky}],"stream":true,"metadata":{"a":"b"}}`))
})
