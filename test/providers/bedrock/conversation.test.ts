/* OpenAI's messages and tools as Converse's. */
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
  LLAMA,
  MISTRAL,
  NOVA,
  NOW,
  NOW_SENT,
  PNG,
  POINT,
  refused,
  sentBy,
  TIDE,
  TIDE_SENT,
  TITAN,
  user,
} from './calls.ts'

const text = (text: string, more: Fields = {}) => ({ type: 'text', text, ...more })
const image = (url: string) => ({ type: 'image_url', image_url: { url } })
const file = (file: Fields) => ({ type: 'file', file })
const pdf = (filename?: string) => file({ file_data: 'data:application/pdf;base64,JVBERi0=', filename })
const document = (name: string, format = 'pdf', bytes = 'JVBERi0=') => ({ document: { format, name, source: { bytes } } })
const use = (toolUseId: string, name = 'tide', input: Fields = { city: 'Aber' }) => ({ toolUse: { toolUseId, name, input } })
const result = (toolUseId: string, ...content: readonly Fields[]) => ({ toolResult: { toolUseId, content } })
const EMPTY_TIDE = { toolSpec: { name: 'tide', inputSchema: { json: { type: 'object', properties: {} } } } }
const NO_CALLS = { system: [{ text: 'Do not call any tool in this answer.' }] }

describe('messages', () => {
  check([
    {
      title: 'instructions apart, wherever they stand',
      call: { messages: [{ role: 'system', content: 'Be brief.' }, ...ASK, { role: 'developer', content: [text('Rhyme.')] }] },
      sent: { system: [{ text: 'Be brief.' }, { text: 'Rhyme.' }] },
    },
    {
      title: 'instructions in front of the question, where there is no other place',
      call: { messages: [{ role: 'system', content: 'Be brief.' }, ...ASK] },
      model: TITAN,
      sent: { messages: [user({ text: 'Be brief.' }, { text: 'How tall is it?' })] },
    },
    {
      title: 'turns that alternate',
      call: { messages: [...ASK, { role: 'user', content: 'And old?' }, { role: 'assistant', content: 'Tall.' }, ...ASK] },
      sent: { messages: [user({ text: 'How tall is it?' }, { text: 'And old?' }), assistant({ text: 'Tall.' }), ...ASKED] },
    },
    {
      title: 'no blank texts, and no turns that hold nothing else',
      call: {
        messages: [
          ...ASK,
          { role: 'assistant', content: ' ' },
          { role: 'user', content: [text('\n', EPHEMERAL), text('And old?')] },
        ],
      },
      sent: { messages: [user({ text: 'How tall is it?' }, { text: 'And old?' })] },
    },
    {
      title: 'a beginning by the assistant has a question in front',
      call: { messages: [{ role: 'assistant', content: 'Hello.' }, ...ASK] },
      sent: { messages: [user({ text: 'Begin.' }), assistant({ text: 'Hello.' }), ...ASKED] },
    },
    {
      title: 'an end by the assistant is gone on from, where the model does that',
      call: { messages: [...ASK, { role: 'assistant', content: 'It is ' }] },
      sent: { messages: [...ASKED, assistant({ text: 'It is' })] },
    },
    {
      title: 'an end by the assistant is asked to be gone on from, where tools are declared',
      call: { messages: [...ASK, { role: 'assistant', content: 'It is' }], tools: [TIDE] },
      sent: {
        messages: [...ASKED, assistant({ text: 'It is' }), user({ text: 'Continue.' })],
        toolConfig: { tools: [TIDE_SENT] },
      },
    },
    {
      title: 'an end by the assistant is asked to be gone on from by other models',
      call: { messages: [...ASK, { role: 'assistant', content: 'It is' }] },
      model: NOVA,
      sent: { messages: [...ASKED, assistant({ text: 'It is' }), user({ text: 'Continue.' })] },
    },
    {
      title: 'refusals are what the assistant said',
      call: { messages: [...ASK, { role: 'assistant', refusal: 'No.', content: null }, ...ASK] },
      sent: { messages: [...ASKED, assistant({ text: 'No.' }), ...ASKED] },
    },
    {
      title: 'images',
      call: { messages: [{ role: 'user', content: [text('What?'), image(`data:image/jpg;base64,${PNG}`)] }] },
      sent: { messages: [user({ text: 'What?' }, { image: { format: 'jpeg', source: { bytes: PNG } } })] },
    },
    {
      title: 'documents under legal names, each its own',
      call: {
        messages: [
          {
            role: 'user',
            content: [
              text('Read.'),
              pdf('My  report_2026 (v1)[a].pdf'),
              pdf('My report 2026 (v1)[a].pdf'),
              pdf(),
              pdf('日本.pdf'),
              file({ file_data: 'data:text/plain,caf%C3%A9', filename: 'notes.txt' }),
              file({ file_data: `data:image/png;base64,${PNG}` }),
              file({ file_data: 'UEsDBA==', filename: 'plan.docx' }),
            ],
          },
        ],
      },
      sent: {
        messages: [
          user(
            { text: 'Read.' },
            document('My report 2026 (v1)[a]'),
            document('My report 2026 (v1)[a] 2'),
            document('document'),
            document('document 2'),
            document('notes', 'txt', Buffer.from('café').toString('base64')),
            { image: { format: 'png', source: { bytes: PNG } } },
            document('plan', 'docx', 'UEsDBA=='),
          ),
        ],
      },
    },
    {
      title: 'a document by itself has a text beside it',
      call: { messages: [{ role: 'user', content: [pdf('a.pdf')] }] },
      sent: { messages: [user(document('a'), { text: 'See the attached document.' })] },
    },
    {
      title: 'cache points behind parts and messages',
      call: {
        messages: [
          { role: 'system', content: [text('Be brief.', EPHEMERAL)] },
          {
            role: 'user',
            content: [text('Long.', { cache_control: { type: 'ephemeral', ttl: '1h' } }), text('Short.')],
            ...EPHEMERAL,
          },
        ],
      },
      sent: {
        system: [{ text: 'Be brief.' }, POINT],
        messages: [user({ text: 'Long.' }, { cachePoint: { type: 'default', ttl: '1h' } }, { text: 'Short.' }, POINT)],
      },
    },
  ])
})

