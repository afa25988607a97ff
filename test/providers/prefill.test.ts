import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatCall } from '../../src/core/chat.ts'
import type { Provider } from '../../src/core/provider.ts'
import { providers } from '../../src/providers/registry.ts'
import { callOf, targetOf } from './calls.ts'

const SAID = 'Once upon a'
const HI = { role: 'user', content: 'hi' }

function plainCall(body: object = {}): ChatCall {
  return callOf(JSON.stringify({ model: 'route', messages: [HI], ...body }))
}

function begunCall(body: object = {}, prefill = SAID): ChatCall {
  return { ...plainCall(body), prefill }
}

function requestOf(provider: Provider, model: string, call: ChatCall, basePath = '/v1') {
  const { path, body, leftOut = [] } = provider.encode(call, { ...targetOf(provider, model), basePath }, '')
  return { path, leftOut, json: JSON.parse(Buffer.from(body as Uint8Array).toString()) as Record<string, unknown> }
}

interface Row {
  readonly model: string
  /** The key of the list of messages, and what stands at its end. */
  readonly messages?: string
  readonly last: unknown
  /** What differs beside the messages, streamed and whole alike. */
  readonly more?: Readonly<Record<string, unknown>>
  readonly answers?: 'echoed'
}

const MESSAGE = { role: 'assistant', content: SAID }
const CLAUDE = { role: 'assistant', content: [{ type: 'text', text: SAID }] }
const MODEL_TURN = { role: 'model', parts: [{ text: SAID }] }

const ROWS: Readonly<Record<string, readonly Row[]>> = {
  anthropic: [{ model: 'claude-sonnet-4-5', last: CLAUDE }],
  bedrock: [
    { model: 'anthropic.claude-sonnet-4-5-v1:0', last: { role: 'assistant', content: [{ text: SAID }] } },
    { model: 'amazon.nova-pro-v1:0', last: { role: 'assistant', content: [{ text: SAID }] } },
  ],
  deepseek: [{ model: 'deepseek-chat', last: { ...MESSAGE, prefix: true }, more: { thinking: { type: 'disabled' } } }],
  gemini: [{ model: 'gemini-2.5-flash', messages: 'contents', last: MODEL_TURN }],
  groq: [{ model: 'llama-3.3-70b-versatile', last: MESSAGE }],
  mistral: [{ model: 'mistral-large-latest', last: { ...MESSAGE, prefix: true }, answers: 'echoed' }],
  moonshot: [{ model: 'kimi-k2.6', last: { ...MESSAGE, partial: true } }],
  ollama: [
    { model: 'qwen3', last: MESSAGE, more: { think: false } },
    { model: 'gpt-oss', last: MESSAGE },
  ],
  'openai-compatible': [{ model: 'any', last: MESSAGE }],
  openrouter: [{ model: 'anthropic/claude-sonnet-4.5', last: MESSAGE }],
  qwen: [{ model: 'qwen3-max', last: { ...MESSAGE, partial: true }, more: { enable_thinking: false } }],
  vertex: [
    { model: 'gemini-2.5-flash', messages: 'contents', last: MODEL_TURN },
    { model: 'claude-sonnet-4-5@20250929', last: CLAUDE },
  ],
  vllm: [{ model: 'any', last: MESSAGE, more: { continue_final_message: true, add_generation_prompt: false } }],
}

describe('what a provider sends of an answer that has begun', () => {
  it('each that can is here', () => {
    const able = [...providers.values()].filter(({ prefill }) => prefill !== undefined).map(({ name }) => name)
    assert.deepEqual(able.sort(), Object.keys(ROWS).sort())
  })

  for (const [name, rows] of Object.entries(ROWS)) {
    for (const { model, messages = 'messages', last, more = {}, answers = 'continued' } of rows) {
      for (const stream of [true, false]) {
        it(`${name}, ${model}, ${stream ? 'as a stream' : 'whole'}`, () => {
          const provider = providers.get(name)!
          assert.equal(provider.prefill, answers)
          const call = begunCall({ stream })
          assert.equal(provider.refuses(call, targetOf(provider, model)), undefined)
          const plain = requestOf(provider, model, plainCall({ stream })).json
          const { json } = requestOf(provider, model, call)
          assert.deepEqual(json, { ...plain, ...more, [messages]: [...(plain[messages] as unknown[]), last] })
        })
      }
    }
  }

  it('nothing said is no beginning', () => {
    for (const [name, [row]] of Object.entries(ROWS)) {
      const provider = providers.get(name)!
      const plain = requestOf(provider, row!.model, plainCall())
      assert.deepEqual(requestOf(provider, row!.model, begunCall({}, '')), plain, name)
    }
  })
})

