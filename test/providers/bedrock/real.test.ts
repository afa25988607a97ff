/*
 * Traffic of the real Converse and ConverseStream, against a second and simpler reading of the same JSON: with RECORDINGS=<folder> only.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { bedrock } from '../../../src/providers/bedrock/bedrock.ts'
import { chance } from '../../core/random.ts'
import { faultExpected } from '../explained.ts'
import { type Recording, recordingsIn, see } from '../reading.ts'
import { calls, type Fields, sentBy } from './calls.ts'

const folder = process.env.RECORDINGS
const skip = folder === undefined && 'RECORDINGS names no folder of recorded traffic'
const recordings = folder === undefined ? [] : recordingsIn(join(folder, 'bedrock'))

/** Recorded JSON of many shapes, read without the code under test. */
type Raw = any

interface Plain {
  text: string
  reasoning: string
  tools: { id: string; name: string; arguments: unknown }[]
  finish: string
  usage: Raw
}

/** The blocks of a message, with deltas put together, as a whole answer has them. */
function plainOf({ response }: Recording): Plain {
  const events: Raw[] = [...(response.events ?? [])]
  if (events.length === 0) return readBlocks((response.body as Raw).output.message.content, response.body)
  const blocks: Raw[] = []
  const rest: Raw = {}
  for (const { headers, payload } of events) {
    const at = payload.contentBlockIndex
    if (headers[':event-type'] === 'messageStop') rest.stopReason = payload.stopReason
    else if (headers[':event-type'] === 'metadata') rest.usage = payload.usage
    else if (payload.start?.toolUse !== undefined) blocks[at] = { toolUse: { ...payload.start.toolUse, input: '' } }
    else if (payload.delta !== undefined) {
      blocks[at] ??= {}
      const { text, toolUse, reasoningContent } = payload.delta
      if (text !== undefined) blocks[at].text = (blocks[at].text ?? '') + text
      if (toolUse !== undefined) blocks[at].toolUse.input += toolUse.input
      if (reasoningContent?.text !== undefined) {
        const before = blocks[at].reasoningContent?.reasoningText.text ?? ''
        blocks[at].reasoningContent = { reasoningText: { text: before + reasoningContent.text } }
      }
    }
  }
  return readBlocks(blocks, rest)
}

function readBlocks(blocks: Raw[], { stopReason, usage }: Raw): Plain {
  const tools = blocks.filter(block => block?.toolUse !== undefined && block.toolUse.type !== 'server_tool_use')
  const reasons: Record<string, string> = {
    end_turn: 'stop',
    tool_use: 'tool_calls',
    max_tokens: 'length',
    content_filtered: 'content_filter',
    guardrail_intervened: 'content_filter',
  }
  return {
    text: blocks.map(block => block?.text ?? block?.citationsContent?.content?.[0].text ?? '').join(''),
    reasoning: blocks.map(block => block?.reasoningContent?.reasoningText?.text ?? '').join(''),
    tools: tools.map(({ toolUse: { toolUseId: id, name, input } }) => ({
      id,
      name,
      arguments: typeof input === 'string' ? JSON.parse(input) : input,
    })),
    finish: reasons[stopReason]!,
    usage,
  }
}

function verify(recording: Recording, cut?: (bytes: Buffer) => readonly Buffer[]): void {
  const seen = see(bedrock, recording, cut)
  assert.equal(seen.fault, undefined, seen.detail)
  assert.equal(seen.malformed, 0)
  const { usage, ...plain } = plainOf(recording)
  const tools = (seen.tools ?? []).map(tool => ({ ...tool, arguments: JSON.parse(tool.arguments) }))
  assert.deepEqual({ text: seen.text ?? '', reasoning: seen.reasoning ?? '', tools, finish: seen.finish }, plain)
  const { input = 0, cached = 0, cacheWrite = 0, output = 0 } = seen.usage!
  assert.equal(output, usage.outputTokens)
  assert.equal(input + cached + cacheWrite + output, usage.totalTokens)
  assert.equal(seen.usage!.cached, usage.cacheReadInputTokens)
  assert.equal(seen.usage!.cacheWrite, usage.cacheWriteInputTokens)
}

function inPieces(size: () => number): (bytes: Buffer) => readonly Buffer[] {
  return bytes => {
    const parts: Buffer[] = []
    for (let at = 0, to = 0; at < bytes.length; at = to) {
      to = at + size()
      parts.push(bytes.subarray(at, to))
    }
    return parts
  }
}

describe('recorded answers of Bedrock', { skip }, () => {
  for (const recording of recordings) {
    const chat = recording.api === 'bedrock.converse' || recording.api === 'bedrock.converseStream'
    if (recording.error !== undefined) {
      it(`${recording.file} fails as it says`, () => {
        const seen = see(bedrock, recording)
        assert.equal(seen.fault, faultExpected(`bedrock/${recording.file}`, recording), seen.detail)
      })
    } else if (chat) {
      it(`${recording.file} is read as its JSON says, however it is cut`, () => {
        verify(recording)
        if (!recording.stream) return
        const by = chance()
        for (const size of [1, 7, 64])
          verify(
            recording,
            inPieces(() => size),
          )
        for (let round = 0; round < 5; round++)
          verify(
            recording,
            inPieces(() => 1 + by.below(300)),
          )
      })
    }
  }
})

