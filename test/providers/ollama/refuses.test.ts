import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ollama } from '../../../src/providers/ollama/ollama.ts'
import { refusal } from '../calls.ts'

const MODEL = 'llama3.2'
const SCHEMA = { type: 'object', properties: { of: { type: 'string' } }, required: ['of'] }
const fn = (name: string, more: object = {}) => ({ type: 'function', function: { name, parameters: SCHEMA, ...more } })

describe('Ollama is not asked for', () => {
  const part = (part: object) => ({ messages: [{ role: 'user', content: [part] }] })
  const ROWS: readonly (readonly [object, RegExp])[] = [
    [{ n: 2 }, /more than one choice/],
    [{ modalities: ['audio'] }, /audio/],
    [{ web_search_options: {} }, /web_search/],
    [{ functions: [{}] }, /functions/],
    [{ response_format: { type: 'grammar' } }, /format grammar/],
    [{ tools: [{ type: 'custom', custom: { name: 'x' } }] }, /tools of type custom/],
    [part({ type: 'image_url', image_url: { url: 'https://a.example/x.png' } }), /not in the call itself/],
    [part({ type: 'file', file: { filename: 'a.pdf', file_data: 'AAAA' } }), /a file that is no image/],
    [part({ type: 'input_audio', input_audio: {} }), /input_audio/],
    [{ messages: [{ role: 'function', name: 'f', content: '1' }] }, /functions/],
    [{ messages: [{ role: 'assistant', audio: { id: 'a' } }] }, /audio/],
  ]
  for (const [body, reason] of ROWS)
    test(JSON.stringify(body), () => assert.match(refusal(ollama, MODEL, body) ?? 'it is', reason))

  test('but takes what it can', () => {
    for (const body of [
      {},
      { n: 1, tools: [fn('a')], tool_choice: 'required', logprobs: true, top_logprobs: 2 },
      part({ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }),
    ])
      assert.equal(refusal(ollama, MODEL, body), undefined, JSON.stringify(body))
  })
})
