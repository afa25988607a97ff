import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gemini } from '../../../src/providers/gemini/gemini.ts'
import { vertex } from '../../../src/providers/vertex/vertex.ts'
import { callOf, sent, targetOf } from '../calls.ts'

const MODEL = 'gemini-2.5-flash'
const config = (body: object, model = MODEL) => sent(gemini, model, body).json.generationConfig
const contents = (messages: readonly object[], model = MODEL) => sent(gemini, model, { messages }).json.contents
const user = { role: 'user', content: 'hi' }
const call = (id: string, name: string, args: string, rest: object = {}) => ({
  id,
  type: 'function',
  function: { name, arguments: args },
  ...rest,
})
const signed = (signature: string) => ({ extra_content: { google: { thought_signature: signature } } })

describe('the address of a call to Gemini', () => {
  const path = (model: string, stream = false, basePath = '/v1beta') =>
    gemini.encode(callOf(JSON.stringify({ model: 'r', messages: [user], stream })), { ...targetOf(gemini, model), basePath }).path

  it('names the model and the method', () => {
    assert.equal(path('gemini-2.5-pro'), '/v1beta/models/gemini-2.5-pro:generateContent')
    assert.equal(path('gemini-2.5-pro', true), '/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse')
    assert.equal(path('tunedModels/mine'), '/v1beta/tunedModels/mine:generateContent')
  })

  it('has a version, whether base_url has one or not', () => {
    assert.equal(path('m', false, ''), '/v1beta/models/m:generateContent')
    assert.equal(path('m', false, '/proxy/v1'), '/proxy/v1/models/m:generateContent')
  })

  it('does not lead where a caller wants it to', () => {
    assert.equal(path('a?key=x#b c'), '/v1beta/models/a%3Fkey%3Dx%23b%20c:generateContent')
    const refuses = (model: string) =>
      gemini.refuses(callOf(JSON.stringify({ model: 'r', messages: [user] })), targetOf(gemini, model))
    for (const model of ['models/../../x', '.', 'a//b', '']) assert.equal(refuses(model), 'a model of this name', model)
    assert.equal(refuses('models/x'), undefined)
  })

  it('shows the key in a header only', () => {
    assert.deepEqual(gemini.authorize('AIza1', targetOf(gemini, MODEL)), { 'x-goog-api-key': 'AIza1' })
    assert.deepEqual(gemini.authorize('', targetOf(gemini, MODEL)), {})
  })
})