/** Recorded calls that were answered with 200, and by hand the call to OpenAI's API that says the same. */
const CALLS: readonly (readonly [file: string, model: string, call: (sent: Raw) => Fields])[] = [
  [
    'crewAI__agents-TestBedrockNativeToolCalling.test_bedrock_parallel_native_tool_calling_test_agent_kickoff__00',
    'us.anthropic.claude-sonnet-4-6',
    sent => ({
      messages: [
        { role: 'system', content: sent.system[0].text },
        { role: 'user', content: sent.messages[0].content[0].text },
      ],
      stop: '\nObservation:',
      tools: functions(sent),
    }),
  ],
  [
    'crewAI__bedrock-test_bedrock_agent_kickoff_structured_output_without_tools',
    'us.anthropic.claude-sonnet-4-6',
    sent => ({
      messages: [
        { role: 'system', content: sent.system[0].text },
        { role: 'user', content: sent.messages[0].content[0].text },
      ],
      stop: ['\nObservation:'],
      tools: functions(sent),
      tool_choice: { type: 'function', function: { name: 'structured_output' } },
    }),
  ],
  [
    'dd-trace-py__bedrock_cassettes-bedrock_converse_stream_prompt_caching__00',
    'us.amazon.nova-pro-v1:0',
    sent => ({
      stream: true,
      messages: [
        {
          role: 'system',
          content: [{ type: 'text', text: sent.system[0].text, cache_control: { type: 'ephemeral' } }],
        },
        { role: 'user', content: sent.messages[0].content[0].text },
      ],
      temperature: 0.7,
      top_p: 0.9,
      max_tokens: 1000,
    }),
  ],
  [
    'openinference__recordings-should-handle-multi-modal-content-in-streaming-responses',
    'anthropic.claude-3-5-sonnet-20240620-v1:0',
    sent => ({
      stream: true,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: sent.messages[0].content[0].text },
            {
              type: 'image_url',
              image_url: { url: `data:image/png;base64,${sent.messages[0].content[1].image.source.bytes}` },
            },
          ],
        },
      ],
    }),
  ],
  [
    'rig__tool_choice-required_forces_function_call',
    'amazon.nova-lite-v1:0',
    sent => ({
      messages: [{ role: 'user', content: sent.messages[0].content[0].text }],
      temperature: 0,
      tools: functions(sent),
      tool_choice: 'required',
    }),
  ],
  [
    'ruby_llm__vcr_cassettes-chat_function_calling_bedrock_amazon_nova-2-lite-v1_0_can_use_tools_with_mult-449bcfe3__03',
    'us.amazon.nova-2-lite-v1:0',
    sent => ({
      stream: true,
      messages: [
        { role: 'user', content: sent.messages[0].content[0].text },
        {
          role: 'assistant',
          tool_calls: [calls('tooluse_hsyz7O0QqkhdTHrpQhVYXj', 'weather', '{"latitude":"52.5200","longitude":"13.4050"}')],
        },
        {
          role: 'tool',
          tool_call_id: 'tooluse_hsyz7O0QqkhdTHrpQhVYXj',
          content: sent.messages[2].content[0].toolResult.content[0].text,
        },
        { role: 'assistant', content: sent.messages[3].content[0].text },
        { role: 'user', content: sent.messages[4].content[0].text },
        {
          role: 'assistant',
          content: '',
          tool_calls: [calls('tooluse_QWrxJIW57PHrvd5zfH3L93', 'weather', '{"latitude":"48.8575","longitude":"2.3514"}')],
        },
        {
          role: 'tool',
          tool_call_id: 'tooluse_QWrxJIW57PHrvd5zfH3L93',
          content: sent.messages[6].content[0].toolResult.content[0].text,
        },
      ],
      tools: functions(sent),
    }),
  ],
  [
    'pydantic-ai__test_strict_tool_calls-test_bedrock_strict_tool_with_native_output__00',
    'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    sent => ({
      messages: [{ role: 'user', content: sent.messages[0].content[0].text }],
      tools: functions(sent, true),
      response_format: {
        type: 'json_schema',
        json_schema: {
          ...sent.outputConfig.textFormat.structure.jsonSchema,
          schema: JSON.parse(sent.outputConfig.textFormat.structure.jsonSchema.schema),
        },
      },
    }),
  ],
]

function functions(sent: Raw, strict = false): readonly Fields[] {
  return sent.toolConfig.tools.map(({ toolSpec: { name, description, inputSchema } }: Raw) => ({
    type: 'function',
    function: { name, description, parameters: inputSchema.json, ...(strict ? { strict } : {}) },
  }))
}

/** What says nothing (empty objects and lists, the choice that there is anyway), and the order of keys in a schema, taken away. */
function essence(body: Raw): Raw {
  const { inferenceConfig = {}, toolConfig, system = [], outputConfig, ...rest } = structuredClone(body)
  const { stopSequences = [], ...inference } = inferenceConfig
  const { toolChoice, ...tools } = toolConfig ?? {}
  const jsonSchema = outputConfig?.textFormat.structure.jsonSchema
  return {
    ...rest,
    system,
    inference: { ...inference, stopSequences },
    tools,
    toolChoice: toolChoice ?? { auto: {} },
    format: jsonSchema === undefined ? undefined : { ...jsonSchema, schema: JSON.parse(jsonSchema.schema) },
  }
}

describe('recorded calls to Bedrock', { skip }, () => {
  for (const [file, model, call] of CALLS) {
    it(`${file} is what would be sent`, () => {
      const recording = recordings.find(each => each.file === `${file}.json`) as Raw
      const sent = recording.request.body
      assert.deepEqual(essence(sentBy(call(sent), model).body), essence(sent))
    })
  }
})
