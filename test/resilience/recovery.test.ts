import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatEvent } from '../../src/core/chat.ts'
import { beginningOf, type Continuation, given, prefilled, spliced } from '../../src/resilience/recovery.ts'
import { chance } from '../core/random.ts'
import { madeCall } from '../gateway/made.ts'

const text = (said: string, choice = 0): ChatEvent => ({ type: 'text-delta', choice, text: said })
const thought = (said: string, signature?: string): ChatEvent => ({
  type: 'reasoning-delta',
  choice: 0,
  text: said,
  ...(signature !== undefined && { signature }),
})
const start: ChatEvent = { type: 'start', id: 'another', model: 'another' }
const finish: ChatEvent = { type: 'finish', choice: 0, reason: 'stop', raw: 'stop' }
const tool: ChatEvent = { type: 'tool-start', choice: 0, index: 0, id: 'call_1', name: 'look' }
const usage: ChatEvent = { type: 'usage', usage: { input: 1, output: 2 } }
const had = (said: string, thoughts = '', signed = false) => ({ text: said, thoughts, signed })

/** The text that goes to the client; undefined when the answer is of no use. */
function followed(continuation: Continuation, ...said: readonly string[]): string | undefined {
  let all = ''
  for (const events of [...said.map(each => [text(each)]), [finish]]) {
    const kept = continuation.take(events)
    if (kept === undefined) return undefined
    for (const event of kept) if (event.type === 'text-delta') all += event.text
  }
  return all
}

describe('what a client has been given', () => {
  const after = (events: readonly ChatEvent[], more: object = {}) => {
    const seen = given(madeCall(more))
    seen.see(events)
    return seen
  }

  it('is text and thoughts, joined', () => {
    const many = Array.from({ length: 1_000 }, (_, at) => text(`${at} `))
    const seen = after([start, thought('Hm, '), thought('well.', 'signed'), ...many])
    assert.equal(seen.soFar().text, many.map(event => 'text' in event && event.text).join(''))
    assert.deepEqual([seen.soFar().thoughts, seen.soFar().signed, seen.isContinuable()], ['Hm, well.', true, true])
    seen.see([text('more')])
    assert.ok(seen.soFar().text.endsWith('999 more'))
  })

  it('can be continued unless there is more to it than one text', () => {
    const beside = (fields: Record<string, unknown>): ChatEvent => ({ type: 'extra-delta', choice: 0, fields })
    assert.equal(after([text('Hi'), beside({ annotations: [{}] })]).isContinuable(), true)
    for (const events of [
      [tool],
      [text('Hi'), tool],
      [text('Hi', 1)],
      [{ type: 'refusal-delta', choice: 0, text: 'No' }],
      [beside({ logprobs: { content: [] } })],
      [beside({ audio: {} })],
      [text('Hi'), finish],
    ] satisfies ChatEvent[][])
      assert.equal(after(events).isContinuable(), false, JSON.stringify(events))
    for (const more of [{ n: 2 }, { logprobs: true }, { top_logprobs: 3 }])
      assert.equal(after([text('Hi')], more).isContinuable(), false, JSON.stringify(more))
    assert.equal(after([text('Hi')], { n: 1, logprobs: false }).isContinuable(), true)
  })
})

