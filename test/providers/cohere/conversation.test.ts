import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cohere } from '../../../src/providers/cohere/cohere.ts'
import { sent } from '../calls.ts'

const MODEL = 'command-a-03-2025'
const THINKER = 'command-a-reasoning-08-2025'

describe('a conversation with Cohere', () => {
  const written = (messages: object[], model = MODEL) => sent(cohere, model, { messages }).json.messages
  const call = (id: string, name: string, json: unknown = '{}') => ({ id, type: 'function', function: { name, arguments: json } })

  test('keeps roles, places and texts', () => {
    const messages = [
      { role: 'developer', content: 'd', name: 'x' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: '' },
        ],
        name: 'n',
      },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'b' },
          { type: 'refusal', refusal: 'c' },
        ],
      },
      { role: 'system', content: 's' },
      { role: 'assistant', content: null, refusal: 'No.' },
      { role: 'user', content: null },
    ]
    assert.deepEqual(written(messages), [
      { role: 'system', content: 'd' },
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
      { role: 'assistant', content: 'b\n\nc' },
      { role: 'system', content: 's' },
      { role: 'assistant', content: 'No.' },
      { role: 'user', content: '' },
    ])
  })

  test('shows images as data and by address', () => {
    const image = (url: unknown, more: object = {}) => ({ type: 'image_url', image_url: url, ...more })
    const content = [
      image({ url: 'https://a.example/x.png', detail: 'low' }),
      image('data:image/jpg;base64,AAAA'),
      { type: 'file', file: { filename: 'x.png', file_data: 'BBBB' } },
    ]
    assert.deepEqual(written([{ role: 'user', content }]), [
      {
        role: 'user',
        content: [
          image({ url: 'https://a.example/x.png', detail: 'low' }),
          image({ url: 'data:image/jpeg;base64,AAAA' }),
          image({ url: 'data:image/png;base64,BBBB' }),
        ],
      },
    ])
  })

  const LOOP = [
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'Both.',
      tool_calls: [call('call_0', 'get-tide', '{"town":"Wick"}'), call('call_1', 'now', '')],
    },
    { role: 'tool', tool_call_id: 'call_0', content: 'High' },
    { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'Noon' }] },
  ]
  const CALLS = [call('call_0', 'get_x002d_tide', '{"town":"Wick"}'), call('call_1', 'now')]
  const RESULTS = [
    { role: 'tool', tool_call_id: 'call_0', content: 'High' },
    { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'Noon' }] },
  ]

  test('has thoughts before calls as a plan', () => {
    assert.deepEqual(written(LOOP), [{ role: 'assistant', tool_plan: 'Both.', tool_calls: CALLS }, ...RESULTS])
  })

  test('has thoughts before calls as thinking, for a model that thinks', () => {
    const content = [{ type: 'thinking', thinking: 'Both.' }]
    assert.deepEqual(written(LOOP, THINKER), [{ role: 'assistant', content, tool_calls: CALLS }, ...RESULTS])
  })

  test('has one id for one call, though a client uses it again', () => {
    const messages = [
      ...LOOP,
      { role: 'assistant', tool_calls: [call('call_0', 'now')] },
      { role: 'tool', tool_call_id: 'call_0', content: '1' },
    ]
    const [, , , again, result] = written(messages) as { tool_calls: { id: string }[]; tool_call_id: string }[]
    assert.equal(again?.tool_calls[0]?.id, 'call_0_2')
    assert.equal(result?.tool_call_id, 'call_0_2')
  })

  test('leaves out an assistant who said nothing, and thoughts of turns that are over', () => {
    const messages = [
      { role: 'assistant', content: '' },
      { role: 'assistant', content: 'a', reasoning_content: 'r' },
    ]
    assert.deepEqual(written(messages), [{ role: 'assistant', content: 'a' }])
  })
})
