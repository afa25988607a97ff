/* A storm of faults and of clients that leave: afterwards nothing is left over, and every call was settled exactly once. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { pair } from '../support/routes.ts'
import { HELLO, readStream, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'
const CALLS = 1_000
const AT_ONCE = 50

const FAULTS = [
  { share: '6%', status: 503 },
  { share: '6%', status: 429, headers: { 'retry-after-ms': '20' } },
  { share: '6%', refuse: true },
  { share: '6%', never_answer: true },
  { share: '6%', slow_first_token: '1s' },
  { share: '6%', stall_after: 3 },
  { share: '6%', cut_after: 3 },
  { share: '6%', cut_after: 4, cut_how: 'clean' },
  { share: '6%', cut_after: 4, cut_how: 'half-chunk' },
  { share: '6%', garbled_at: 2 },
  { share: '6%', no_done: true },
  { share: '6%', empty_choices: true },
  { share: '6%', error_in_200: { type: 'server_error', message: 'x', after: 2 } },
  { share: '6%', html: true },
  { share: '6%', slow_tokens: '10ms' },
]

/** A clock that knows how many of its timers wait. */
function countingClock(): Clock & { waiting(): number } {
  const waiting = new Set<object>()
  return {
    ...systemClock,
    after(ms, run) {
      const timer = {}
      waiting.add(timer)
      const cancel = systemClock.after(ms, () => {
        waiting.delete(timer)
        run()
      })
      return () => {
        waiting.delete(timer)
        cancel()
      }
    },
    waiting: () => waiting.size,
  }
}

/** Numbers that look random and are the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe('a storm of faults', () => {
  for (const [speaks, recover] of [
    ['openai', 'off'],
    ['openai', 'splice'],
    ['anthropic', 'splice'],
    ['anthropic', 'hold'],
    ['gemini', 'splice'],
  ] as const) {
    it(`leaves nothing behind, from a provider that speaks ${speaks}, with recover: ${recover}`, async t => {
      const seed = Number(process.env.SEED ?? 1 + Math.floor(Math.random() * 1e9))
      t.diagnostic(`SEED=${seed}`)
      const random = seeded(seed)
      const clock = countingClock()
      const timeouts = { connect: '500ms', first_token: '200ms', idle: '150ms', total: '2s' }
      const text = pair({
        speaks,
        script: FAULTS,
        answer: ANSWER,
        route: { recover },
        primary: { timeouts, circuit: { failures: 1_000, min_calls: 100_000 } },
      })
      const gateway = await running(text, { clock })
      const idleTimers = clock.waiting()
      // A client may leave before its request has reached us.
      let arrived = 0
      gateway.server.app.server.on('request', () => arrived++)
      const seen = { whole: 0, broken: 0, refused: 0, left: 0 }

      async function one(): Promise<void> {
        const stream = random() < 0.6
        const leaving = new AbortController()
        const leaves = random() < 0.1
        if (leaves) setTimeout(() => leaving.abort(), random() * 60)
        try {
          const response = await gateway.call({ model: 'pair', messages: HELLO, stream }, { signal: leaving.signal })
          if (response.status !== 200) {
            await response.text()
            seen.refused++
          } else if (stream) {
            const { text, done, error } = await readStream(response)
            assert.notEqual(done, error !== undefined, 'a stream is complete, or it says that it is not')
            if (error !== undefined) {
              assert.ok(ANSWER.startsWith(text))
              seen.broken++
            } else seen.whole++
          } else {
            const body = (await response.json()) as any
            assert.equal(body.choices[0].message.content, ANSWER)
            seen.whole++
          }
        } catch (error) {
          if (!leaves) throw error
          seen.left++
        }
      }

      let begun = 0
      const lane = async () => {
        while (begun++ < CALLS) await one()
      }
      try {
        await Promise.all(Array.from({ length: AT_ONCE }, lane))
        t.diagnostic(JSON.stringify(seen))
        assert.ok(seen.whole > CALLS / 2 && seen.left > 0)
        assert.equal(seen.broken > 0, recover === 'off', 'the backup goes on where the primary broke off')
        const refused = gateway.logs().filter(({ ending }) => ending === 'refused')
        assert.deepEqual(refused, [], 'the backup is well')
        assert.equal(seen.refused, 0)

        const { primary, backup } = Object.fromEntries(gateway.simulators)
        await until('no upstream call is open', () => primary!.counts.open + backup!.counts.open === 0)
        await until('every call is settled', async () => (await gateway.metric('llm_requests_total')) === arrived)
        assert.equal(gateway.logs().filter(({ msg }) => msg === 'call').length, arrived, 'one line per call')
        assert.equal(await gateway.metric('llm_in_flight'), 0)
        assert.equal(gateway.server.active(), 0)
        const { keys, paces } = gateway.assembled.gateway
        for (const { id } of gateway.assembled.targets) assert.equal(paces.inFlight(id), 0)
        for (const provider of ['primary', 'backup']) assert.equal(keys.status(provider)[0]!.inFlight, 0)
        await until('no timer is left', () => clock.waiting() <= idleTimers)
      } finally {
        await gateway.close()
      }
    })
  }
})