describe('what a relative of OpenAI’s is sent', () => {
  const openrouter = providers.get('openrouter')!
  const text = (json: string) => {
    const { body } = openrouter.encode({ ...callOf(json), prefill: SAID }, targetOf(openrouter, 'm'))
    return Buffer.from(body as Uint8Array).toString()
  }
  const LAST = `{"role":"assistant","content":"${SAID}"}`

  it('is the client’s own bytes with one more message in them', () => {
    const messages = '[ {"role":"user","content":"\\u0068i ]", "x": 12345678901234567890 }\n ]'
    assert.equal(
      text(`{"model": "route" ,"messages":${messages},"y":1.0}`),
      `{"model": "m" ,"messages":${messages.slice(0, -1)},${LAST}],"y":1.0}`,
    )
  })

  it('is correct when the last message ends in a list, and when the body ends with the messages', () => {
    assert.equal(
      text('{"model":"route","messages":[{"role":"user","content":[{"type":"text","text":"]"}]}]}'),
      `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"]"}]},${LAST}]}`,
    )
    assert.equal(text('{"model":"route","messages":[ ]}'), `{"model":"m","messages":[ ${LAST}]}`)
  })

  it('has the message where the conversation is written anew, where fields go, and for clients of other dialects', () => {
    const mistral = providers.get('mistral')!
    const body = { messages: [{ role: 'developer', content: 'be brief' }, HI], user: 'u', store: true, seed: 1 }
    const last = { role: 'assistant', content: SAID, prefix: true }
    const expected = [{ role: 'system', content: 'be brief' }, HI, last]
    assert.deepEqual(requestOf(mistral, 'm', begunCall(body)).json.messages, expected)
    assert.deepEqual(requestOf(mistral, 'm', begunCall({ user: 'u', store: true, seed: 1 })).json.messages, [HI, last])
    assert.deepEqual(requestOf(mistral, 'm', { ...begunCall(body), dialect: 'messages' }).json.messages, expected)
  })

  it('goes to DeepSeek’s own path for beginnings, and only then', () => {
    const deepseek = providers.get('deepseek')!
    for (const base of ['', '/v1', '/beta']) {
      assert.equal(requestOf(deepseek, 'deepseek-chat', begunCall(), base).path, '/beta/chat/completions')
      assert.equal(requestOf(deepseek, 'deepseek-chat', begunCall({}, ''), base).path, `${base}/chat/completions`)
    }
  })
})

describe('what cannot be gone on with', () => {
  const SCHEMA = { type: 'json_schema', json_schema: { name: 's', schema: { type: 'object', properties: {} } } }
  const TOOLS = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }]

  function refused(name: string, model: string, body: object, prefill?: string): string | undefined {
    const provider = providers.get(name)!
    return provider.refuses(begunCall(body, prefill), targetOf(provider, model))
  }

  it('an answer as JSON, or one that has to call a tool, with no provider', () => {
    for (const [name, [row]] of Object.entries(ROWS)) {
      for (const response_format of [SCHEMA, { type: 'json_object' }]) {
        assert.notEqual(refused(name, row!.model, { response_format }), undefined, name)
      }
      assert.notEqual(refused(name, row!.model, { tools: TOOLS, tool_choice: 'required' }), undefined, name)
    }
    assert.equal(refused('vllm', 'any', { response_format: SCHEMA }, ''), undefined)
  })

  it('with Claudes that refuse it, wherever they are', () => {
    for (const [name, model] of [
      ['anthropic', 'claude-opus-4-6'],
      ['anthropic', 'claude-sonnet-5'],
      ['bedrock', 'us.anthropic.claude-opus-4-6-v1'],
      ['vertex', 'claude-opus-4-6'],
    ] as const) {
      assert.match(refused(name, model, {}) ?? '', /begins anew/)
      assert.equal(refused(name, model, {}, ''), undefined)
    }
  })

  it('with Gemini’s newer models, which get a turn of the user’s after one of their own', () => {
    for (const model of ['gemini-3.6-flash', 'gemini-3.5-flash-lite', 'gemini-flash-latest', 'gemini-4-pro']) {
      assert.match(refused('gemini', model, {}) ?? '', /begins anew/, model)
      const call = begunCall({ messages: [HI, { role: 'assistant', content: 'a' }] }, '')
      assert.deepEqual((requestOf(providers.get('gemini')!, model, call).json.contents as unknown[]).at(-1), {
        role: 'user',
        parts: [{ text: 'Continue.' }],
      })
    }
    for (const model of [
      'gemini-2.0-flash',
      'gemini-2.5-pro',
      'gemini-3-pro-preview',
      'gemini-3.1-flash-lite',
      'gemini-3.5-flash',
    ])
      assert.equal(refused('gemini', model, {}), undefined, model)
  })

  it('with models of Qwen’s that cannot stop thinking', () => {
    for (const model of ['qwq-plus', 'qwen3-235b-a22b-thinking-2507'])
      assert.match(refused('qwen', model, { stream: true }) ?? '', /begins anew/)
  })

  it('with Bedrock’s models, where there are tools', () => {
    assert.match(refused('bedrock', 'anthropic.claude-sonnet-4-5-v1:0', { tools: TOOLS }) ?? '', /may call tools/)
    assert.equal(refused('bedrock', 'anthropic.claude-sonnet-4-5-v1:0', { tools: TOOLS, tool_choice: 'none' }), undefined)
  })
})

describe('Claude, going on', () => {
  const anthropic = providers.get('anthropic')!

  it('does not think, and says that it was asked to', () => {
    for (const asked of [{ reasoning_effort: 'high' }, { thinking: { type: 'enabled', budget_tokens: 2_000 } }]) {
      const { json, leftOut } = requestOf(anthropic, 'claude-sonnet-4-5', begunCall(asked))
      assert.equal(json.thinking, undefined)
      assert.deepEqual(leftOut, Object.keys(asked))
    }
  })

  it('is sent no white space at the end, and nothing where there is nothing else', () => {
    const said = (prefill: string) => requestOf(anthropic, 'claude-sonnet-4-5', begunCall({}, prefill)).json.messages as unknown[]
    assert.deepEqual(said('Once \n').at(-1), { role: 'assistant', content: [{ type: 'text', text: 'Once' }] })
    assert.equal(said(' \n').length, 1)
  })
})
