/*
 * Traffic of Cohere's real API, recorded by other projects, against an independent and simple reading of the same JSON. RECORDINGS names
 * the folder; without it this suite is skipped by name.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { cohere } from '../../../src/providers/cohere/cohere.ts'
import { CUTS } from '../cuts.ts'
import { faultExpected } from '../explained.ts'
import { type Expectation, type Recording, recordingsIn, see, type ToolSeen } from '../reading.ts'

const REASONS: Readonly<Record<string, string>> = {
  COMPLETE: 'stop',
  STOP_SEQUENCE: 'stop',
  MAX_TOKENS: 'length',
  TOOL_CALL: 'tool_calls',
}

type Raw = any

const folder = process.env.RECORDINGS
describe('recorded traffic of Cohere', { skip: folder === undefined && 'RECORDINGS names no folder' }, () => {
  if (folder === undefined) return
  const chats = recordingsIn(join(folder, 'cohere')).filter(({ api }) => api === 'cohere.v2.chat')
  test('is there', () => assert.ok(chats.length > 30))
  for (const recording of chats) {
    if (recording.error !== undefined) {
      test(`${recording.file} fails as ${recording.error.class}`, () => {
        assert.equal(see(cohere, recording).fault, faultExpected(`cohere/${recording.file}`, recording))
      })
    } else test(recording.file, () => verify(recording))
  }
})

function verify(recording: Recording): void {
  const plain = recording.response.raw === undefined ? readWhole(recording.response.body) : readStream(recording.response.raw)
  for (const [manner, cut] of CUTS) {
    const { events, malformed, detail, ...seen } = see(cohere, recording, cut)
    assert.equal(malformed, 0)
    assert.deepEqual(seen, plain, `${manner}: ${detail}`)
    assert.equal(events[0]?.type, 'start')
  }
}

function readWhole({ message, finish_reason, usage }: Raw): Expectation {
  const blocks: Raw[] = message.content ?? []
  const tools = (message.tool_calls ?? []).map((call: Raw) => ({
    id: call.id,
    name: call.function.name,
    arguments: call.function.arguments || '{}',
  }))
  return expectation(
    blocks.map(block => block.text ?? '').join(''),
    (message.tool_plan ?? '') + blocks.map(block => block.thinking ?? '').join(''),
    tools,
    finish_reason,
    usage,
  )
}

function readStream(raw: string): Expectation {
  let text = ''
  let reasoning = ''
  let end: Raw
  const tools: { id: string; name: string; arguments: string }[] = []
  for (const line of raw.split(/\r?\n/)) {
    if (!line.startsWith('data:') || line.includes('[DONE]')) continue
    const event: Raw = JSON.parse(line.slice(5))
    const message = event.delta?.message
    if (event.type === 'content-delta') text += message.content.text ?? ''
    if (event.type === 'content-delta') reasoning += message.content.thinking ?? ''
    if (event.type === 'tool-plan-delta') reasoning += message.tool_plan
    if (event.type === 'tool-call-start')
      tools[event.index] = { id: message.tool_calls.id, name: message.tool_calls.function.name, arguments: '' }
    if (event.type === 'tool-call-delta') tools[event.index]!.arguments += message.tool_calls.function.arguments
    if (event.type === 'message-end') end = event.delta
  }
  for (const tool of tools) tool.arguments ||= '{}'
  return expectation(text, reasoning, tools, end.finish_reason, end.usage)
}

function expectation(text: string, reasoning: string, tools: readonly ToolSeen[], finish: string, usage: Raw): Expectation {
  const { tokens, cached_tokens: cached } = usage
  const { input_tokens: input, output_tokens: output, reasoning_tokens: thought, image_tokens: images = 0 } = tokens
  return {
    ...(text === '' ? {} : { text }),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(tools.length === 0 ? {} : { tools }),
    finish: REASONS[finish]!,
    usage: {
      input: input + images - (cached ?? 0),
      ...(cached === undefined ? {} : { cached }),
      output: output - (thought ?? 0),
      ...(thought === undefined ? {} : { reasoning: thought }),
    },
  }
}
