/* Signs of life in streams: while the upstream is silent after the answer has begun, also while others are asked to go on; never before. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type PairOptions, pair } from '../support/routes.ts'
import { HELLO, running } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten.'
const PATIENT = { timeouts: { first_token: '10s', idle: '10s' } }

/** The blocks of a stream as they came: `♥` for a sign of life, `recovered`, `done`, `error`, otherwise the text of the event. */
async function blocksOf(options: PairOptions, backupSlowMs = 0): Promise<readonly string[]> {
  const gateway = await running(pair({ answer: ANSWER, primary: PATIENT, ...options }))
  try {
    if (backupSlowMs > 0) gateway.simulators.get('backup')!.script([{ slow_first_token: backupSlowMs }])
    const response = await gateway.call({ model: 'pair', messages: HELLO, stream: true })
    const blocks = (await response.text()).split('\n\n').filter(block => block !== '')
    return blocks.map(shown)
  } finally {
    await gateway.close()
  }
}

function shown(block: string): string {
  if (block === ': ping') return '♥'
  if (block.startsWith(': recovered')) return 'recovered'
  if (block === 'data: [DONE]') return 'done'
  const { error, choices } = JSON.parse(block.replace(/^data: /, ''))
  return error === undefined ? (choices[0]?.delta.content ?? '') : 'error'
}

const beats = (blocks: readonly string[]) => blocks.filter(block => block === '♥').length
const textOf = (blocks: readonly string[]) =>
  blocks.filter(block => !['♥', 'recovered', 'done', 'error'].includes(block)).join('')
/** The last event with text before this one, and what lies between. */
const between = (blocks: readonly string[], from: string, to: string) =>
  blocks.slice(blocks.indexOf(from) + 1, blocks.indexOf(to))

for (const speaks of ['openai', 'anthropic'] as const) {
  describe(`signs of life in a stream of a provider that speaks ${speaks}`, () => {
    it('come while it is silent between two words', async () => {
      const blocks = await blocksOf({ speaks, script: [{ slow_tokens: '120ms' }], route: { heartbeat: '25ms' } })
      assert.equal(textOf(blocks), ANSWER)
      assert.ok(beats(between(blocks, 'three ', 'four ')) >= 2, blocks.join('|'))
      assert.equal(blocks.at(-1), 'done')
    })

    it('do not come before the answer has begun, however long that takes', async () => {
      const blocks = await blocksOf({ speaks, script: [{ slow_first_token: '250ms' }], route: { heartbeat: '25ms' } })
      assert.equal(textOf(blocks), ANSWER)
      assert.equal(beats(blocks.slice(0, blocks.indexOf('One '))), 0, blocks.join('|'))
    })

    it('do not come with heartbeat: off', async () => {
      const blocks = await blocksOf({ speaks, script: [{ slow_tokens: '60ms' }], route: { heartbeat: 'off' } })
      assert.equal(textOf(blocks), ANSWER)
      assert.equal(beats(blocks), 0)
    })

    it('go on while another target is asked to go on', async () => {
      const script = [{ cut_after: 4 }]
      const blocks = await blocksOf({ speaks, backupSpeaks: 'anthropic', script, route: { heartbeat: '25ms' } }, 300)
      assert.equal(textOf(blocks), ANSWER)
      const waiting = between(blocks, 'four ', 'recovered')
      assert.ok(beats(waiting) >= 4 && beats(waiting) === waiting.length, blocks.join('|'))
      assert.equal(blocks.at(-1), 'done')
    })

    it('end with the stream when it is given up', async () => {
      const timeouts = { first_token: '10s', idle: '250ms' }
      const route = { heartbeat: '25ms', recover: 'off' }
      const blocks = await blocksOf({ speaks, script: [{ stall_after: 4 }], route, primary: { timeouts } })
      assert.ok(beats(between(blocks, 'four ', 'error')) >= 4, blocks.join('|'))
      assert.equal(blocks.at(-1), 'error')
    })
  })
}