describe('a conversation', () => {
  it('has its instructions apart, wherever they stood', () => {
    const messages = [{ role: 'system', content: 'A' }, user, { role: 'developer', content: [{ type: 'text', text: 'B' }] }]
    const { json } = sent(gemini, MODEL, { messages })
    assert.deepEqual(json.systemInstruction, { parts: [{ text: 'A' }, { text: 'B' }] })
    assert.deepEqual(json.contents, [{ role: 'user', parts: [{ text: 'hi' }] }])
  })

  it('has its instructions before the first words of the user where a model takes none', () => {
    for (const model of ['gemma-3-27b-it', 'gemini-2.5-flash-image']) {
      const { json } = sent(gemini, model, { messages: [{ role: 'system', content: 'A' }, user] })
      assert.equal(json.systemInstruction, undefined)
      assert.deepEqual(json.contents, [{ role: 'user', parts: [{ text: 'A' }, { text: 'hi' }] }])
    }
  })

  it('joins what one side said, and begins with the user', () => {
    const said = { role: 'assistant', content: 'yes' }
    assert.deepEqual(contents([said, user, user, { role: 'assistant', content: '' }]), [
      { role: 'user', parts: [{ text: 'Begin.' }] },
      { role: 'model', parts: [{ text: 'yes' }] },
      { role: 'user', parts: [{ text: 'hi' }, { text: 'hi' }] },
    ])
    assert.deepEqual(contents([{ role: 'system', content: 'A' }]), [{ role: 'user', parts: [{ text: 'Begin.' }] }])
  })

  it('takes images, audio and files, in the call and at addresses', () => {
    const content = [
      { type: 'image_url', image_url: { url: 'data:image/jpg;base64,QUJD' } },
      { type: 'image_url', image_url: { url: 'https://a.example/x.webp?y=1' } },
      { type: 'input_audio', input_audio: { data: 'QUJD', format: 'mp3' } },
      { type: 'file', file: { file_data: 'data:application/pdf;base64,QUJD', filename: 'a.pdf' } },
      { type: 'file', file: { file_id: 'files/abc' } },
      { type: 'file', file: { file_url: 'https://www.youtube.com/watch?v=1' } },
    ]
    assert.deepEqual(contents([{ role: 'user', content }]), [
      {
        role: 'user',
        parts: [
          { inlineData: { mimeType: 'image/jpeg', data: 'QUJD' } },
          { fileData: { mimeType: 'image/webp', fileUri: 'https://a.example/x.webp?y=1' } },
          { inlineData: { mimeType: 'audio/mp3', data: 'QUJD' } },
          { inlineData: { mimeType: 'application/pdf', data: 'QUJD' } },
          { fileData: { fileUri: 'https://generativelanguage.googleapis.com/v1beta/files/abc' } },
          { fileData: { mimeType: 'video/mp4', fileUri: 'https://www.youtube.com/watch?v=1' } },
        ],
      },
    ])
  })

  it('gives results in the order of the calls, under the names of their functions, before other words', () => {
    const messages = [
      user,
      { role: 'assistant', content: null, tool_calls: [call('a', 'f', '{"x":1}'), call('b', 'g', '')] },
      { role: 'tool', tool_call_id: 'b', content: 'plain' },
      { role: 'user', content: 'so?' },
      { role: 'tool', tool_call_id: 'a', content: '{"ok":true}' },
    ]
    assert.deepEqual((contents(messages) as object[]).slice(1), [
      {
        role: 'model',
        parts: [{ functionCall: { id: 'a', name: 'f', args: { x: 1 } } }, { functionCall: { id: 'b', name: 'g', args: {} } }],
      },
      {
        role: 'user',
        parts: [
          { functionResponse: { id: 'a', name: 'f', response: { ok: true } } },
          { functionResponse: { id: 'b', name: 'g', response: { result: 'plain' } } },
        ],
      },
      { role: 'user', parts: [{ text: 'so?' }] },
    ])
  })

  it('finds the name of a call by its own turn, says that a result is an error, and copes with a result of no call', () => {
    const turn = (name: string, result: object) => [
      { role: 'assistant', tool_calls: [call('call_0', name, '{}')] },
      { role: 'tool', tool_call_id: 'call_0', ...result },
    ]
    const messages = [
      user,
      ...turn('f', { content: '[1]' }),
      ...turn('g', { content: 'no', is_error: true }),
      { role: 'tool', tool_call_id: 'lost', content: 'x' },
    ]
    const responses = (contents(messages) as { parts: { functionResponse?: { name: string; response: object } }[] }[]).flatMap(
      ({ parts }) =>
        parts.flatMap(({ functionResponse }) => (functionResponse ? [[functionResponse.name, functionResponse.response]] : [])),
    )
    assert.deepEqual(responses, [
      ['f', { result: '[1]' }],
      ['g', { error: 'no' }],
      ['tool', { result: 'x' }],
    ])
  })

  it('keeps images in results: inside where the model can see them there, behind the results elsewhere', () => {
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,QUJD' } }
    const messages = [
      user,
      { role: 'assistant', tool_calls: [call('a', 'f', '{}', signed('s'))] },
      { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: 'see' }, image] },
    ]
    const part = { inlineData: { mimeType: 'image/png', data: 'QUJD' } }
    const response = { id: 'a', name: 'f', response: { result: 'see' } }
    assert.deepEqual((contents(messages) as object[]).slice(2), [
      { role: 'user', parts: [{ functionResponse: response }] },
      { role: 'user', parts: [part] },
    ])
    assert.deepEqual((contents(messages, 'gemini-3-flash-preview') as object[]).slice(2), [
      { role: 'user', parts: [{ functionResponse: { ...response, parts: [part] } }] },
    ])
  })
})

describe('thought signatures', () => {
  const parts = (message: object, model = 'gemini-3-pro-preview') =>
    (contents([user, { role: 'assistant', ...message }], model) as { parts: object[] }[])[1]!.parts

  it('come back with their calls, and with the text', () => {
    assert.deepEqual(
      parts({ content: 'So', ...signed('t'), tool_calls: [call('a', 'f', '{}', signed('s')), call('b', 'f', '{}')] }),
      [
        { text: 'So', thoughtSignature: 't' },
        { functionCall: { id: 'a', name: 'f', args: {} }, thoughtSignature: 's' },
        { functionCall: { id: 'b', name: 'f', args: {} } },
      ],
    )
  })

  it('that are not there are made up for on the first call, for models that insist', () => {
    const message = { tool_calls: [call('a', 'f', '{}'), call('b', 'f', '{}')] }
    const made = { functionCall: { id: 'a', name: 'f', args: {} }, thoughtSignature: 'skip_thought_signature_validator' }
    assert.deepEqual(parts(message), [made, { functionCall: { id: 'b', name: 'f', args: {} } }])
    assert.equal('thoughtSignature' in parts(message, MODEL)[0]!, false)
  })

  it('of other makers stay at home', () => {
    const details = [{ type: 'reasoning.text', text: 'hm', signature: 'theirs', format: 'anthropic-claude-v1' }]
    const message = { content: 'So', reasoning_content: 'hm', reasoning_details: details, reasoning_signature: 'theirs' }
    assert.deepEqual(parts(message), [{ text: 'So' }])
  })
})

