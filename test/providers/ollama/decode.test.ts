import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { ollama } from '../../../src/providers/ollama/ollama.ts'
import { type Recording, see } from '../reading.ts'

describe('Ollama’s answers', () => {
  const line = (message: object, more: object = {}) => ({
    model: 'm',
    created_at: '2026-03-01T12:00:00Z',
    message,
    done: true,
    done_reason: 'stop',
    ...more,
  })

  test('have no id, and keep their own word for the end', () => {
    const file = join(import.meta.dirname, '../recordings/ollama/other-reason.json')
    const { events } = see(ollama, JSON.parse(readFileSync(file, 'utf8')) as Recording)
    assert.deepEqual(events[0], { type: 'start', id: '', model: 'qwen3:4b' })
    assert.deepEqual(events[2], { type: 'finish', choice: 0, reason: 'stop', raw: 'custom' })
  })

  test('give calls without ids some, each its own and the same at every reading', () => {
    const call = { function: { name: 'f', arguments: { a: 1 } } }
    const read = () =>
      ollama.decode(line({ tool_calls: [call, call] })).flatMap(event => (event.type === 'tool-start' ? [event.id] : []))
    const [first, second] = read()
    assert.match(first ?? '', /^call_\w{24}$/)
    assert.notEqual(first, second)
    assert.deepEqual(read(), read())
  })

  test('keep a bound that was reached amid calls', () => {
    const events = ollama.decode(line({ tool_calls: [{ function: { name: 'f', arguments: {} } }] }, { done_reason: 'length' }))
    assert.deepEqual(events.at(-1), { type: 'finish', choice: 0, reason: 'length', raw: 'length' })
  })

  test('weigh tokens in OpenAI’s form', () => {
    const logprobs = [{ token: 'Hé', logprob: -0.5, top_logprobs: [{ token: 'Ho', logprob: -1, bytes: [72, 111] }, 7] }, null]
    const content = [
      { token: 'Hé', logprob: -0.5, bytes: [72, 195, 169], top_logprobs: [{ token: 'Ho', logprob: -1, bytes: [72, 111] }] },
    ]
    assert.deepEqual(ollama.decode(line({ content: 'Hé' }, { logprobs }))[2], {
      type: 'extra-delta',
      choice: 0,
      fields: { logprobs: { content, refusal: null } },
    } satisfies ChatEvent)
  })

  test('in lines of the wrong shape are malformed or nothing', () => {
    for (const data of ['x', '[]', '3', 'null', '"x"']) assert.equal(ollama.decoder().push({ data }), 'malformed', data)
    for (const data of [undefined, '', ' ']) assert.deepEqual(ollama.decoder().push({ data }), [])
    for (const body of [null, undefined, 'x', [], {}, { done: true }, { message: 'x' }])
      assert.throws(() => ollama.decode(body), { kind: 'upstream-garbled' }, JSON.stringify(body))
  })

  test('say nothing after their end', () => {
    const decoder = ollama.decoder()
    decoder.push({ data: JSON.stringify(line({ content: 'a' })) })
    assert.deepEqual(decoder.push({ data: JSON.stringify(line({ content: 'b' })) }), [])
    assert.deepEqual(decoder.end(), [])
  })
})
