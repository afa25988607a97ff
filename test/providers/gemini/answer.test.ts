import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { eventsOf } from '../../../src/core/provider.ts'
import { gemini } from '../../../src/providers/gemini/gemini.ts'

const candidate = (parts: readonly object[], more: object = {}) => ({
  content: { role: 'model', parts },
  finishReason: 'STOP',
  ...more,
})
const whole = (...candidates: readonly object[]) =>
  gemini.decode({ candidates, modelVersion: 'gemini-2.5-flash', responseId: 'r-1', usageMetadata: { promptTokenCount: 1 } })
const extras = (events: readonly ChatEvent[]) => events.flatMap(event => (event.type === 'extra-delta' ? [event.fields] : []))

function stream(...chunks: readonly unknown[]): readonly ChatEvent[] {
  const decoder = gemini.decoder()
  const events = chunks.flatMap(chunk => {
    const decoded = decoder.push({ data: JSON.stringify(chunk) })
    assert.ok(typeof decoded !== 'string', String(decoded))
    return eventsOf(decoded)
  })
  return [...events, ...decoder.end()]
}

describe("Gemini's answers", () => {
  it('are their start, what they say, their finish, and their counts', () => {
    assert.deepEqual(whole(candidate([{ text: 'hi' }])), [
      { type: 'start', id: 'r-1', model: 'gemini-2.5-flash' },
      { type: 'text-delta', choice: 0, text: 'hi' },
      { type: 'finish', choice: 0, reason: 'stop', raw: 'STOP' },
      { type: 'usage', usage: { input: 1 } },
    ])
  })

  it('carry the signatures of calls in the calls, and of texts beside them; of thoughts not at all', () => {
    const google = (thought_signature: string) => ({ extra_content: { google: { thought_signature } } })
    const events = whole(
      candidate([
        { text: 'Hm.', thought: true, thoughtSignature: 'x' },
        { text: 'So', thoughtSignature: 't' },
        { functionCall: { name: 'f', id: 'own', args: { a: 1 } }, thoughtSignature: 's' },
        { functionCall: { name: 'g' } },
      ]),
    )
    assert.deepEqual(extras(events), [google('t')])
    const starts = events.filter(event => event.type === 'tool-start')
    assert.deepEqual(starts[0], { type: 'tool-start', choice: 0, index: 0, id: 'own', name: 'f', extra: google('s') })
    assert.equal('extra' in starts[1]!, false)
    assert.deepEqual(events[1], { type: 'reasoning-delta', choice: 0, text: 'Hm.' })
  })

  it('have several choices, each with its own calls and its own end', () => {
    const events = whole(
      candidate([{ functionCall: { name: 'f' } }]),
      candidate([{ text: 'b' }], { index: 1, finishReason: 'MAX_TOKENS' }),
    )
    assert.deepEqual(
      events.flatMap(event => (event.type === 'finish' ? [[event.choice, event.reason, event.raw]] : [])),
      [
        [0, 'tool_calls', 'STOP'],
        [1, 'length', 'MAX_TOKENS'],
      ],
    )
  })

  it('finish for reasons of policy, of length, and of their own', () => {
    const reason = (finishReason: string) => {
      const finish = whole(candidate([{ text: 'a' }], { finishReason })).find(event => event.type === 'finish')
      return finish?.type === 'finish' ? [finish.reason, finish.raw] : undefined
    }
    for (const raw of [
      'SAFETY',
      'RECITATION',
      'BLOCKLIST',
      'PROHIBITED_CONTENT',
      'SPII',
      'LANGUAGE',
      'IMAGE_SAFETY',
      'MODEL_ARMOR',
    ]) {
      assert.deepEqual(reason(raw), ['content_filter', raw])
    }
    assert.deepEqual(reason('MAX_TOKENS'), ['length', 'MAX_TOKENS'])
    for (const raw of ['OTHER', 'MALFORMED_FUNCTION_CALL', 'A_NEW_ONE']) assert.deepEqual(reason(raw), ['stop', raw])
  })

  it('tell their sources as annotations, in characters and not in bytes', () => {
    const grounding = {
      groundingChunks: [{ web: { uri: 'https://a.example', title: 'A' } }, { web: { uri: 'https://b.example' } }, {}],
      groundingSupports: [{ segment: { startIndex: 3, endIndex: 8 }, groundingChunkIndices: [0, 1, 2, 9, 'x'] }, null],
    }
    // Æ is two bytes, the tower four, which are two characters.
    const [fields] = extras(whole(candidate([{ text: 'Æ 🗼 x' }], { groundingMetadata: grounding })))
    const place = { start_index: 2, end_index: 5 }
    assert.deepEqual(fields, {
      annotations: [
        { type: 'url_citation', url_citation: { url: 'https://a.example', title: 'A', ...place } },
        { type: 'url_citation', url_citation: { url: 'https://b.example', title: 'https://b.example', ...place } },
      ],
    })
  })

  it('tell sources without a place, where there is none or a wrong one', () => {
    const chunks = { groundingChunks: [{ web: { uri: 'https://a.example', title: 'A' } }] }
    const source = { type: 'url_citation', url_citation: { url: 'https://a.example', title: 'A' } }
    assert.deepEqual(extras(whole(candidate([{ text: 'x' }], { groundingMetadata: chunks }))), [{ annotations: [source] }])
    const beyond = { citationSources: [{ uri: 'https://a.example', title: 'A', startIndex: 0, endIndex: 99 }] }
    assert.deepEqual(extras(whole(candidate([{ text: 'x' }], { citationMetadata: beyond }))), [{ annotations: [source] }])
  })

  it('tell their sources in a stream once, before its end', () => {
    const grounded = { groundingMetadata: { groundingChunks: [{ web: { uri: 'https://a.example', title: 'A' } }] } }
    const events = stream(
      { candidates: [candidate([{ text: 'a' }], grounded)] },
      { candidates: [candidate([{ text: 'b' }], grounded)] },
      { candidates: [] },
    )
    assert.deepEqual(
      events.map(({ type }) => type),
      ['start', 'text-delta', 'text-delta', 'extra-delta', 'finish'],
    )
  })

  it('have log probabilities', () => {
    const logprobsResult = {
      chosenCandidates: [{ token: 'é', logProbability: -0.5 }, { token: 'a' }],
      topCandidates: [
        {
          candidates: [
            { token: 'é', logProbability: -0.5 },
            { token: 'e', logProbability: -2 },
          ],
        },
      ],
    }
    const token = (token: string, logprob: number) => ({ token, logprob, bytes: [...Buffer.from(token)] })
    assert.deepEqual(extras(whole(candidate([{ text: 'éa' }], { logprobsResult }))), [
      {
        logprobs: {
          content: [
            { ...token('é', -0.5), top_logprobs: [token('é', -0.5), token('e', -2)] },
            { ...token('a', 0), top_logprobs: [] },
          ],
          refusal: null,
        },
      },
    ])
  })

  it('may be pictures', () => {
    const inlineData = { mimeType: 'image/png', data: 'QUJD' }
    assert.deepEqual(extras(whole(candidate([{ inlineData }]))), [
      { images: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,QUJD' } }] },
    ])
  })

  it('of the wrong shape are faults, never exceptions', () => {
    for (const body of [
      null,
      undefined,
      'text',
      7,
      [],
      {},
      [null],
      { candidates: null },
      { candidates: [null] },
      { candidates: {} },
    ]) {
      assert.throws(() => gemini.decode(body), { kind: 'upstream-garbled' }, JSON.stringify(body))
    }
    for (const data of ['', 'x', '3', 'null', '[1]']) assert.equal(gemini.decoder().push({ data }), 'malformed', data)
    assert.deepEqual(gemini.decoder().push({ data: undefined }), [])
    assert.throws(() => gemini.decoder().end(), { kind: 'upstream-truncated' })
  })

  it('are truncated when one of their choices has not ended', () => {
    const first = { candidates: [candidate([{ text: 'a' }]), { index: 1, content: { parts: [{ text: 'b' }] } }] }
    assert.throws(() => stream(first), { kind: 'upstream-truncated' })
  })
})
