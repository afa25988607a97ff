/*
 * Traffic of real providers, recorded by other projects, against an independent and simple reading of the same JSON. The recordings do
 * not belong to this project: RECORDINGS names their folder, and without it this suite is skipped by name.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Usage } from '../../src/core/chat.ts'
import { faultExpected, readerOf } from './explained.ts'
import { type Recording, recordingsIn, see, type ToolSeen } from './reading.ts'

const FOLDER = process.env.RECORDINGS

/** Where the counts do not add up. */
const ODD_COUNTS: readonly { readonly file: RegExp; readonly because: string }[] = [
  { file: /^mistral\/.*streaming_agent_sends_audio/, because: 'audio is counted in the total, and not in the prompt' },
]

if (FOLDER === undefined) {
  test('real recordings decode to what their JSON says', { skip: 'RECORDINGS names no folder' }, () => {})
} else {
  assert.ok(existsSync(FOLDER), `RECORDINGS=${FOLDER} is not there`)
  for (const folder of readdirSync(FOLDER, { withFileTypes: true })) {
    if (!folder.isDirectory()) continue
    const chats = recordingsIn(join(FOLDER, folder.name)).filter(recording => recording.api === 'openai.chat')
    if (chats.length === 0) continue
    describe(`real recordings of ${folder.name}`, () => {
      for (const recording of chats) verify(folder.name, recording)
    })
  }
}

function verify(folder: string, recording: Recording): void {
  const provider = readerOf(folder, recording)!
  const name = `${folder}/${recording.file}`
  test(name, () => {
    const seen = see(provider, recording, bytes => cutEvery(bytes, 997))
    const expectedFault = faultExpected(name, recording)
    if (expectedFault !== undefined) {
      assert.equal(seen.fault, expectedFault, seen.detail)
      return
    }
    assert.equal(seen.fault, undefined, seen.detail)
    assert.equal(seen.malformed, 0)
    const plain =
      recording.stream && recording.response.raw !== undefined
        ? readStream(recording.response.raw)
        : readWhole(recording.response.body)
    assert.deepEqual(
      { text: seen.text ?? '', reasoning: seen.reasoning ?? '', tools: seen.tools ?? [], finish: seen.finish },
      plain.answer,
    )
    if (!ODD_COUNTS.some(({ file }) => file.test(name))) verifyUsage(seen.usage, plain.usage)
  })
}

interface Plain {
  readonly answer: { text: string; reasoning: string; tools: ToolSeen[]; finish: string }
  usage: Raw | undefined
}

/** Recorded JSON of many shapes, read without the code under test. */
type Raw = any

function plain(): Plain {
  return { answer: { text: '', reasoning: '', tools: [], finish: '' }, usage: undefined }
}

function readWhole(body: Raw): Plain {
  const read = plain()
  const choice = body.choices[0]
  add(read, choice.message)
  end(read, choice.finish_reason)
  read.usage = body.usage ?? body.x_groq?.usage
  return read
}

function readStream(raw: string): Plain {
  const read = plain()
  let reason = ''
  for (const line of raw.split(/\r?\n/)) {
    if (!line.startsWith('data:') || line.includes('[DONE]')) continue
    const chunk: Raw = JSON.parse(line.slice(5))
    read.usage = chunk.usage ?? chunk.x_groq?.usage ?? read.usage
    for (const choice of chunk.choices ?? []) {
      if (choice.index !== 0) continue
      add(read, choice.delta ?? {})
      if (choice.finish_reason) reason = choice.finish_reason
    }
  }
  end(read, reason)
  return read
}

function add(read: Plain, message: Raw): void {
  const { answer } = read
  const { content } = message
  if (typeof content === 'string') answer.text += content
  else if (Array.isArray(content)) {
    for (const part of content) {
      if (part.type === 'text') answer.text += part.text
      if (part.type === 'thinking') answer.reasoning += part.thinking.map((chunk: Raw) => chunk.text).join('')
    }
  } else if (content) answer.text += JSON.stringify(content)
  answer.reasoning +=
    message.reasoning_content ||
    message.reasoning ||
    (message.reasoning_details ?? []).map((detail: Raw) => detail.text ?? detail.summary ?? '').join('')
  for (const [place, call] of (message.tool_calls ?? []).entries()) {
    const index = call.index ?? place
    const tool = answer.tools[index]
    if (tool === undefined)
      answer.tools[index] = { id: call.id, name: call.function.name, arguments: call.function.arguments ?? '' }
    else answer.tools[index] = { ...tool, arguments: tool.arguments + (call.function.arguments ?? '') }
  }
}

function end({ answer }: Plain, reason: string | null | undefined): void {
  const plainly = ({ eos: 'stop', '': 'stop' } as Record<string, string>)[reason ?? ''] ?? (reason || 'stop')
  answer.finish = plainly === 'stop' && answer.tools.length > 0 ? 'tool_calls' : plainly
}

/** The counts that are told add up to the totals that are told, however a provider splits them. */
function verifyUsage(usage: Usage | undefined, raw: Raw): void {
  if (raw === undefined || raw === null) {
    assert.equal(usage, undefined)
    return
  }
  assert.ok(usage)
  const { input = 0, cached = 0, cacheWrite = 0, output = 0, reasoning = 0 } = usage
  assert.equal(input + cached + cacheWrite, raw.prompt_tokens)
  assert.equal(output + reasoning, raw.total_tokens === undefined ? raw.completion_tokens : raw.total_tokens - raw.prompt_tokens)
  const cachedTold =
    raw.prompt_tokens_details?.cached_tokens ??
    raw.prompt_cache_hit_tokens ??
    raw.cached_tokens ??
    raw.num_cached_tokens ??
    raw.cache_read_input_tokens
  // More cached than there was is as much as there was.
  assert.equal(usage.cached, cachedTold === undefined ? undefined : Math.min(cachedTold, raw.prompt_tokens))
  const reasoningTold = raw.completion_tokens_details?.reasoning_tokens ?? raw.reasoning_tokens
  assert.equal(
    usage.reasoning,
    reasoningTold === undefined ? undefined : Math.min(reasoningTold, raw.total_tokens - raw.prompt_tokens),
  )
}

function cutEvery(bytes: Buffer, size: number): readonly Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size))
  return parts
}
