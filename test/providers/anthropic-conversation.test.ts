import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ASK,
  ASKED,
  assistant,
  calls,
  check,
  EPHEMERAL,
  type Fields,
  HAIKU,
  PNG,
  sentBy,
  TIDE,
  TIDE_SENT,
  text,
  user,
} from './anthropic-calls.ts'

describe('messages for Anthropic', () => {
  check([
    {
      title: 'system and developer messages are hoisted from wherever they stand',
      call: {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
          { role: 'developer', content: [text('Be kind.'), text(' ')] },
        ],
      },
      sent: { system: 'Be brief.\n\nBe kind.', messages: [user(text('Hi'))] },
    },
    {
      title: 'instructions stay apart as blocks when one of them is a cache breakpoint',
      call: { messages: [{ role: 'system', content: 'Long.', ...EPHEMERAL }, { role: 'system', content: 'Short.' }, ...ASK] },
      sent: { system: [text('Long.', EPHEMERAL), text('Short.')] },
    },
    {
      title: 'texts of nothing but white space are dropped',
      call: {
        messages: [
          { role: 'user', content: [text(''), text('\n\t'), text(' Hi ')] },
          { role: 'assistant', content: ' ' },
          { role: 'user', content: 'You?' },
        ],
      },
      sent: { messages: [user(text(' Hi '), text('You?'))] },
    },
    {
      title: 'consecutive messages of one side become one turn',
      call: {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'user', content: 'b', name: 'Ann' },
          { role: 'assistant', content: 'c' },
          { role: 'assistant', content: 'd' },
          { role: 'user', content: 'e' },
        ],
      },
      sent: { messages: [user(text('a'), text('b')), assistant(text('c'), text('d')), user(text('e'))] },
    },
    {
      title: 'a conversation that the assistant begins gets a first word of the user',
      call: { messages: [{ role: 'assistant', content: 'Welcome.' }, ...ASK] },
      sent: { messages: [user(text('Begin.')), assistant(text('Welcome.')), ...ASKED] },
    },
    {
      title: 'instructions alone are a conversation as well',
      call: { messages: [{ role: 'system', content: 'Write a haiku.' }] },
      sent: { system: 'Write a haiku.', messages: [user(text('Begin.'))] },
    },
    {
      title: 'an assistant message at the end is gone on from where the model can, without white space after it',
      call: { messages: [...ASK, { role: 'assistant', content: 'It is \n' }] },
      sent: { messages: [...ASKED, assistant(text('It is'))] },
    },
    {
      title: 'an assistant message at the end is answered where the model cannot go on from it',
      call: { messages: [...ASK, { role: 'assistant', content: 'It is' }] },
      model: 'claude-sonnet-4-6',
      sent: { max_tokens: 128_000, messages: [...ASKED, assistant(text('It is')), user(text('Continue.'))] },
    },
    {
      title: 'images as data and at an address',
      call: {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}`, detail: 'high' } },
              { type: 'image_url', image_url: { url: `data:image/jpg;base64,${PNG}` } },
              { type: 'image_url', image_url: 'https://pictures.example/a.webp', ...EPHEMERAL },
            ],
          },
        ],
      },
      sent: {
        messages: [
          user(
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } },
            { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: PNG } },
            { type: 'image', source: { type: 'url', url: 'https://pictures.example/a.webp' }, ...EPHEMERAL },
          ),
        ],
      },
    },
    {
      title: 'files: pdf, text in whatever encoding, an address, an image',
      call: {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
              { type: 'file', file: { filename: 'b.pdf', file_data: 'JVBERi0=' } },
              { type: 'file', file: { file_data: 'data:text/csv;base64,YSxiCjEs4oKs' } },
              { type: 'file', file: { file_data: 'data:text/plain;charset=utf-8,a%20b%2C%E2%82%AC' } },
              { type: 'file', file: { file_data: 'https://papers.example/c.pdf' } },
              { type: 'file', file: { filename: 'd.png', file_data: `data:image/png;base64,${PNG}` } },
            ],
          },
        ],
      },
      sent: {
        messages: [
          user(
            { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }, title: 'a.pdf' },
            { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' }, title: 'b.pdf' },
            { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a,b\n1,€' } },
            { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'a b,€' } },
            { type: 'document', source: { type: 'url', url: 'https://papers.example/c.pdf' } },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } },
          ),
        ],
      },
    },
    {
      title: 'a cache breakpoint on a message is one after its last block',
      call: { messages: [{ role: 'user', content: [text('a'), text('b'), text(' ')], ...EPHEMERAL }] },
      sent: { messages: [user(text('a'), text('b', EPHEMERAL))] },
    },
    {
      title: 'an earlier refusal is what the assistant said',
      call: { messages: [...ASK, { role: 'assistant', content: null, refusal: 'No.' }, { role: 'user', content: 'Why?' }] },
      sent: { messages: [...ASKED, assistant(text('No.')), user(text('Why?'))] },
    },
  ])

  it("a file of Anthropic's own is referred to, and its API asked for beside what the operator asks for", () => {
    const messages = [{ role: 'user', content: [{ type: 'file', file: { file_id: 'file_011Lighthouse' } }] }]
    const { body, headers } = sentBy({ messages })
    assert.deepEqual(body.messages, [user({ type: 'document', source: { type: 'file', file_id: 'file_011Lighthouse' } })])
    assert.deepEqual(headers, { 'anthropic-beta': 'files-api-2025-04-14' })
    const beside = sentBy({ messages }, HAIKU, { headers: { 'anthropic-beta': 'context-1m-2025-08-07' } })
    assert.deepEqual(beside.headers, { 'anthropic-beta': 'context-1m-2025-08-07,files-api-2025-04-14' })
    assert.deepEqual(sentBy({}).headers, {})
  })
})

describe('tool calls and their results for Anthropic', () => {
  const used = (id: string, input: Fields = { city: 'Aber' }, name = 'tide') => ({ type: 'tool_use', id, name, input })
  const result = (id: string, more: Fields = {}) => ({ type: 'tool_result', tool_use_id: id, ...more })
  const tools = { tools: [TIDE] }
  const toolsSent = { tools: [TIDE_SENT] }
  check([
    {
      title: 'results of several calls are one turn, before what the user says next',
      call: {
        ...tools,
        messages: [
          ...ASK,
          { role: 'assistant', content: 'Looking.', tool_calls: [calls('a'), calls('b')] },
          { role: 'tool', tool_call_id: 'a', content: 'high' },
          { role: 'user', content: 'And now?' },
          { role: 'tool', tool_call_id: 'b', content: [text('low')] },
        ],
      },
      sent: {
        ...toolsSent,
        messages: [
          ...ASKED,
          assistant(text('Looking.'), used('a'), used('b')),
          user(result('a', { content: 'high' }), result('b', { content: [text('low')] }), text('And now?')),
        ],
      },
    },
    {
      title: 'results may hold images, nothing, or the word that the tool failed',
      call: {
        ...tools,
        messages: [
          ...ASK,
          { role: 'assistant', tool_calls: [calls('a'), calls('b'), calls('c')] },
          {
            role: 'tool',
            tool_call_id: 'a',
            content: [text('See:'), { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }],
          },
          { role: 'tool', tool_call_id: 'b', content: '' },
          { role: 'tool', tool_call_id: 'c', content: 'No such city', is_error: true, ...EPHEMERAL },
        ],
      },
      sent: {
        ...toolsSent,
        messages: [
          ...ASKED,
          assistant(used('a'), used('b'), used('c')),
          user(
            result('a', {
              content: [text('See:'), { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } }],
            }),
            result('b'),
            result('c', { content: 'No such city', is_error: true, ...EPHEMERAL }),
          ),
        ],
      },
    },
    {
      title: 'arguments that are no JSON object are kept where the model sees them',
      call: {
        ...tools,
        messages: [
          ...ASK,
          {
            role: 'assistant',
            tool_calls: [calls('a', 'tide', ''), calls('b', 'tide', '{"city":"Ab'), calls('c', 'tide', '[1]')],
          },
          ...['a', 'b', 'c'].map(id => ({ role: 'tool', tool_call_id: id, content: 'ok' })),
        ],
      },
      sent: {
        ...toolsSent,
        messages: [
          ...ASKED,
          assistant(used('a', {}), used('b', { raw: '{"city":"Ab' }), used('c', { raw: '[1]' })),
          user(...['a', 'b', 'c'].map(id => result(id, { content: 'ok' }))),
        ],
      },
    },
    {
      title: 'an id that comes again in a later turn becomes another one, in the call and in its result',
      call: {
        ...tools,
        messages: [
          ...ASK,
          { role: 'assistant', tool_calls: [calls('call_0')] },
          { role: 'tool', tool_call_id: 'call_0', content: '1' },
          { role: 'assistant', tool_calls: [calls('call_0')] },
          { role: 'tool', tool_call_id: 'call_0', content: '2' },
        ],
      },
      sent: {
        ...toolsSent,
        messages: [
          ...ASKED,
          assistant(used('call_0')),
          user(result('call_0', { content: '1' })),
          assistant(used('call_0_2')),
          user(result('call_0_2', { content: '2' })),
        ],
      },
    },
    {
      title: 'tools of the past are declared, and not to be called, when the call has none',
      call: {
        messages: [
          ...ASK,
          { role: 'assistant', tool_calls: [calls('a'), calls('b'), calls('c', 'boats', '{}')] },
          ...['a', 'b', 'c'].map(id => ({ role: 'tool', tool_call_id: id, content: 'ok' })),
        ],
      },
      sent: {
        tools: [
          { name: 'tide', input_schema: { type: 'object' } },
          { name: 'boats', input_schema: { type: 'object' } },
        ],
        tool_choice: { type: 'none' },
        messages: [
          ...ASKED,
          assistant(used('a'), used('b'), used('c', {}, 'boats')),
          user(...['a', 'b', 'c'].map(id => result(id, { content: 'ok' }))),
        ],
      },
    },
  ])

  it('ids that Anthropic refuses are renamed, the same way in calls and results and in every request', () => {
    const messages = (id: string) => [
      ...ASK,
      { role: 'assistant', tool_calls: [calls(id)] },
      { role: 'tool', tool_call_id: id, content: 'ok' },
    ]
    const ids = (id: string) => {
      const turns = sentBy({ messages: messages(id) }).body.messages as { content: { id?: string; tool_use_id?: string }[] }[]
      return [turns[1]!.content[0]!.id, turns[2]!.content[0]!.tool_use_id]
    }
    for (const id of ['functions.tide:0', 'tide 0', 'é', '']) {
      const [call, answer] = ids(id)
      assert.match(call!, /^[a-zA-Z0-9_-]+$/)
      assert.equal(answer, call)
      assert.deepEqual(ids(id), [call, answer])
    }
    assert.notEqual(ids('a.b')[0], ids('a:b')[0])
    assert.deepEqual(ids('call_A-1'), ['call_A-1', 'call_A-1'])
  })
})