describe('calls and results', () => {
  const history = (...results: readonly Fields[]) => [
    ...ASK,
    { role: 'assistant', content: 'Let me look.', tool_calls: [calls('t1'), calls('t2', 'tide', '')] },
    ...results,
  ]
  const tool = (id: string, content: unknown, more: Fields = {}) => ({ role: 'tool', tool_call_id: id, content, ...more })
  const USED = assistant({ text: 'Let me look.' }, use('t1'), use('t2', 'tide', {}))

  check([
    {
      title: 'results first in the turn after the calls, all of them in one',
      call: { messages: history(tool('t1', '3 m'), { role: 'user', content: 'Well?' }, tool('t2', '4 m')), tools: [TIDE] },
      sent: {
        messages: [...ASKED, USED, user(result('t1', { text: '3 m' }), result('t2', { text: '4 m' }), { text: 'Well?' })],
        toolConfig: { tools: [TIDE_SENT] },
      },
    },
    {
      title: 'results with images and documents, with nothing, and with an error',
      call: {
        messages: history(
          tool('t1', [text('See.'), image(`data:image/png;base64,${PNG}`), pdf('tide.pdf')], EPHEMERAL),
          tool('t2', '', { is_error: true }),
        ),
        tools: [TIDE],
      },
      sent: {
        messages: [
          ...ASKED,
          USED,
          user(result('t1', { text: 'See.' }, { image: { format: 'png', source: { bytes: PNG } } }, document('tide')), POINT, {
            toolResult: { toolUseId: 't2', content: [{ text: '(empty)' }], status: 'error' },
          }),
        ],
        toolConfig: { tools: [TIDE_SENT] },
      },
    },
    {
      title: 'arguments that are no JSON are kept',
      call: {
        messages: [...ASK, { role: 'assistant', tool_calls: [calls('t1', 'tide', '{"city')] }, tool('t1', 'x')],
        tools: [TIDE],
      },
      sent: {
        messages: [...ASKED, assistant(use('t1', 'tide', { raw: '{"city' })), user(result('t1', { text: 'x' }))],
        toolConfig: { tools: [TIDE_SENT] },
      },
    },
    {
      title: 'results as JSON, and ids of nine characters, for a Mistral',
      call: {
        messages: [
          ...ASK,
          { role: 'assistant', tool_calls: [calls('abcDEF123'), calls('abcDEF124')] },
          tool('abcDEF123', '{"m":3}'),
          tool('abcDEF124', '4 m'),
        ],
        tools: [TIDE],
      },
      model: MISTRAL,
      sent: {
        messages: [
          ...ASKED,
          assistant(use('abcDEF123'), use('abcDEF124')),
          user(result('abcDEF123', { json: { m: 3 } }), result('abcDEF124', { json: { result: '4 m' } })),
        ],
        toolConfig: { tools: [TIDE_SENT] },
      },
    },
    {
      title: 'tools of the past are declared when none are given any more, and ruled out in words',
      call: { messages: history(tool('t1', '3 m'), tool('t2', '4 m')) },
      sent: {
        ...NO_CALLS,
        messages: [...ASKED, USED, user(result('t1', { text: '3 m' }), result('t2', { text: '4 m' }))],
        toolConfig: { tools: [EMPTY_TIDE] },
      },
    },
    {
      title: 'tools of the past stay when the choice is none',
      call: { messages: history(tool('t1', '3 m'), tool('t2', '4 m')), tools: [TIDE], tool_choice: 'none' },
      sent: {
        ...NO_CALLS,
        messages: [...ASKED, USED, user(result('t1', { text: '3 m' }), result('t2', { text: '4 m' }))],
        toolConfig: { tools: [TIDE_SENT] },
      },
    },
  ])

  it('ids that the provider does not take are renamed, the same in call and result, and at every sending', () => {
    for (const [model, legal] of [
      [HAIKU, /^[a-zA-Z0-9_-]{1,64}$/],
      [NOVA, /^[a-zA-Z0-9_.:-]{1,64}$/],
      [MISTRAL, /^[a-zA-Z0-9]{9}$/],
    ] as const) {
      for (const id of ['functions.tide:0', 'id with spaces', 'x'.repeat(200), '']) {
        const messages = [
          ...ASK,
          { role: 'assistant', tool_calls: [calls(id)] },
          { role: 'tool', tool_call_id: id, content: 'x' },
          { role: 'assistant', tool_calls: [calls(id)] },
          { role: 'tool', tool_call_id: id, content: 'y' },
        ]
        const { body } = sentBy({ messages, tools: [TIDE] }, model)
        const ids = JSON.stringify(body)
          .match(/"toolUseId":"[^"]*"/g)!
          .map(found => found.slice(13, -1))
        assert.equal(ids.length, 4)
        assert.equal(ids[0], ids[1])
        assert.equal(ids[2], ids[3])
        assert.notEqual(ids[0], ids[2])
        for (const each of ids) assert.match(each, legal)
        assert.deepEqual(sentBy({ messages, tools: [TIDE] }, model).body, body)
      }
    }
  })
})

