/* Every provider over its recordings: wire bytes in, what a client would see out, wherever the network cuts the bytes. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { providers } from '../../src/providers/registry.ts'
import { refusal } from './calls.ts'
import { recordingsIn, type Seen, see } from './reading.ts'

const FOLDER = join(import.meta.dirname, 'recordings')

/** What every provider's recordings show at least; tools only where it has them. */
const AT_LEAST = ['text', 'stream', 'refused', 'limited']
const OF_TOOLS = ['tools', 'stream-tools']
/** Of others the recordings are read beside this file. */
const READ_HERE: ReadonlySet<string> = new Set([
  'openai.chat',
  'cohere.v2.chat',
  'ollama.chat',
  'bedrock.converse',
  'gemini.generateContent',
  'gemini.streamGenerateContent',
  'vertex.anthropic.rawPredict',
])
const TOOLS = { tools: [{ type: 'function', function: { name: 'f' } }] }

for (const [name, provider] of providers) {
  if (!existsSync(join(FOLDER, name))) {
    test(`recordings of ${name}`, () => assert.fail('there are none'))
    continue
  }
  const recordings = recordingsIn(join(FOLDER, name)).filter(({ api }) => READ_HERE.has(api))
  // A provider of another dialect has a reader of its own beside this one.
  if (recordings.length === 0 && provider.dialect !== 'chat') continue

  describe(`recordings of ${name}`, () => {
    test('the plain cases are all there', () => {
      const files = new Set(recordings.map(({ file }) => file.replace(/\.json$/, '')))
      const wanted = refusal(provider, 'm', TOOLS) === undefined ? [...AT_LEAST, ...OF_TOOLS] : AT_LEAST
      assert.deepEqual(
        wanted.filter(file => !files.has(file)),
        [],
      )
    })

    for (const recording of recordings) {
      test(recording.file, () => {
        const { expect } = recording
        assert.ok(expect, 'no expectation')
        const seen = see(provider, recording)
        assert.deepEqual(plainly(seen), expect, seen.detail)
        assert.equal(seen.malformed, 0)
        if (!recording.stream) return
        for (const size of [1, 7, 64])
          assert.deepEqual(
            see(provider, recording, bytes => cutEvery(bytes, () => size)),
            seen,
            `cut every ${size} bytes`,
          )
        for (let seed = 1; seed <= 5; seed++)
          assert.deepEqual(
            see(provider, recording, bytes => cutEvery(bytes, dice(seed))),
            seen,
            `cut at random, seed ${seed}`,
          )
      })
    }
  })
}

function plainly({ events: _, malformed: __, detail: ___, ...rest }: Seen): object {
  return rest
}

function cutEvery(bytes: Buffer, size: () => number): readonly Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + size()
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

/** Sizes from 1 to 90, the same for the same seed. */
function dice(seed: number): () => number {
  let state = seed * 2_654_435_761
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 1 + (state % 90)
  }
}