describe('tools', () => {
  const parameters = {
    type: 'object',
    properties: { x: { $ref: '#/$defs/x' } },
    $defs: { x: { type: 'string' } },
    additionalProperties: false,
  }
  const tool = (name: string, rest: object = {}) => ({
    type: 'function',
    function: { name, description: 'D', parameters, ...rest },
  })
  const tooling = (body: object, model = MODEL) => {
    const { tools, toolConfig } = sent(gemini, model, body).json
    return { tools, toolConfig }
  }
  const calling = (body: object) =>
    (tooling({ tools: [tool('f'), tool('g')], ...body }).toolConfig as Record<string, unknown> | undefined)?.functionCallingConfig

  it('keep their schemas as they are; an empty one is none', () => {
    const empty = [{}, { type: 'object', properties: {} }, { type: 'object', properties: {}, additionalProperties: false }]
    const tools = [tool('f'), ...empty.map((parameters, at) => tool(`e${at}`, { parameters, description: undefined }))]
    assert.deepEqual(tooling({ tools }).tools, [
      {
        functionDeclarations: [
          { name: 'f', description: 'D', parametersJsonSchema: parameters },
          { name: 'e0' },
          { name: 'e1' },
          { name: 'e2' },
        ],
      },
    ])
    const map = { type: 'object', additionalProperties: { type: 'number' } }
    assert.deepEqual(tooling({ tools: [tool('f', { parameters: map })] }).tools, [
      { functionDeclarations: [{ name: 'f', description: 'D', parametersJsonSchema: map }] },
    ])
  })

  it('are chosen in every way', () => {
    assert.equal(calling({}), undefined)
    assert.deepEqual(calling({ tool_choice: 'auto' }), { mode: 'AUTO' })
    assert.deepEqual(calling({ tool_choice: 'none' }), { mode: 'NONE' })
    assert.deepEqual(calling({ tool_choice: 'required' }), { mode: 'ANY' })
    assert.deepEqual(calling({ tool_choice: { type: 'function', function: { name: 'g' } } }), {
      mode: 'ANY',
      allowedFunctionNames: ['g'],
    })
    assert.deepEqual(calling({ tools: [tool('f', { strict: true })] }), { mode: 'VALIDATED' })
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] }
    const { tools, toolConfig } = tooling({
      tools: [tool('f'), tool('g')],
      tool_choice: { type: 'allowed_tools', allowed_tools: allowed },
    })
    assert.deepEqual(toolConfig, { functionCallingConfig: { mode: 'ANY' } })
    assert.equal((tools as { functionDeclarations: object[] }[])[0]!.functionDeclarations.length, 1)
  })

  it('of Google are asked for by their types, and searching as OpenAI has it', () => {
    assert.deepEqual(tooling({ tools: [{ type: 'url_context' }], web_search_options: {} }), {
      tools: [{ googleSearch: {} }, { urlContext: {} }],
      toolConfig: undefined,
    })
    assert.deepEqual(tooling({ tools: [tool('f'), { type: 'code_execution' }] }, 'gemini-3-flash-preview').toolConfig, {
      includeServerSideToolInvocations: true,
    })
    const body = JSON.stringify({ model: 'r', messages: [user], tools: [tool('f'), { type: 'code_execution' }] })
    const atVertex = vertex.encode(callOf(body), targetOf(vertex, 'gemini-3-flash-preview'), 'AIza1')
    assert.equal(JSON.parse(String(atVertex.body)).toolConfig, undefined)
  })

  it('are not declared where there are none', () => {
    assert.deepEqual(tooling({ tools: [] }), { tools: undefined, toolConfig: undefined })
  })
})

