/* A client that leaves while its answer is recovered, or afterwards: what the others used is written down before the call is closed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import { pair } from '../support/routes.ts'
import { HELLO, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'

async function leftAt(backupScript: readonly ScriptRule[], leave: (soFar: string) => boolean) {
  const gateway = await running(pair({ answer: ANSWER, script: [{ cut_after: 4, cut_how: 'clean' }] }))
  gateway.simulators.get('backup')!.script(backupScript)
  const leaving = new AbortController()
  const response = await gateway.call({ model: 'pair', messages: HELLO, stream: true }, { signal: leaving.signal })
  let soFar = ''
  await assert.rejects(async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      soFar += chunk
      if (!leave(soFar)) continue
      await until('the backup is asked', () => gateway.simulators.get('backup')!.counts.total === 1)
      leaving.abort()
    }
  }, /abort/i)
  await until('it is closed', async () => (await gateway.metric('llm_requests_total')) === 1)
  await until('nothing is under way', async () => (await gateway.metric('llm_in_flight')) === 0)
  const line = gateway.logs().find(({ msg }) => msg === 'call')!
  return { gateway, line }
}

describe('a client that leaves', () => {
  it('while another target is asked to go on: that attempt is in the log line, too', async () => {
    const { gateway, line } = await leftAt([{ never_answer: true }], soFar => soFar.includes('four'))
    try {
      assert.equal(line.ending, 'abandoned')
      assert.deepEqual(
        line.attempts.map(({ target, outcome, role }: any) => [target, outcome, role]),
        [
          ['primary/model-a', 'answered', undefined],
          ['backup/model-b', 'client-gone', 'splice'],
        ],
      )
      assert.equal(await gateway.metric('llm_attempts_total'), 2)
    } finally {
      await gateway.close()
    }
  })

  it('after another target went on: what that one used by then is counted', async () => {
    const { gateway, line } = await leftAt([{ slow_tokens: 60 }], soFar => soFar.includes('seven'))
    try {
      assert.equal(line.ending, 'abandoned')
      assert.ok((await gateway.metric('llm_tokens_total', { target: 'primary/model-a', kind: 'output' })) > 0)
      assert.ok((await gateway.metric('llm_tokens_total', { target: 'backup/model-b', kind: 'output' })) > 0)
    } finally {
      await gateway.close()
    }
  })
})
