import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ending } from '../../src/core/attempt.ts'
import type { Piece } from '../../src/core/chat.ts'
import type { AnswerWriter } from '../../src/core/dialect.ts'
import { stopper } from '../../src/core/stop.ts'
import { following } from '../../src/gateway/answer.ts'
import { told } from '../../src/gateway/ending.ts'
import type { Gateway, Journey } from '../../src/gateway/gateway.ts'
import { arrive } from '../../src/gateway/journey.ts'
import { heldClock } from '../support/clock.ts'
import { madeCall, madeRoute, madeTarget } from './made.ts'

const writer: AnswerWriter = {
  write: ({ wire }) => wire,
  end: () => Buffer.from('END'),
  fail: () => Buffer.from('FAILED'),
  heartbeat: () => Buffer.alloc(0),
}

/** An answer of these words on its way to a client that takes no more after each of `full`. */
function telling(words: readonly string[], full: readonly string[]) {
  const endings: Ending['kind'][] = []
  const ledger = { close: (_: Journey, { kind }: Ending) => endings.push(kind) }
  const gateway = { clock: heldClock(), ledger, redact: (text: string) => text } as unknown as Gateway
  const journey = arrive(gateway, 'the-id', stopper())
  const target = madeTarget('p/a')
  Object.assign(journey, { call: madeCall(), route: madeRoute('r', [target]) })
  const pieces: Piece[] = words.map(word => ({ events: [], wire: Buffer.from(word) }))
  const answer = { target, pieces: following(pieces, undefined), leftOut: [], drop() {} }
  const heard: string[] = []
  const goOn = told(gateway, journey, writer, answer).flow({
    write(bytes) {
      const word = Buffer.from(bytes).toString()
      heard.push(word)
      return !full.includes(word)
    },
    end: () => heard.push('(over)'),
  })
  return { heard, endings, goOn }
}

test('an answer stands still while its client takes no more, and goes on where it was', () => {
  const { heard, endings, goOn } = telling(['one', 'two', 'three'], ['two'])
  assert.deepEqual([heard, endings], [['one', 'two'], []])
  goOn()
  assert.deepEqual([heard, endings], [['one', 'two', 'three', 'END', '(over)'], ['complete']])
})

test('last words that the client has no room for at once are said once', () => {
  const { heard, endings, goOn } = telling(['one'], ['END'])
  goOn()
  assert.deepEqual([heard, endings], [['one', 'END', '(over)'], ['complete']])
})

test('ten thousand pieces that are there at once are not as many calls deep', () => {
  const words = Array.from({ length: 10_000 }, (_, at) => `${at}`)
  assert.deepEqual(telling(words, []).heard, [...words, 'END', '(over)'])
})