describe('what tunes an answer', () => {
  it('has other names, and keeps within its ranges', () => {
    const body = { max_completion_tokens: 99_999_999, temperature: 3, top_p: 0.5, top_k: 40, seed: 7, stop: ['a', ''], n: 2 }
    assert.deepEqual(config(body), {
      maxOutputTokens: 65_536,
      temperature: 2,
      topP: 0.5,
      topK: 40,
      candidateCount: 2,
      stopSequences: ['a'],
      seed: 7,
    })
    assert.deepEqual(config({ logprobs: true, top_logprobs: 25, max_tokens: 5 }), {
      maxOutputTokens: 5,
      responseLogprobs: true,
      logprobs: 20,
    })
    assert.deepEqual(config({}), {})
  })

  it('is penalties only for models that take them', () => {
    const body = { presence_penalty: 2, frequency_penalty: -1 }
    assert.deepEqual(config(body, 'gemini-2.0-flash'), { presencePenalty: 1.99, frequencyPenalty: -1 })
    const { json, leftOut } = sent(gemini, MODEL, body)
    assert.deepEqual(json.generationConfig, {})
    assert.deepEqual(leftOut, ['presence_penalty', 'frequency_penalty'])
  })

  it('is named where it had to be left out', () => {
    const body = {
      logit_bias: { 1: 2 },
      user: 'u',
      metadata: { a: 'b' },
      store: true,
      seed: 2 ** 40,
      service_tier: 'scale',
      parallel_tool_calls: false,
      tools: [{ type: 'function', function: { name: 'f' } }],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] }],
    }
    const left = ['cache_control', 'logit_bias', 'metadata', 'parallel_tool_calls', 'seed', 'service_tier', 'store', 'user']
    assert.deepEqual([...sent(gemini, MODEL, body).leftOut].sort(), left)
    assert.deepEqual(sent(gemini, MODEL, { n: 1, store: false, user: '', logprobs: false, metadata: {} }).leftOut, [])
  })

  it('is the format of the answer', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } } }
    assert.deepEqual(config({ response_format: { type: 'json_object' } }), { responseMimeType: 'application/json' })
    assert.deepEqual(config({ response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } } }), {
      responseMimeType: 'application/json',
      responseJsonSchema: schema,
    })
    assert.deepEqual(config({ response_format: { type: 'text' } }), {})
    assert.deepEqual(config({ modalities: ['text', 'image'] }, 'gemini-2.5-flash-image'), {
      responseModalities: ['TEXT', 'IMAGE'],
    })
  })

  it('is a service tier in the body here, and in a header at Vertex', () => {
    assert.equal(sent(gemini, MODEL, { service_tier: 'default' }).json.serviceTier, 'standard')
    assert.equal(sent(gemini, MODEL, { service_tier: 'flex' }).json.serviceTier, 'flex')
    assert.equal(sent(gemini, MODEL, { service_tier: 'auto' }).json.serviceTier, undefined)
    const body = JSON.stringify({ model: 'r', messages: [user], service_tier: 'priority' })
    const { headers } = vertex.encode(callOf(body), targetOf(vertex, MODEL), 'AIza1')
    assert.deepEqual(headers, { 'x-vertex-ai-llm-shared-request-type': 'priority' })
  })

  it("is what Google's own OpenAI layer takes beside it", () => {
    const google = {
      thinking_config: { thinking_budget: 5 },
      cached_content: 'cachedContents/a',
      safety_settings: [{ category: 'c' }],
    }
    const { json } = sent(gemini, MODEL, { extra_body: { google } })
    assert.deepEqual(json.generationConfig, { thinkingConfig: { thinking_budget: 5 } })
    assert.equal(json.cachedContent, 'cachedContents/a')
    assert.deepEqual(json.safetySettings, [{ category: 'c' }])
  })
})

describe('reasoning_effort', () => {
  const cases: readonly (readonly [model: string, effort: string, config: object | undefined, leftOut?: boolean])[] = [
    ['gemini-2.5-flash', 'none', { thinkingBudget: 0 }],
    ['gemini-2.5-flash', 'low', { thinkingBudget: 1_024, includeThoughts: true }],
    ['gemini-2.5-flash', 'medium', { thinkingBudget: 8_192, includeThoughts: true }],
    ['gemini-2.5-flash', 'max', { thinkingBudget: 24_576, includeThoughts: true }],
    ['gemini-2.5-flash', 'odd', undefined, true],
    ['gemini-2.5-pro', 'none', { thinkingBudget: 128 }, true],
    ['gemini-2.5-pro', 'xhigh', { thinkingBudget: 32_768, includeThoughts: true }],
    ['gemini-3-pro-preview', 'minimal', { thinkingLevel: 'low', includeThoughts: true }],
    ['gemini-3-pro-preview', 'medium', { thinkingLevel: 'high', includeThoughts: true }],
    ['gemini-3-flash-preview', 'none', { thinkingLevel: 'minimal' }, true],
    ['gemini-flash-latest', 'minimal', { thinkingLevel: 'low', includeThoughts: true }],
    ['gemini-3.1-pro-preview', 'medium', { thinkingLevel: 'medium', includeThoughts: true }],
    ['gemini-2.0-flash', 'high', undefined, true],
    ['gemini-2.0-flash', 'none', undefined],
  ]
  for (const [model, effort, expected, leftOut = false] of cases) {
    it(`${effort} is ${JSON.stringify(expected) ?? 'nothing'} for ${model}`, () => {
      const request = sent(gemini, model, { reasoning_effort: effort })
      assert.deepEqual((request.json.generationConfig as Record<string, unknown>).thinkingConfig, expected)
      assert.deepEqual(request.leftOut, leftOut ? ['reasoning_effort'] : [])
    })
  }
})
