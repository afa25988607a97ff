/*
 * Traffic of real Ollamas, recorded by other projects, against an independent and simple reading of the same JSON. RECORDINGS names the
 * folder; without it this suite is skipped by name.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ollama } from '../../../src/providers/ollama/ollama.ts'
import { CUTS } from '../cuts.ts'
import { explained } from '../explained.ts'
import { type Expectation, type Recording, recordingsIn, see } from '../reading.ts'

type Raw = any

const folder = process.env.RECORDINGS
describe('recorded traffic of Ollama', { skip: folder === undefined && 'RECORDINGS names no folder' }, () => {
  if (folder === undefined) return
  const chats = recordingsIn(join(folder, 'ollama')).filter(({ api }) => api === 'ollama.chat')
  test('is there', () => assert.ok(chats.length > 15))
  for (const recording of chats) {
    const odd = explained(`ollama/${recording.file}`)
    if (odd !== undefined && 'choices' in (recording.response.body as object)) {
      test(`${recording.file} is no answer: ${odd.because}`, () => assert.equal(see(ollama, recording).fault, 'upstream-garbled'))
    } else if (recording.error !== undefined) {
      test(`${recording.file} fails as ${recording.error.class}`, () => {
        assert.equal(recording.error!.class, 'model-not-found')
        assert.equal(see(ollama, recording).fault, 'upstream-unknown-model')
      })
    } else test(recording.file, () => verify(recording))
  }
})

function verify(recording: Recording): void {
  const { body, raw } = recording.response
  const lines: Raw[] = raw === undefined ? [body] : raw.split('\n').flatMap(line => (line.trim() ? JSON.parse(line) : []))
  const plain = read(lines)
  for (const [manner, cut] of CUTS) {
    const { events, malformed, detail, tools, ...seen } = see(ollama, recording, cut)
    assert.equal(malformed, 0)
    const made = tools?.map(({ id, ...tool }) => {
      assert.match(id ?? '', /^call_\w+$/)
      return tool
    })
    assert.deepEqual({ ...seen, ...(made === undefined ? {} : { tools: made }) }, plain, `${manner}: ${detail}`)
    assert.equal(events[0]?.type, 'start')
  }
}

function read(lines: readonly Raw[]): Expectation {
  const all = (field: string) => lines.map(({ message }) => message[field] ?? '').join('')
  const tools = lines.flatMap(({ message }) =>
    (message.tool_calls ?? []).map((call: Raw) => ({
      name: call.function.name,
      arguments: JSON.stringify(call.function.arguments),
    })),
  )
  const last = lines.at(-1)
  const { prompt_eval_count: input, eval_count: output } = last
  return {
    ...(all('content') === '' ? {} : { text: all('content') }),
    ...(all('thinking') === '' ? {} : { reasoning: all('thinking') }),
    ...(tools.length === 0 ? {} : { tools }),
    finish: last.done_reason === 'length' ? 'length' : tools.length > 0 ? 'tool_calls' : 'stop',
    ...(input === undefined ? {} : { usage: { input, output } }),
  }
}