describe('a spliced answer', () => {
  it('goes on where the client stopped, however either of them was cut into pieces', () => {
    const whole = 'Grüße! The lamp 🗼 turns, turns and turns every twelve seconds.'
    const luck = chance()
    for (let at = 1; at <= whole.length; at++) {
      const pieces: string[] = []
      for (let from = 0; from < whole.length; ) {
        const size = 1 + luck.below(9)
        pieces.push(whole.slice(from, from + size))
        from += size
      }
      assert.equal(followed(spliced(had(whole.slice(0, at))), ...pieces), whole.slice(at), `${at}, seed ${luck.seed}`)
    }
  })

  it('is given up at the first difference, and nothing of it was let through before all was matched', () => {
    const continuation = spliced(had('The lamp turns'))
    assert.deepEqual(continuation.take([start, text('The lamp')]), [])
    assert.equal(continuation.isMatched(), false)
    assert.equal(continuation.take([text(' burns')]), undefined)
  })

  it('is given up when it is shorter, calls a tool, refuses, or has another choice', () => {
    for (const event of [finish, tool, { type: 'refusal-delta', choice: 0, text: 'No' } as const, text('The', 1)])
      assert.equal(spliced(had('The lamp')).take([text('The'), event]), undefined, event.type)
    assert.deepEqual(spliced(had('The lamp')).take([text('The lamp'), tool]), [tool], 'after the text it may')
  })

  it('that is just what the client has brings the finish', () => {
    assert.deepEqual(spliced(had('Done.')).take([start, text('Done.'), finish, usage]), [finish, usage])
  })

  it('leaves out its thoughts once the client has text', () => {
    const continuation = spliced(had('The lamp', 'Let me see.'))
    assert.deepEqual(continuation.take([thought('Quite another thought.', 'signed'), text('The lamp turns')]), [text(' turns')])
  })

  it('of thoughts alone matches the thoughts, and needs their signature once', () => {
    const thinking = spliced(had('', 'Let me'))
    assert.deepEqual(thinking.take([thought('Let me see.'), thought('', 'signed'), text('Hi')]), [
      thought(' see.'),
      thought('', 'signed'),
      text('Hi'),
    ])
    assert.deepEqual(spliced(had('', 'Hm', true)).take([thought('Hm'), thought('', 'again'), text('Hi')]), [text('Hi')])
    assert.equal(spliced(had('', 'Let me')).take([thought('Let us')]), undefined)
    assert.equal(spliced(had('', 'Let me')).take([text('Hi')]), undefined, 'it does not think at all')
  })

  it('hands on what is told about it, and lets annotations through only behind the match', () => {
    const beside: ChatEvent = { type: 'extra-delta', choice: 0, fields: { annotations: [{}] } }
    const continuation = spliced(had('Hi'))
    assert.deepEqual(continuation.take([usage, beside, text('Hi you'), beside]), [usage, text(' you'), beside])
  })
})

describe('an answer that was handed its beginning', () => {
  it('goes on, without doubling or losing a space', () => {
    for (const [begun, said, joined] of [
      ['The lamp', [' turns'], 'The lamp turns'],
      ['The lamp ', [' turns'], 'The lamp turns'],
      ['The lamp ', ['turns'], 'The lamp turns'],
      ['The lamp\n\n', ['\n', '\nIt turns'], 'The lamp\n\nIt turns'],
      ['The lamp\n', ['\n\nIt turns'], 'The lamp\n\nIt turns'],
      ['The la', ['mp', ' turns'], 'The lamp turns'],
      ['The lamp ', [' ', ' turns'], 'The lamp  turns'],
      ['Done.', [], 'Done.'],
    ] as const)
      assert.equal(begun + followed(prefilled(begun, false), ...said), joined, JSON.stringify([begun, said]))
  })

  it('may say the beginning again, where that is its way or the beginning is long enough to be sure', () => {
    const long = 'Once upon a time there was a lamp '
    assert.equal(followed(prefilled('Hi', true), 'H', 'i you'), ' you')
    assert.equal(
      followed(prefilled(long, false), beginningOf(long).slice(0, 9), beginningOf(long).slice(9), ' that turned'),
      'that turned',
    )
    assert.equal(followed(prefilled('ha', false), 'ha'), 'ha', 'short ones are repeated for their own sake')
  })

  it('is not held back longer than it looks like the beginning, and not lost at its end', () => {
    const long = 'Once upon a time there was a lamp'
    const continuation = prefilled(long, false)
    assert.deepEqual(continuation.take([text('Once')]), [])
    assert.deepEqual(continuation.take([text(' more')]), [text('Once more')])
    assert.equal(followed(prefilled(long, false), 'Once'), 'Once')
  })

  it('keeps its thoughts to itself, and is given up when it refuses', () => {
    assert.deepEqual(prefilled('Hi', false).take([start, thought('Hm'), text(' you')]), [text(' you')])
    assert.equal(prefilled('Hi', false).take([{ type: 'refusal-delta', choice: 0, text: 'No' }]), undefined)
  })
})
