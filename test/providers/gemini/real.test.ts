/*
 * Recorded traffic of Gemini, at AI Studio and at Vertex, against an independent and simple reading of the same JSON. The recordings do
 * not belong to this project: RECORDINGS names their folder, and without it this suite is skipped by name.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { ChatEvent, Usage } from '../../../src/core/chat.ts'
import type { Provider } from '../../../src/core/provider.ts'
import { providers } from '../../../src/providers/registry.ts'
import { CUTS } from '../cuts.ts'
import { faultExpected } from '../explained.ts'
import { type Recording, recordingsIn, see } from '../reading.ts'

const FOLDER = process.env.RECORDINGS
const FOLDERS = { gemini: 'gemini', vertex: 'vertex', 'local-openai-compatible': 'gemini' } as const

if (FOLDER === undefined) {
  test('real recordings of Gemini decode to what their JSON says', { skip: 'RECORDINGS names no folder' }, () => {})
} else {
  for (const [folder, type] of Object.entries(FOLDERS)) {
    const chats = recordingsIn(join(FOLDER, folder)).filter(({ api }) => /^gemini\.(?:stream)?[gG]enerateContent$/.test(api))
    describe(`real recordings of ${folder}`, () => {
      for (const recording of chats) verify(folder, providers.get(type)!, recording)
    })
  }
}

type Raw = any

function verify(folder: string, provider: Provider, recording: Recording): void {
  const name = `${folder}/${recording.file}`
  const { status, raw, body } = recording.response
  test(name, () => {
    const seen = see(provider, recording)
    if (recording.stream && raw !== undefined && status === 200) {
      for (const [manner, cut] of CUTS) assert.deepEqual(see(provider, recording, cut), seen, manner)
    }
    const expectedFault = faultExpected(name, recording)
    if (expectedFault !== undefined) {
      assert.equal(seen.fault, expectedFault, seen.detail)
      return
    }
    assert.equal(seen.fault, undefined, seen.detail)
    assert.equal(seen.malformed, 0)
    const chunks = raw === undefined ? [body].flat() : readStream(raw)
    const plain = readChunks(chunks)
    assert.deepEqual(
      { text: seen.text ?? '', reasoning: seen.reasoning ?? '', finish: seen.finish },
      { text: plain.text, reasoning: plain.reasoning, finish: plain.finish },
    )
    assert.deepEqual(
      (seen.tools ?? []).map(({ name, arguments: json }) => ({ name, args: JSON.parse(json) })),
      plain.tools,
    )
    assert.deepEqual(signaturesIn(seen.events), plain.signatures)
    verifyUsage(seen.usage, plain.usage)
  })
}

function readStream(raw: string): Raw[] {
  return raw.split(/\r?\n/).flatMap(line => (line.startsWith('data:') ? [JSON.parse(line.slice(5))] : []))
}

const FILTERED = /SAFETY|RECITATION|BLOCKLIST|PROHIBITED|SPII|MODEL_ARMOR/

/** What the first candidate says. */
function readChunks(chunks: readonly Raw[]) {
  const read = { text: '', reasoning: '', tools: [] as Raw[], signatures: [] as string[], finish: '', usage: undefined as Raw }
  let reason = 'STOP'
  for (const chunk of chunks) {
    read.usage = chunk.usageMetadata ?? read.usage
    for (const candidate of chunk.candidates ?? []) {
      if ((candidate.index ?? 0) !== 0) continue
      reason = candidate.finishReason ?? reason
      for (const part of candidate.content?.parts ?? []) {
        if (part.functionCall && !part.functionCall.name) continue
        if (part.functionCall) read.tools.push({ name: part.functionCall.name, args: part.functionCall.args ?? {} })
        else if (part.thought) read.reasoning += part.text
        else read.text += part.text ?? ''
        if (part.thoughtSignature && (part.functionCall || part.text !== undefined)) read.signatures.push(part.thoughtSignature)
      }
    }
  }
  read.finish =
    reason === 'MAX_TOKENS' ? 'length' : FILTERED.test(reason) ? 'content_filter' : read.tools.length > 0 ? 'tool_calls' : 'stop'
  return read
}

function signaturesIn(events: readonly ChatEvent[]): readonly string[] {
  return events.flatMap((event: Raw) =>
    event.choice === 0 ? ((event.extra ?? event.fields)?.extra_content?.google?.thought_signature ?? []) : [],
  )
}

/** The counts that are told add up to the total that is told. */
function verifyUsage(usage: Usage | undefined, raw: Raw): void {
  if (raw?.promptTokenCount === undefined) {
    assert.equal(usage, undefined)
    return
  }
  assert.ok(usage)
  const { input = 0, cached = 0, output = 0, reasoning = 0 } = usage
  assert.equal(input + cached, raw.promptTokenCount + (raw.toolUsePromptTokenCount ?? 0))
  assert.equal(input + cached + output + reasoning, raw.totalTokenCount)
  assert.equal(usage.cached, raw.cachedContentTokenCount)
  assert.equal(usage.reasoning, raw.thoughtsTokenCount)
}
