/* Whatever comes over the wire, a provider answers with events or with a Fault: never with an exception, never without end. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Fault } from '../../src/core/fault.ts'
import { tryParse } from '../../src/core/json.ts'
import { providers } from '../../src/providers/registry.ts'
import { chance } from '../core/random.ts'
import { mutated } from './mutations.ts'
import { recordingsIn, see } from './reading.ts'

const TIMES = 4_000
const FOLDER = join(import.meta.dirname, 'recordings')

for (const name of ['azure', 'cohere', 'gemini', 'ollama', 'vertex']) {
  const provider = providers.get(name)!
  const recordings = recordingsIn(join(FOLDER, name))

  test(`damaged streams of ${name} are events and at most one end, or a fault`, () => {
    const luck = chance()
    const streams = recordings.filter(({ stream }) => stream)
    for (let i = 0; i < TIMES; i++) {
      const recording = luck.pick(streams)
      const raw = mutated(recording.response.raw ?? '', luck)
      try {
        const { events } = see(provider, { ...recording, response: { ...recording.response, raw } })
        assert.ok(events.length <= raw.length, 'no more events than there are bytes')
      } catch (thrown) {
        assert.fail(`seed ${luck.seed}, ${recording.file}: ${(thrown as Error).stack}\n${raw}`)
      }
    }
  })

  test(`damaged answers and errors of ${name} are events or a fault`, () => {
    const luck = chance()
    const whole = recordings.filter(({ stream, response }) => !stream && response.body !== undefined)
    for (let i = 0; i < TIMES; i++) {
      const recording = luck.pick(whole)
      const text = mutated(JSON.stringify(recording.response.body), luck)
      const { status, headers = {} } = recording.response
      try {
        const body = tryParse(text)
        assert.ok(provider.classify({ status, headers, body, text, receivedMs: 0 }) instanceof Fault)
        provider.decode(body)
      } catch (thrown) {
        assert.ok(thrown instanceof Fault, `seed ${luck.seed}, ${recording.file}: ${(thrown as Error).stack}\n${text}`)
      }
    }
  })
}
