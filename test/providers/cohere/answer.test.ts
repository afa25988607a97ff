import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { cohere } from '../../../src/providers/cohere/cohere.ts'
import { type Recording, see } from '../reading.ts'

describe('Cohere’s answers', () => {
  function eventsOf(name: string): readonly ChatEvent[] {
    const file = join(import.meta.dirname, '../recordings/cohere', `${name}.json`)
    return see(cohere, JSON.parse(readFileSync(file, 'utf8')) as Recording).events
  }
  const extra = (name: string) => eventsOf(name).flatMap(event => (event.type === 'extra-delta' ? [event.fields] : []))

  test('cite pages as pages and documents as documents', () => {
    const page = { start_index: 9, end_index: 14, url: 'https://kelp.example/60', title: 'Seaweeds' }
    const [{ annotations }] = extra('citations') as [{ annotations: { type: string; document_citation: { text: string } }[] }]
    assert.deepEqual(annotations[0], { type: 'url_citation', url_citation: page })
    assert.equal(annotations[1]?.type, 'document_citation')
    assert.equal(annotations[1]?.document_citation.text, 'It')
    assert.equal((extra('stream-citations') as [{ annotations: unknown[] }])[0].annotations.length, 1)
  })

  test('keep their own word for the end', () => {
    const finish = eventsOf('stop-sequence').find(event => event.type === 'finish')
    assert.deepEqual(finish, { type: 'finish', choice: 0, reason: 'stop', raw: 'STOP_SEQUENCE' })
  })

  test('weigh runs of tokens', () => {
    const item = { token_ids: [1, 2], text: 'Hé', logprobs: [-0.25, -0.5] }
    const weights = { content: [{ token: 'Hé', logprob: -0.75, bytes: [72, 195, 169], top_logprobs: [] }], refusal: null }
    const event = { type: 'extra-delta', choice: 0, fields: { logprobs: weights } }
    const message = { content: [{ type: 'text', text: 'Hé' }] }
    assert.deepEqual(cohere.decode({ message, finish_reason: 'COMPLETE', logprobs: [item] })[2], event)
    const delta = { message: { content: { text: 'Hé' } } }
    const decoded = cohere.decoder().push({ data: JSON.stringify({ type: 'content-delta', index: 0, logprobs: item, delta }) })
    assert.deepEqual((decoded as ChatEvent[])[1], event)
  })

  test('count what was billed where nothing else is counted', () => {
    const message = { content: [{ type: 'text', text: 'x' }] }
    const usageOf = (usage: unknown) =>
      cohere.decode({ message, finish_reason: 'COMPLETE', usage }).find(event => event.type === 'usage')?.usage
    assert.deepEqual(usageOf({ billed_units: { input_tokens: 3, output_tokens: 2 } }), { input: 3, output: 2 })
    assert.deepEqual(usageOf({ tokens: { input_tokens: 3, output_tokens: 2 }, cached_tokens: 9 }), {
      input: 0,
      cached: 3,
      output: 2,
    })
    for (const nothing of [undefined, null, {}, { tokens: { input_tokens: '3', output_tokens: -1 } }])
      assert.equal(usageOf(nothing), undefined)
  })

  test('give a call without an id one that is the same at every reading', () => {
    const read = () =>
      cohere.decode({
        id: 'a',
        message: { tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] },
        finish_reason: 'COMPLETE',
      })
    const [, call, json, finish] = read()
    assert.match(call?.type === 'tool-start' ? call.id : '', /^call_\w{24}$/)
    assert.deepEqual(json, { type: 'tool-delta', choice: 0, index: 0, json: '{"a":1}' })
    assert.deepEqual(finish, { type: 'finish', choice: 0, reason: 'tool_calls', raw: 'COMPLETE' })
    assert.deepEqual(read(), read())
  })

  test('in frames of the wrong shape are malformed or nothing', () => {
    for (const data of [
      'x',
      '[]',
      '3',
      '{"type":"content-delta"}',
      '{"type":"tool-call-start","delta":{}}',
      '{"type":"tool-call-delta","index":3,"delta":{"message":{"tool_calls":{}}}}',
    ])
      assert.equal(cohere.decoder().push({ data }), 'malformed', data)
    for (const data of ['', ' ', '{}', '{"type":"content-end"}', '{"type":"citation-end"}', '{"type":"next-year"}'])
      assert.deepEqual(cohere.decoder().push({ data }), [], data)
    assert.deepEqual(cohere.decoder().push({ data: undefined }), [])
    assert.equal(cohere.decoder().push({ data: ' [DONE]' }), 'done')
  })

  test('may be an error without a frame around it', () => {
    assert.throws(() => cohere.decoder().push({ data: undefined, unframed: '{"id":"a","message":"too many tokens: 3"}' }), {
      kind: 'context-too-long',
    })
  })
})
