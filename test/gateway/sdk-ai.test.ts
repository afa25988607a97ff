/* The Vercel AI SDK as a client: a recovered stream is an ordinary one to it, a broken one is an error and no short answer. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai'
import { pair } from '../support/routes.ts'
import { type Running, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'
const TOOLS = {
  get_weather: tool({
    description: 'The weather in a city',
    inputSchema: jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }),
    execute: async ({ city }) => `Sunny in ${city}`,
  }),
}

describe('the Vercel AI SDK', () => {
  const open: Running[] = []
  const start = async (options: Parameters<typeof pair>[0] = {}) => {
    const gateway = await running(pair({ answer: ANSWER, ...options }))
    open.push(gateway)
    const provider = createOpenAICompatible({ name: 'understudy', baseURL: `${gateway.url}/v1`, includeUsage: true })
    const simulator = (name: string) => gateway.simulators.get(name)!
    return { gateway, simulator, model: provider('pair') }
  }
  after(() => Promise.all(open.map(gateway => gateway.close())))

  /** All parts of a stream that is not expected to fail by throwing. */
  async function streamed(options: Parameters<typeof streamText>[0]) {
    const errors: unknown[] = []
    const result = streamText({ ...options, onError: ({ error }) => void errors.push(error) })
    const parts = await Array.fromAsync(result.fullStream)
    const text = parts.map(part => (part.type === 'text-delta' ? part.text : '')).join('')
    const finish = parts.findLast(part => part.type === 'finish')
    return { parts, text, errors, finish }
  }

  for (const speaks of ['openai', 'anthropic'] as const) {
    describe(`in front of a provider that speaks ${speaks}`, () => {
      it('gets a whole answer, and a stream with its usage', async () => {
        const { model } = await start({ speaks })
        const { text, finishReason } = await generateText({ model, prompt: 'Hello' })
        assert.deepEqual([text, finishReason], [ANSWER, 'stop'])
        const read = await streamed({ model, prompt: 'Hello' })
        assert.deepEqual([read.text, read.errors, read.finish?.finishReason], [ANSWER, [], 'stop'])
        assert.ok(read.finish!.totalUsage.outputTokens! > 0)
      })

      it('sees a recovered stream as an ordinary one', async () => {
        const { model, gateway } = await start({ speaks, script: [{ cut_after: 4 }] })
        const { text, errors, finish } = await streamed({ model, prompt: 'Hello' })
        assert.deepEqual([text, errors, finish?.finishReason], [ANSWER, [], 'stop'])
        assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'recovered' }), 1)
      })

      for (const script of [{ cut_after: 4, cut_how: 'clean' }, { stall_after: 4 }]) {
        it(`sees a stream that breaks off (${Object.keys(script)[0]}) as an error`, async () => {
          const { model } = await start({ speaks, script: [script], route: { recover: 'off' } })
          const { text, errors, finish } = await streamed({ model, prompt: 'Hello' })
          assert.ok(ANSWER.startsWith(text) && text !== '' && text !== ANSWER)
          assert.equal(errors.length, 1)
          assert.equal(finish?.finishReason, 'error')
        })
      }

      it('is not disturbed by signs of life', async () => {
        const script = [{ slow_tokens: '60ms' }]
        const { model } = await start({ speaks, script, route: { heartbeat: '15ms' } })
        const { text, errors } = await streamed({ model, prompt: 'Hello' })
        assert.deepEqual([text, errors], [ANSWER, []])
      })

      it('streams a tool call, and goes on with its result', async () => {
        const { model } = await start({ speaks })
        const { parts, text, errors } = await streamed({ model, prompt: 'Rome?', tools: TOOLS, stopWhen: stepCountIs(2) })
        const call = parts.find(part => part.type === 'tool-call')
        assert.deepEqual(errors, [])
        assert.equal(call?.toolName, 'get_weather')
        assert.equal(typeof (call?.input as any)?.city, 'string')
        assert.ok(parts.filter(part => part.type === 'tool-input-delta').length > 1, 'piece by piece')
        assert.match(text, /Sunny in/)
      })

      it('sees a stream that breaks off within a tool call as an error', async () => {
        const { model } = await start({ speaks, script: [{ cut_after: 2 }] })
        const { parts, errors } = await streamed({ model, prompt: 'Rome?', tools: TOOLS })
        assert.equal(errors.length, 1)
        assert.equal(
          parts.some(part => part.type === 'tool-result'),
          false,
          'no tool is run with half of its arguments',
        )
      })
    })
  }

  it('aborts: the upstream is cancelled', async () => {
    const { simulator, model } = await start({ script: [{ slow_tokens: '40ms' }] })
    const leaving = new AbortController()
    const result = streamText({ model, prompt: 'Hello', abortSignal: leaving.signal })
    for await (const part of result.fullStream) if (part.type === 'text-delta') leaving.abort()
    await until('the upstream sees it', () => simulator('primary').counts.aborted === 1)
  })

  it('makes one request of a call that fails everywhere, and tells of its code', async () => {
    const { gateway, simulator, model } = await start({ script: [{ status: 500 }] })
    simulator('backup').script([{ status: 500 }])
    await assert.rejects(generateText({ model, prompt: 'Hello', maxRetries: 0 }), (error: unknown) => {
      assert.ok(APICallError.isInstance(error))
      assert.equal(error.statusCode, 502)
      assert.match(error.responseBody!, /all_targets_failed/)
      return true
    })
    assert.equal(await gateway.metric('llm_requests_total'), 1)
  })
})