describe('tools', () => {
  const strict = { type: 'function', function: { ...TIDE.function, strict: true, description: '' } }
  const STRICT_SENT = {
    toolSpec: { name: 'tide', inputSchema: { json: { ...TIDE.function.parameters, additionalProperties: false } }, strict: true },
  }
  const config = (...tools: readonly Fields[]) => ({ toolConfig: { tools } })
  const chosen = (toolChoice: Fields, ...tools: readonly Fields[]) => ({ toolConfig: { tools, toolChoice } })

  check([
    {
      title: 'a choice that is left to the model',
      call: { tools: [TIDE, NOW], tool_choice: 'auto' },
      sent: config(TIDE_SENT, NOW_SENT),
    },
    { title: 'no choice and no calls: no tools', call: { tools: [TIDE], tool_choice: 'none' }, sent: {} },
    { title: 'any', call: { tools: [TIDE], tool_choice: 'required' }, sent: chosen({ any: {} }, TIDE_SENT) },
    {
      title: 'one by name',
      call: { tools: [TIDE, NOW], tool_choice: { type: 'function', function: { name: 'now' } } },
      sent: chosen({ tool: { name: 'now' } }, TIDE_SENT, NOW_SENT),
    },
    {
      title: 'one by name is the only one there, where no name can be given',
      call: { tools: [TIDE, NOW], tool_choice: { type: 'function', function: { name: 'now' } } },
      model: MISTRAL,
      sent: chosen({ any: {} }, NOW_SENT),
    },
    {
      title: 'some of them',
      call: {
        tools: [TIDE, NOW],
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'now' } }] },
        },
      },
      sent: chosen({ any: {} }, NOW_SENT),
    },
    { title: 'strict ones where the model checks', call: { tools: [strict] }, sent: config(STRICT_SENT) },
    { title: 'strict ones as loose ones elsewhere', call: { tools: [strict] }, model: LLAMA, sent: config(TIDE_SENT) },
    {
      title: 'cache points behind tools',
      call: { tools: [{ ...TIDE, ...EPHEMERAL }, NOW] },
      sent: config(TIDE_SENT, POINT, NOW_SENT),
    },
    {
      title: 'no cache points behind tools of a Nova',
      call: { tools: [{ ...TIDE, ...EPHEMERAL }] },
      model: NOVA,
      sent: config(TIDE_SENT),
      leftOut: ['cache_control'],
    },
    {
      title: 'beside the tool that gives the answer',
      call: { tools: [TIDE], response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } } },
      model: NOVA,
      sent: chosen({ any: {} }, TIDE_SENT, {
        toolSpec: {
          name: 'json_answer__understudy',
          description: 'Gives the answer to the user. Its input is the whole answer.',
          inputSchema: { json: { type: 'object' } },
        },
      }),
    },
  ])
})

