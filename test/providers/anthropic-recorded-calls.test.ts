/*
 * Our bodies beside recorded ones that the real API has answered with 200: with RECORDINGS=<folder> only.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ASK, calls, EPHEMERAL, type Fields, fn, PNG, SCHEMA, sentBy, text } from './anthropic-calls.ts'

const folder = process.env.RECORDINGS
describe('recorded calls to Anthropic', {
  skip: folder === undefined && 'RECORDINGS names no folder of recorded traffic',
}, () => {
  /** Recorded calls that were answered with 200, and by hand the call to OpenAI's API that says the same. */
  const rows: readonly (readonly [string, (sent: Recorded) => Fields])[] = [
    [
      'crewAI__llms-TestAnthropicToolCallStreaming.test_anthropic_streaming_emits_tool_call_events__01',
      sent => ({
        max_tokens: 4096,
        stream: true,
        messages: [
          { role: 'user', content: said(sent, 0) },
          {
            role: 'assistant',
            content: said(sent, 1),
            tool_calls: [calls('toolu_01Lfr3kUnHMZApePPRWMv1uS', 'get_current_temperature', '{"city": "San Francisco"}')],
          },
          { role: 'tool', tool_call_id: 'toolu_01Lfr3kUnHMZApePPRWMv1uS', content: block(sent, 2, 0).content },
        ],
        tools: functions(sent),
      }),
    ],
    [
      'fantasy__claude-sonnet-4-thinking__01',
      sent => ({
        max_tokens: 4096,
        thinking: { type: 'enabled', budget_tokens: 4000 },
        messages: [
          { role: 'system', content: 'You are a helpful assistant' },
          { role: 'user', content: said(sent, 0) },
          {
            role: 'assistant',
            content: null,
            tool_calls: [calls('toolu_014azqsWLU8Djh6RhmBGRC2u', 'weather', '{"location":"Florence, Italy"}')],
            reasoning_details: [
              { type: 'reasoning.text', text: block(sent, 1, 0).thinking, signature: block(sent, 1, 0).signature },
            ],
          },
          { role: 'tool', tool_call_id: 'toolu_014azqsWLU8Djh6RhmBGRC2u', content: '40 C' },
        ],
        tools: functions(sent),
        tool_choice: 'auto',
      }),
    ],
    [
      'ruby_llm__vcr_cassettes-chat_function_calling_anthropic_claude-haiku-4-5_can_use_tools_with_multi-tur-0bedd6e2__01',
      sent => ({
        stream: true,
        messages: [
          { role: 'user', content: said(sent, 0) },
          {
            role: 'assistant',
            content: '',
            tool_calls: [calls('toolu_01MKSN7NHsBVKr7Jvw5pqCQq', 'weather', '{"latitude":"52.5200","longitude":"13.4050"}')],
          },
          {
            role: 'tool',
            tool_call_id: 'toolu_01MKSN7NHsBVKr7Jvw5pqCQq',
            content: [text('Current weather at 52.5200, 13.4050: 15°C, Wind: 10 km/h')],
          },
        ],
        tools: functions(sent),
      }),
    ],
    [
      'llm-anthropic__test_anthropic-test_fixed_version_tool_chain_regression__01',
      sent => ({
        stream: true,
        temperature: 1,
        messages: [
          { role: 'user', content: said(sent, 0) },
          { role: 'assistant', content: null, tool_calls: [calls('toolu_01UmKD1vMphVCN9vw8PEMk1q', 'fixed_version', '{}')] },
          { role: 'tool', tool_call_id: 'toolu_01UmKD1vMphVCN9vw8PEMk1q', content: '0.32a0' },
        ],
        tools: [{ type: 'function', function: { name: 'fixed_version', description: 'Return a fixed test version string' } }],
      }),
    ],
    [
      'crewAI__utilities-TestAnthropicStructuredPlanning.test_anthropic_research_workflow_generates_steps__03',
      sent => ({
        max_completion_tokens: 4096,
        stop: '\nObservation:',
        messages: [
          { role: 'system', content: sent.system },
          { role: 'user', content: said(sent, 0) },
          {
            role: 'assistant',
            tool_calls: [
              calls('toolu_014To8zMjudmbenNj6ZxZ5Eb', 'web_search', '{"query": "AI agent market trends 2024 industry analysis"}'),
            ],
          },
          { role: 'tool', tool_call_id: 'toolu_014To8zMjudmbenNj6ZxZ5Eb', content: block(sent, 2, 0).content },
        ],
        tools: functions(sent),
      }),
    ],
    [
      'mirascope__strict-anthropic_claude_sonnet_4_5__01',
      sent => ({
        stream: true,
        max_tokens: 16000,
        messages: [
          { role: 'user', content: said(sent, 0) },
          { role: 'assistant', content: said(sent, 1) },
          { role: 'user', content: said(sent, 2), ...EPHEMERAL },
        ],
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', strict: true, schema: (sent.output_format as Fields).schema },
        },
      }),
    ],
  ]

  for (const [name, chatOf] of rows) {
    it(`${name} comes of the equivalent call to OpenAI's API`, () => {
      const file = JSON.parse(readFileSync(join(folder ?? '', 'anthropic', `${name}.json`), 'utf8')) as {
        request: { body: Recorded }
      }
      const recorded = file.request.body
      const { body } = sentBy(chatOf(recorded), recorded.model)
      assert.deepEqual(plain(body), plain(recorded))
    })
  }

  it('that got 200 hold every field that a rich call of ours comes to', () => {
    const seen = new Set<string>()
    for (const name of readdirSync(join(folder ?? '', 'anthropic'))) {
      const file = JSON.parse(readFileSync(join(folder ?? '', 'anthropic', name), 'utf8')) as {
        api: string
        request: { body: Fields } | null
        response: { status: number }
      }
      if (file.api === 'anthropic.messages' && file.request !== null && file.response.status === 200)
        placesOf(file.request.body, '', seen)
    }
    const rich = {
      stream: true,
      temperature: 0.3,
      stop: ['END'],
      ...EPHEMERAL,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: SCHEMA } },
      tools: [{ ...fn('a', { description: 'Does a.', strict: true }), ...EPHEMERAL }],
      tool_choice: 'auto',
      parallel_tool_calls: false,
      messages: [
        { role: 'system', content: 'Be brief.', ...EPHEMERAL },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
            { type: 'file', file: { filename: 'a.txt', file_data: 'data:text/plain,abc' }, ...EPHEMERAL },
            { type: 'file', file: { file_data: 'data:application/pdf;base64,JVBERi0=' } },
            { type: 'file', file: { file_id: 'file_011Lighthouse' } },
            text('So?', EPHEMERAL),
          ],
        },
        { role: 'assistant', content: 'Hm.', tool_calls: [calls('a')] },
        { role: 'tool', tool_call_id: 'a', content: [text('ok')], is_error: false, ...EPHEMERAL },
      ],
    }
    const thinking = { thinking: { type: 'enabled', budget_tokens: 2_000 }, top_p: 0.96 }
    const signed = {
      role: 'assistant',
      content: 'Hm.',
      reasoning_details: [{ type: 'reasoning.text', text: 'Hm.', signature: 'c2ln' }],
    }
    for (const call of [rich, { ...thinking, messages: [...ASK, signed, ...ASK] }]) {
      assert.deepEqual(
        [...placesOf(sentBy(call).body, '', new Set())].filter(place => !seen.has(place)),
        [],
      )
    }
  })
})

