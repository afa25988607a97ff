/*
 * Events that are like one before are not parsed. What is read of them has to be what parsing would have said: so each stream here is read
 * twice, once as it is, and once with each event made unlike all others by a field that means nothing.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Fault } from '../../../src/core/fault.ts'
import type { Decoded, Frame } from '../../../src/core/provider.ts'
import { openai } from '../../../src/providers/openai/openai.ts'
import { chance } from '../../core/random.ts'

type Fields = Readonly<Record<string, unknown>>

const chunk = (choice: Fields, rest: Fields = {}): Fields => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_760_000_000,
  model: 'small-1',
  choices: [{ index: 0, ...choice, logprobs: choice.logprobs ?? null, finish_reason: choice.finish_reason ?? null }],
  usage: null,
  ...rest,
})
const says = (content: unknown, rest: Fields = {}) => chunk({ delta: { content } }, rest)
const FIRST = chunk({ delta: { role: 'assistant', content: 'A', refusal: null } })
const json = (event: Fields | string) => (typeof event === 'string' ? event : JSON.stringify(event))

function decode(frames: readonly Frame[]): readonly (Decoded | string)[] {
  const decoder = openai.decoder()
  const all: (Decoded | string)[] = []
  try {
    for (const frame of frames) all.push(decoder.push(frame))
    all.push(decoder.end())
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, String(thrown))
    all.push(`${thrown.kind}: ${thrown.details.detail}`)
  }
  return all
}

function same(events: readonly (Fields | string)[]): readonly (Decoded | string)[] {
  const written = events.map(json)
  const read = decode(written.map(data => ({ data })))
  const parsed = decode(written.map((data, at) => ({ data: data.replace('{', `{"unlike":${at},`) })))
  assert.deepEqual(read, parsed)
  return read
}

describe('events that are alike', () => {
  test('are not parsed', t => {
    const written = [FIRST, ...Array.from({ length: 100 }, (_, at) => says(` ${at}`))].map(json)
    const parse = t.mock.method(JSON, 'parse')
    const decoder = openai.decoder()
    for (const data of written) decoder.push({ data })
    // The first one, the second one, and what the second one could mean.
    assert.equal(parse.mock.callCount(), 3)
  })

  test('nor are those with padding of any length, before the words or behind them', t => {
    for (const padded of [
      (at: number) => says(` ${at}`, { obfuscation: 'x'.repeat(1 + (at % 7)) }),
      (at: number) => chunk({ delta: { padding: 'y'.repeat(1 + (at % 9)), content: ` ${at}` } }),
      (at: number) => says(` ${at}`, { p: 'abcdefghijklmnopqrstuvwxyz'.slice(0, 1 + (at % 26)) }),
    ]) {
      const events = [FIRST, ...Array.from({ length: 100 }, (_, at) => padded(at))]
      same(events)
      const written = events.map(json)
      const parse = t.mock.method(JSON, 'parse')
      const decoder = openai.decoder()
      for (const data of written) decoder.push({ data })
      // Long padding is checked by JSON.parse, without the rest.
      for (const {
        arguments: [text],
      } of parse.mock.calls.slice(3))
        assert.match(text, /^"[a-z]+"$/)
      parse.mock.restore()
    }
  })

  test('are not looked for without end', t => {
    const written = Array.from({ length: 100 }, (_, at) => json(says(` ${at}`, { created: at })))
    const parse = t.mock.method(JSON, 'parse')
    const decoder = openai.decoder()
    for (const data of written) decoder.push({ data })
    assert.equal(parse.mock.callCount(), 104)
  })

  test('are all parsed where they are long: what is known of one holds all of it', t => {
    const written = Array.from({ length: 20 }, (_, at) => json(says(` ${at}`, { note: 'x'.repeat(4_096) })))
    const parse = t.mock.method(JSON, 'parse')
    const decoder = openai.decoder()
    for (const data of written) decoder.push({ data })
    assert.equal(parse.mock.callCount(), 20)
  })

  test('say what parsing them would say, whatever the words are', () => {
    const words = [
      'b',
      ' "quoted"',
      '\n',
      'back\\slash',
      '\\"',
      '\u0000',
      'ü – 漢字 🎭',
      '\ud83c',
      'x'.repeat(40),
      '"'.repeat(20),
      '',
    ]
    same([FIRST, says(' a'), ...words.map(each => says(each)), says(' z')])
  })

  test('are no JSON where their words are none', () => {
    const [head, tail] = json(says('*')).split('*') as [string, string]
    for (const broken of ['line\nbreak', '\\x', '\\', 'a"b', '\\u12', `${'x'.repeat(30)}\t`]) {
      same([FIRST, says(' a'), `${head}${broken}${tail}`, says(' z')])
    }
  })

  test('are cut off, or go on, anywhere', () => {
    const whole = json(says(' b'))
    for (let cut = 1; cut < whole.length; cut++) same([FIRST, says(' a'), whole.slice(0, cut), says(' z')])
    for (const more of [' ', '}', '{}', whole]) same([FIRST, says(' a'), whole + more, says(' z')])
  })

  test('mean nothing more after the end of their choice', () => {
    const finish = chunk({ delta: {}, finish_reason: 'stop' })
    const read = same([FIRST, says(' a'), says(' b'), finish, says(' c')])
    assert.deepEqual(read.slice(3, 5), [[{ type: 'finish', choice: 0, reason: 'stop', raw: 'stop' }], { unrelayed: [] }])
  })

  test('are not known by their words alone: what else changes is read', () => {
    same([FIRST, says(' a'), says(' b', { usage: { prompt_tokens: 1, completion_tokens: 2 } }), says(' c')])
    same([FIRST, says(' a'), says(' b', { error: { message: 'down' } })])
    same([FIRST, says(' a'), chunk({ delta: { content: ' b' }, finish_reason: 'length' })])
    // As long as null.
    same([FIRST, says(' a'), chunk({ delta: { content: ' b' }, finish_reason: 'ab' })])
    same([FIRST, says(' a'), chunk({ delta: { content: ' b' }, logprobs: { content: [] } }), says(' c')])
    same([FIRST, says(' a'), chunk({ index: 1, delta: { content: ' b' } }), says(' c')])
    same([FIRST, says(' a'), chunk({ delta: { content: ' b', refusal: 'no' } }), says(' c')])
    same([
      FIRST,
      says(' a'),
      chunk({ delta: { reasoning_content: ' b' } }),
      chunk({ delta: { reasoning_content: ' c' } }),
      says(' d'),
    ])
  })

  test('are told apart where the same names mean something else', () => {
    // Of two with one name the last one counts; a name within a text is none; and what is no delta says nothing.
    const twice = (text: string) =>
      json(chunk({ delta: { content: '*' } })).replace('"content":"*"', `"content":"x","content":"${text}"`)
    assert.deepEqual(
      same([FIRST, twice(' a'), twice(' b'), twice(' c')])
        .slice(1, 4)
        .flat(),
      [' a', ' b', ' c'].map(text => ({ type: 'text-delta', choice: 0, text })),
    )
    same([FIRST, says('"content":"'), says(' a'), says(' "content":"x" ')])
    same([
      FIRST,
      says(' a', { note: { content: 'first' } }),
      says(' b', { note: { content: 'second' } }),
      says(' c', { note: { content: '' } }),
    ])
    same([FIRST, chunk({ delta: { content: ' a', reasoning: 't' } }), chunk({ delta: { content: ' b', reasoning: 'u' } })])
    same([FIRST, chunk({ delta: { content: ' a', reasoning: '' } }), chunk({ delta: { content: ' b', reasoning: 'u' } })])
    const part = (obfuscation: string) => chunk({ delta: { content: [{ type: 'text', text: ' a' }] } }, { obfuscation })
    same([FIRST, part('xyz'), part('uvw'), part('x')])
    same([chunk({ message: { content: 'a' } }), chunk({ message: { content: 'ab' } }), chunk({ message: { content: 'abc' } })])
  })

  test('are read as the event that they are named', () => {
    const named = { event: 'error', data: json(says(' b')) }
    const [, , error] = decode([{ data: json(FIRST) }, { data: json(says(' a')) }, named])
    assert.match(String(error), /^upstream-/)
  })

  const { seed } = chance()
  test(`in streams of every kind (SEED=${seed})`, () => {
    const random = chance(seed)
    const texts = ['a', ' the', '\n\n', '"', '\\', 'é', 'word by word by word', '', 'content":"']
    const text = () => random.pick(texts)
    for (let round = 0; round < 2_000; round++) {
      const padded = random.below(3) === 0
      const next = (): Fields => {
        const rest = padded ? { obfuscation: text() } : {}
        switch (random.below(12)) {
          case 0:
            return chunk({ delta: { reasoning_content: text() } }, rest)
          case 1:
            return chunk({ delta: { content: text(), reasoning: text() } }, rest)
          case 2:
            return chunk({ index: random.below(2), delta: { content: text() } }, rest)
          case 3:
            return chunk({ delta: { tool_calls: [{ index: 0, id: 't', function: { name: 'f', arguments: text() } }] } }, rest)
          case 4:
            return random.below(4) > 0 ? says(text(), rest) : chunk({ delta: {}, finish_reason: 'stop' }, rest)
          default:
            return says(text(), rest)
        }
      }
      same([FIRST, ...Array.from({ length: 12 }, next)])
    }
  })
})
