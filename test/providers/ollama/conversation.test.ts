import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ollama } from '../../../src/providers/ollama/ollama.ts'
import { sent } from '../calls.ts'

const MODEL = 'llama3.2'

describe('a conversation with Ollama', () => {
  const written = (messages: object[]) => sent(ollama, MODEL, { messages }).json.messages
  const call = (id: string, name: string, json: unknown) => ({ id, type: 'function', function: { name, arguments: json } })

  test('has one text for each message', () => {
    const messages = [
      { role: 'developer', content: 'd', name: 'x' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', content: null, refusal: 'No.' },
      { role: 'user', content: null },
    ]
    assert.deepEqual(written(messages), [
      { role: 'system', content: 'd' },
      { role: 'user', content: 'a\n\nb' },
      { role: 'assistant', content: 'No.' },
      { role: 'user', content: '' },
    ])
  })

  test('has images as bare base64 beside the text', () => {
    const content = [
      { type: 'text', text: 'Which?' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
      { type: 'image_url', image_url: 'data:image/webp;base64,BBBB' },
      { type: 'file', file: { filename: 'x.jpg', file_data: 'CCCC' } },
    ]
    assert.deepEqual(written([{ role: 'user', content }]), [
      { role: 'user', content: 'Which?', images: ['AAAA', 'BBBB', 'CCCC'] },
    ])
  })

  test('has arguments as objects, thoughts, and results by the name of their tool', () => {
    const messages = [
      {
        role: 'assistant',
        content: 'Both.',
        reasoning_content: 'r',
        tool_calls: [call('call_1', 'count', '{"of":"puffins"}'), call('call_2', 'now', '')],
      },
      { role: 'tool', tool_call_id: 'call_2', content: 'Noon' },
      {
        role: 'tool',
        tool_call_id: 'call_1',
        content: [
          { type: 'text', text: '40' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
        ],
      },
      { role: 'assistant', tool_calls: [call('call_1', 'later', '{broken')] },
      { role: 'tool', tool_call_id: 'call_1', content: '41' },
      { role: 'tool', tool_call_id: 'call_9', name: 'lost', content: '?' },
    ]
    assert.deepEqual(written(messages), [
      {
        role: 'assistant',
        content: 'Both.',
        thinking: 'r',
        tool_calls: [
          { id: 'call_1', function: { index: 0, name: 'count', arguments: { of: 'puffins' } } },
          { id: 'call_2', function: { index: 1, name: 'now', arguments: {} } },
        ],
      },
      { role: 'tool', content: 'Noon', tool_name: 'now', tool_call_id: 'call_2' },
      { role: 'tool', content: '40', images: ['AAAA'], tool_name: 'count', tool_call_id: 'call_1' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'call_1_2', function: { index: 0, name: 'later', arguments: { raw: '{broken' } } }],
      },
      { role: 'tool', content: '41', tool_name: 'later', tool_call_id: 'call_1_2' },
      { role: 'tool', content: '?', tool_name: 'lost', tool_call_id: 'call_9' },
    ])
  })
})