interface Recorded extends Fields {
  readonly model: string
  readonly messages: readonly { readonly role: string; readonly content: string | readonly Fields[] }[]
  readonly tools?: readonly { readonly name: string; readonly description?: string; readonly input_schema: Fields }[]
}

function block(sent: Recorded, turn: number, at: number): Fields {
  return (sent.messages[turn]!.content as readonly Fields[])[at]!
}

function said(sent: Recorded, turn: number): unknown {
  const content = sent.messages[turn]!.content
  return typeof content === 'string' ? content : content.find(block => block.type === 'text')?.text
}

function functions(sent: Recorded): readonly Fields[] {
  return (sent.tools ?? []).map(({ name, description, input_schema }) => ({
    type: 'function',
    function: { name, ...(description === undefined ? {} : { description }), parameters: input_schema },
  }))
}

/** Where the fields of a body are, with the type of the block around them; schemas and inputs are the caller's own affair. */
function placesOf(value: unknown, place: string, places: Set<string>): Set<string> {
  if (Array.isArray(value)) for (const each of value) placesOf(each, `${place}[]`, places)
  else if (typeof value === 'object' && value !== null) {
    const { type } = value as { type?: unknown }
    const here = typeof type === 'string' ? `${place}<${type}>` : place
    for (const [field, inner] of Object.entries(value)) {
      places.add(`${here}.${field}`)
      if (!['input', 'input_schema', 'schema'].includes(field)) placesOf(inner, `${here}.${field}`, places)
    }
  }
  return places
}

/** Different ways of writing the same thing made one: texts as blocks, defaults left out, the older name of output_config. */
function plain(body: Fields): Fields {
  const { stream, system, tool_choice, output_format, ...rest } = body
  const blocks = (content: unknown) => (typeof content === 'string' ? [text(content)] : content)
  const messages = (body.messages as Recorded['messages']).map(({ role, content }) => ({
    role,
    content: (blocks(content) as readonly Fields[]).map(block =>
      block.type === 'tool_result' ? { ...block, content: blocks(block.content) } : block,
    ),
  }))
  const chosen = tool_choice as Fields | undefined
  return {
    ...rest,
    messages,
    ...(stream === true ? { stream } : {}),
    ...(system === undefined ? {} : { system: blocks(system) }),
    ...(chosen === undefined ? {} : { tool_choice: chosen.disable_parallel_tool_use === false ? { type: chosen.type } : chosen }),
    ...(output_format === undefined ? {} : { output_config: { format: output_format } }),
  }
}
