import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { type ScriptRule, SPOKEN } from '../../src/config/simulation.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { ask, callTo, config, eventsIn, type Heard, type Request } from './raw-client.ts'

/** What an event of any wire says. */
function kindOf(event: any): string {
  if (event === '[DONE]' || event.type === 'message_stop') return 'done'
  if (event.error !== undefined) return 'error'
  const choice = event.choices?.[0] ?? event.candidates?.[0]
  if ((choice?.finish_reason ?? choice?.finishReason ?? event.delta?.stop_reason ?? null) !== null) return 'finish'
  if ((choice?.delta?.content || choice?.content?.parts[0].text || event.delta?.text || '') !== '') return 'text'
  return (event.usage ?? event.usageMetadata ?? null) !== null ? 'usage' : 'form'
}

for (const speaks of SPOKEN) {
  describe(`on the wire of ${speaks}`, () => {
    let simulator: Simulator | undefined
    after(() => simulator?.close())

    async function under(rule: ScriptRule, stream: boolean, request: Request = {}): Promise<Heard> {
      simulator ??= await startSimulator(config({ speaks }))
      simulator.script([rule])
      return ask(simulator.url, { ...callTo(speaks, stream), ...request })
    }
    const kinds = async (rule: ScriptRule) => eventsIn((await under(rule, true)).body).map(kindOf)
    const last = () => simulator!.calls.at(-1)!

    test('the finish comes twice', async () => {
      assert.equal((await kinds({})).filter(kind => kind === 'finish').length, 1)
      const told = await kinds({ finish_twice: true })
      const at = told.indexOf('finish')
      assert.deepEqual([told[at + 1], told.filter(kind => kind === 'finish').length], ['finish', 2])
      assert.equal(last().ended, 'faulted')
    })

    test('usage comes before the content, and not in its own place', async () => {
      const told = await kinds({ usage_early: true })
      const at = told.indexOf('text')
      assert.equal(told[at - 1], 'usage')
      assert.equal(told.lastIndexOf('usage'), at - 1)
    })

    test('an error comes after the finish, in place of the end', async () => {
      const told = await kinds({ error_after_finish: true })
      assert.deepEqual([told.at(-1), told.includes('finish'), told.includes('done')], ['error', true, false])
    })

    test('content comes after the end', async () => {
      const plain = await kinds({})
      assert.deepEqual(await kinds({ data_after_done: true }), [...plain, 'text'])
      assert.equal(last().tokensSent, 20)
    })

    test('a body breaks off at any byte, in every way, streamed and whole', async () => {
      for (const stream of [true, false]) {
        const { body } = await under({}, stream)
        const bytes = Buffer.byteLength(body)
        for (const at of [0, 1, Math.floor(bytes / 2), bytes - 1]) {
          const cut = await under({ cut_at_byte: at }, stream)
          assert.deepEqual([cut.body.length, cut.endedBy, cut.isComplete], [at, 'reset', false])
          assert.equal(last().ended, 'faulted')
          const half = await under({ cut_at_byte: at, cut_how: 'half-chunk' }, stream)
          assert.deepEqual([half.body.length, half.endedBy, half.isComplete], [at, 'fin', false])
          const clean = await under({ cut_at_byte: at, cut_how: 'clean' }, stream)
          assert.deepEqual([clean.body.length, clean.isComplete], [at, true])
        }
        const stalled = await under({ stall_at_byte: 100 }, stream, { leaveAfterMs: 40 })
        assert.deepEqual([stalled.status, stalled.body.length, stalled.endedBy], [200, 100, 'us'])
        const first = await under({ stall_at_byte: 100, cut_at_byte: 50 }, stream)
        assert.equal(first.body.length, 50)
        const never = await under({ cut_at_byte: bytes }, stream)
        assert.deepEqual([never.body.length, never.isComplete, last().ended], [bytes, true, 'answered'])
      }
    })

    test('whichever of a token and a byte comes first is where it breaks off', async () => {
      for (const stream of [true, false]) {
        assert.equal((await under({ cut_after: 15, cut_at_byte: 120 }, stream)).body.length, 120)
        const { body } = await under({ cut_after: 2, cut_at_byte: 100_000 }, stream)
        assert.ok(body.length > 0 && body.length < 5_000)
      }
    })
  })
}
