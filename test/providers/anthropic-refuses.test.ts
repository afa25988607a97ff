import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { anthropic } from '../../src/providers/anthropic/anthropic.ts'
import { ASK, callOf, type Fields, HAIKU, TIDE, targetOf, text } from './anthropic-calls.ts'

describe('calls that Anthropic cannot honour', () => {
  const refused = (body: Fields) => anthropic.refuses(callOf({ model: 'x', messages: ASK, ...body }), targetOf(HAIKU))
  const part = (part: Fields) => ({ messages: [{ role: 'user', content: [part] }] })
  const rows: readonly (readonly [string, Fields, RegExp])[] = [
    ['several choices', { n: 2 }, /choice/],
    ['an answer as audio', { modalities: ['text', 'audio'] }, /audio/],
    ['a web search', { web_search_options: {} }, /web_search_options/],
    ['functions of the old form', { functions: [{ name: 'a' }] }, /functions/],
    ['results of functions of the old form', { messages: [{ role: 'function', name: 'a', content: 'x' }] }, /functions/],
    ['tools with a grammar', { tools: [{ type: 'custom', custom: { name: 'a' } }] }, /custom/],
    ['the choice of a tool with a grammar', { tool_choice: { type: 'custom', custom: { name: 'a' } } }, /custom/],
    [
      'calls of a tool with a grammar',
      { messages: [{ role: 'assistant', tool_calls: [{ id: 'a', type: 'custom' }] }] },
      /custom/,
    ],
    ['an unknown form of answer', { response_format: { type: 'grammar' } }, /grammar/],
    ['audio', part({ type: 'input_audio', input_audio: { data: 'x', format: 'wav' } }), /input_audio/],
    ['earlier audio', { messages: [{ role: 'assistant', audio: { id: 'x' } }] }, /audio/],
    [
      'images that are no pictures to it',
      part({ type: 'image_url', image_url: { url: 'data:image/tiff;base64,AA==' } }),
      /image/,
    ],
    ['images in a bucket', part({ type: 'image_url', image_url: { url: 'gs://bucket/a.png' } }), /image/],
    ['files that it cannot read', part({ type: 'file', file: { file_data: 'data:application/zip;base64,AA==' } }), /file/],
    ["files that are somebody else's", part({ type: 'file', file: { file_id: 'file-abc' } }), /file/],
    [
      'images as instructions',
      { messages: [{ role: 'system', content: [{ type: 'image_url', image_url: { url: 'https://a.example/a.png' } }] }] },
      /instructions/,
    ],
  ]
  for (const [title, body, reason] of rows)
    it(`${title} are named in the reason`, () => assert.match(refused(body) ?? 'nothing', reason))

  it('do not include those that it can', () => {
    const image = { type: 'image_url', image_url: { url: 'https://pictures.example/a.png' } }
    const said = [text('a'), text(''), image]
    const body = {
      n: 1,
      modalities: ['text'],
      tools: [TIDE, { type: 'web_search_20250305', name: 'web_search' }],
      tool_choice: 'auto',
      seed: 1,
    }
    assert.equal(
      refused({ ...body, messages: [{ role: 'user', content: said }], response_format: { type: 'json_object' } }),
      undefined,
    )
  })
})