describe('refused are', () => {
  const content = (...parts: readonly Fields[]) => ({ messages: [{ role: 'user', content: parts }] })
  const schema = { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } } }
  const rows: readonly (readonly [call: Fields, why: RegExp, model?: string])[] = [
    [{ n: 2 }, /more than one choice/],
    [{ modalities: ['text', 'audio'] }, /audio/],
    [{ web_search_options: {} }, /web_search_options/],
    [{ functions: [{ name: 'f' }] }, /functions/],
    [{ response_format: { type: 'grammar' } }, /the format grammar/],
    [{ tools: [{ type: 'custom', custom: { name: 'c' } }] }, /tools of type custom/],
    [{ tool_choice: { type: 'custom', custom: { name: 'c' } } }, /tools of type custom/],
    [content(image('https://pictures.test/a.png')), /an image that is not png/],
    [content(image(`data:image/tiff;base64,${PNG}`)), /an image that is not png/],
    [content(file({ file_id: 'file-1' })), /a file that is not data/],
    [content(file({ file_data: 'https://files.test/a.pdf' })), /a file that is not data/],
    [content({ type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } }), /content of type input_audio/],
    [{ messages: [{ role: 'system', content: [image(`data:image/png;base64,${PNG}`)] }] }, /instructions that are not text/],
    [{ messages: [...ASK, { role: 'assistant', audio: { id: 'a' } }] }, /an earlier answer as audio/],
    [{ messages: [{ role: 'function', name: 'f', content: 'x' }] }, /functions/],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, /more than 4 stop sequences/, NOVA],
    [{ stop: 'a' }, /more than 0 stop sequences/, LLAMA],
    [{ tools: [TIDE] }, /^tools$/, TITAN],
    [{ tools: [TIDE], tool_choice: 'required' }, /a forced tool/, LLAMA],
    [schema, /a JSON schema/, LLAMA],
    [schema, /a JSON schema/, TITAN],
  ]
  for (const [call, why, model] of rows) {
    it(`${JSON.stringify(call).slice(0, 90)}${model === undefined ? '' : ` by ${model}`}`, () => {
      assert.match(refused(call, model) ?? 'nothing', why)
    })
  }
})
