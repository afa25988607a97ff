/* LangChain as a client: a recovered stream is an ordinary one to it, a broken one is an error and no short answer. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { AIMessageChunk } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { pair } from '../support/routes.ts'
import { type Running, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'
const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const

describe('LangChain', () => {
  const open: Running[] = []
  const start = async (options: Parameters<typeof pair>[0] = {}) => {
    const gateway = await running(pair({ answer: ANSWER, ...options }))
    open.push(gateway)
    const model = new ChatOpenAI({
      model: 'pair',
      apiKey: 'unused',
      maxRetries: 0,
      configuration: { baseURL: `${gateway.url}/v1` },
    })
    const simulator = (name: string) => gateway.simulators.get(name)!
    return { gateway, simulator, model }
  }
  after(() => Promise.all(open.map(gateway => gateway.close())))

  /** All chunks put together as LangChain does it; what came before an error is handed to `soFar`. */
  async function gathered(stream: AsyncIterable<AIMessageChunk>, soFar: (text: string) => void = () => {}) {
    let all: AIMessageChunk | undefined
    for await (const chunk of stream) {
      all = all === undefined ? chunk : all.concat(chunk)
      soFar(all.text)
    }
    return all!
  }

  for (const speaks of ['openai', 'anthropic'] as const) {
    describe(`in front of a provider that speaks ${speaks}`, () => {
      it('gets a whole answer, and a stream with its usage', async () => {
        const { model } = await start({ speaks })
        assert.equal((await model.invoke('Hello')).text, ANSWER)
        const all = await gathered(await model.stream('Hello'))
        assert.equal(all.text, ANSWER)
        assert.equal(all.response_metadata.finish_reason, 'stop')
        assert.ok((all.usage_metadata as any).output_tokens > 0)
      })

      it('sees a recovered stream as an ordinary one', async () => {
        const { model, gateway } = await start({ speaks, script: [{ cut_after: 4 }] })
        const all = await gathered(await model.stream('Hello'))
        assert.equal(all.text, ANSWER)
        assert.equal(all.response_metadata.finish_reason, 'stop')
        assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'recovered' }), 1)
      })

      for (const [script, code] of [
        [{ cut_after: 4, cut_how: 'clean' }, 'upstream_truncated'],
        [{ stall_after: 4 }, 'upstream_stalled'],
      ] as const) {
        it(`sees a stream that breaks off (${Object.keys(script)[0]}) as an error`, async () => {
          const { model } = await start({ speaks, script: [script], route: { recover: 'off' } })
          let text = ''
          const reading = gathered(await model.stream('Hello'), soFar => {
            text = soFar
          })
          await assert.rejects(reading, { code })
          assert.ok(ANSWER.startsWith(text) && text !== '' && text !== ANSWER)
        })
      }

      it('is not disturbed by signs of life', async () => {
        const { model } = await start({ speaks, script: [{ slow_tokens: '60ms' }], route: { heartbeat: '15ms' } })
        assert.equal((await gathered(await model.stream('Hello'))).text, ANSWER)
      })

      it('streams a tool call', async () => {
        const { model } = await start({ speaks })
        let chunks = 0
        const all = await gathered(await model.bindTools([WEATHER]).stream('What is the weather in Rome?'), () => chunks++)
        assert.deepEqual(
          all.tool_calls!.map(({ name, args }) => [name, typeof args.city]),
          [['get_weather', 'string']],
        )
        assert.ok(chunks > 2, 'piece by piece')
      })

      it('sees a stream that breaks off within a tool call as an error', async () => {
        const { model } = await start({ speaks, script: [{ cut_after: 2 }] })
        const reading = gathered(await model.bindTools([WEATHER]).stream('What is the weather in Rome?'))
        await assert.rejects(reading, { code: 'upstream_truncated' })
      })
    })
  }

  it('aborts: the upstream is cancelled', async () => {
    const { simulator, model } = await start({ script: [{ slow_tokens: '40ms' }] })
    const leaving = new AbortController()
    const reading = gathered(await model.stream('Hello', { signal: leaving.signal }), text => text !== '' && leaving.abort())
    await assert.rejects(reading, /abort/i)
    await until('the upstream sees it', () => simulator('primary').counts.aborted === 1)
  })
})
