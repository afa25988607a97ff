import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gemini } from '../../../src/providers/gemini/gemini.ts'
import { vertex } from '../../../src/providers/vertex/vertex.ts'
import { refusal } from '../calls.ts'

const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }]
const json = { response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } } }
const part = (part: object) => ({ messages: [{ role: 'user', content: [part] }] })
const image = (url: string) => part({ type: 'image_url', image_url: { url } })

const REFUSED: readonly (readonly [body: object, reason: RegExp, model?: string])[] = [
  [{ n: 9 }, /more than 8 choices/],
  [{ n: 2, stream: true }, /in a stream/],
  [{ stop: ['a', 'b', 'c', 'd', 'e', 'f'] }, /stop sequences/],
  [{ modalities: ['text', 'audio'] }, /as audio/],
  [{ functions: [{ name: 'f' }] }, /before tools/],
  [{ response_format: { type: 'grammar' } }, /format grammar/],
  [{ tools: [{ type: 'custom', custom: { name: 'f' } }] }, /type custom/],
  [{ tools: [{ type: 'function', function: { name: '1f' } }] }, /name/],
  [{ tools, ...json }, /together with tools/],
  [{ tools, web_search_options: {} }, /search together/],
  [{ tools }, /^tools$/, 'gemma-3-27b-it'],
  [json, /as JSON/, 'gemma-3-27b-it'],
  [json, /as JSON/, 'gemini-2.5-flash-image'],
  [{ messages: [{ role: 'tool', tool_call_id: 'a', content: 'x' }] }, /^tools$/, 'gemma-3-27b-it'],
  [
    { messages: [{ role: 'system', content: [{ type: 'image_url', image_url: { url: 'https://a.example/b' } }] }] },
    /instructions/,
  ],
  [image('data:image/gif;base64,QUJD'), /an image/],
  [image('https://a.example/b.png'), /an image/, 'gemini-2.0-flash'],
  [image('gs://bucket/b.png'), /an image/, 'gemini-2.0-flash'],
  [part({ type: 'file', file: { file_id: 'file-123' } }), /a file/],
  [part({ type: 'file', file: { file_data: 'data:application/zip;base64,QUJD' } }), /a file/],
  [part({ type: 'input_audio', input_audio: { format: 'pcm16', data: 'QUJD' } }), /input_audio/],
  [part({ type: 'video_url' }), /video_url/],
]

test('what would be lost on the way to Gemini is not sent there', () => {
  for (const [body, reason, model = 'gemini-2.5-flash'] of REFUSED)
    assert.match(refusal(gemini, model, body) ?? 'taken', reason, JSON.stringify(body))
})

test('what one generation refuses is taken by the next', () => {
  const newer = 'gemini-3-flash-preview'
  for (const body of [{ tools, ...json }, { tools, web_search_options: {} }, { n: 2 }])
    assert.equal(refusal(gemini, newer, body), undefined)
  assert.equal(refusal(gemini, 'gemini-2.5-flash', image('https://a.example/b.png')), undefined)
  assert.equal(refusal(gemini, 'gemini-2.0-flash', image('https://youtu.be/x')), undefined)
})

test('Vertex reads cloud storage and addresses, and keeps no files', () => {
  assert.equal(refusal(vertex, 'gemini-2.0-flash', image('gs://bucket/b.png')), undefined)
  assert.equal(refusal(vertex, 'gemini-2.0-flash', image('https://a.example/b.png')), undefined)
  assert.match(refusal(vertex, 'gemini-2.5-flash', part({ type: 'file', file: { file_id: 'files/a' } })) ?? '', /a file/)
})

test('Claude at Vertex takes only what is in the call itself', () => {
  const claude = 'claude-sonnet-4-5@20250929'
  assert.match(refusal(vertex, claude, image('https://a.example/b.png')) ?? '', /not in the call/)
  assert.match(refusal(vertex, claude, part({ type: 'file', file: { file_id: 'file_1' } })) ?? '', /not in the call/)
  assert.equal(refusal(vertex, claude, image('data:image/png;base64,QUJD')), undefined)
  assert.match(refusal(vertex, claude, { n: 2 }) ?? '', /more than one choice/)
})
