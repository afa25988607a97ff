import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cohere } from '../../../src/providers/cohere/cohere.ts'
import { refusal } from '../calls.ts'

const MODEL = 'command-a-03-2025'
const OLD = 'command-r-plus'
const SCHEMA = { type: 'object', properties: { town: { type: 'string' } }, required: ['town'] }
const fn = (name: string, more: object = {}) => ({ type: 'function', function: { name, parameters: SCHEMA, ...more } })

describe('Cohere is not asked for', () => {
  const tools = [fn('a')]
  const part = (part: object, role = 'user') => ({ messages: [{ role, content: [part] }] })
  const image = { type: 'image_url', image_url: { url: 'https://a.example/x.png' } }
  const ROWS: readonly (readonly [object, RegExp, string?])[] = [
    [{ n: 2 }, /more than one choice/],
    [{ modalities: ['text', 'audio'] }, /audio/],
    [{ logprobs: true, top_logprobs: 3 }, /top_logprobs/],
    [{ web_search_options: {} }, /web_search/],
    [{ functions: [{}] }, /functions/],
    [{ stop: ['1', '2', '3', '4', '5', '6'] }, /more than 5 stop sequences/],
    [{ response_format: { type: 'grammar' } }, /format grammar/],
    [{ response_format: { type: 'json_object' }, tools }, /tools and an answer as JSON together/],
    [{ response_format: { type: 'json_object' }, documents: ['d'] }, /documents/],
    [{ tools: [{ type: 'custom', custom: { name: 'x' } }] }, /tools of type custom/],
    [{ tools, tool_choice: 'required' }, /has to be called/, OLD],
    [part({ type: 'input_audio', input_audio: {} }), /input_audio/],
    [part({ type: 'file', file: { file_id: 'file-1' } }), /a file that is no image/],
    [part({ type: 'image_url', image_url: { url: 'ftp://x' } }), /neither data nor/],
    [part(image, 'tool'), /results of tools/],
    [part(image, 'system'), /anybody but the user/],
    [{ messages: [{ role: 'function', name: 'f', content: '1' }] }, /functions/],
    [{ messages: [{ role: 'assistant', audio: { id: 'a' } }] }, /audio/],
    [{ messages: [{ role: 'assistant', tool_calls: [{ id: 'x', type: 'custom', custom: {} }] }] }, /custom/],
  ]
  for (const [body, reason, model = MODEL] of ROWS) {
    test(JSON.stringify(body), () => assert.match(refusal(cohere, model, body) ?? 'it is', reason))
  }

  test('but takes what it can', () => {
    const bodies = [
      {},
      {
        n: 1,
        tools,
        tool_choice: 'required',
        response_format: { type: 'text' },
        logprobs: true,
        stop: ['1', '2', '3', '4', '5'],
      },
      { tools, tool_choice: 'none', response_format: { type: 'json_object' } },
      part(image),
    ]
    for (const body of bodies) assert.equal(refusal(cohere, MODEL, body), undefined, JSON.stringify(body))
    assert.equal(refusal(cohere, OLD, { tools, tool_choice: 'auto' }), undefined)
  })
})
