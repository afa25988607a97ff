/* The official OpenAI SDK as a client: what its users see through the gateway is what they see at OpenAI. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import OpenAI, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from 'openai'
import { SPOKEN } from '../../src/config/simulation.ts'
import { pair } from '../support/routes.ts'
import { HELLO, type Running, running, until } from '../support/running.ts'

const ANSWER = 'One two three four five six seven eight nine ten eleven twelve.'
const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} as const

describe('the official openai SDK', () => {
  const open: Running[] = []
  const start = async (options: Parameters<typeof pair>[0] & { apiKey?: string } = {}) => {
    const { apiKey = 'unused', ...rest } = options
    const gateway = await running(pair({ answer: ANSWER, ...rest }))
    open.push(gateway)
    return { gateway, client: new OpenAI({ apiKey, baseURL: `${gateway.url}/v1` }) }
  }
  after(() => Promise.all(open.map(gateway => gateway.close())))

  for (const speaks of SPOKEN) {
    describe(`in front of a provider that speaks ${speaks}`, () => {
      it('gets a whole answer', async () => {
        const { client } = await start({ speaks })
        const { data, response, request_id } = await client.chat.completions
          .create({ model: 'pair', messages: [...HELLO] })
          .withResponse()
        assert.equal(data.choices[0]!.message.content, ANSWER)
        assert.equal(data.choices[0]!.finish_reason, 'stop')
        assert.ok(data.usage!.total_tokens > 0)
        assert.equal(data.object, 'chat.completion')
        assert.equal(response.headers.get('x-understudy-target'), 'primary/model-a')
        assert.ok(request_id)
      })

      it('gets a stream, with its usage', async () => {
        const { client } = await start({ speaks })
        const stream = await client.chat.completions.create({
          model: 'pair',
          messages: [...HELLO],
          stream: true,
          stream_options: { include_usage: true },
        })
        let text = ''
        let usage: OpenAI.CompletionUsage | null | undefined
        for await (const chunk of stream) {
          text += chunk.choices[0]?.delta.content ?? ''
          usage = chunk.usage ?? usage
        }
        assert.equal(text, ANSWER)
        assert.ok(usage!.completion_tokens > 0)
      })

      it('goes through a tool loop, streamed and whole', async () => {
        const { client } = await start({ speaks })
        const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Rome?' }]
        const asked = await client.chat.completions.stream({ model: 'pair', messages, tools: [WEATHER] }).finalChatCompletion()
        const { message, finish_reason } = asked.choices[0]!
        assert.equal(finish_reason, 'tool_calls')
        const [call] = message.tool_calls!
        assert.ok(call?.type === 'function')
        assert.equal(call.function.name, 'get_weather')
        assert.equal(typeof JSON.parse(call.function.arguments).city, 'string')
        messages.push(message, { role: 'tool', tool_call_id: call.id, content: 'Sunny, 31 degrees' })
        const answered = await client.chat.completions.create({ model: 'pair', messages, tools: [WEATHER] })
        assert.match(answered.choices[0]!.message.content!, /Sunny, 31 degrees/)
        assert.equal(answered.choices[0]!.finish_reason, 'stop')
      })

      it('gets two tool calls at once', async () => {
        const { client } = await start({ speaks })
        const time = { type: 'function', function: { name: 'get_time', parameters: { type: 'object', properties: {} } } } as const
        const { choices } = await client.chat.completions.create({
          model: 'pair',
          messages: [{ role: 'user', content: 'Call both tools.' }],
          tools: [WEATHER, time],
        })
        const names = choices[0]!.message.tool_calls!.map(call => call.type === 'function' && call.function.name)
        assert.deepEqual(names, ['get_weather', 'get_time'])
      })

      it('gets structured output', async () => {
        const { client } = await start({ speaks })
        const schema = {
          type: 'object',
          properties: { name: { type: 'string' }, age: { type: 'integer' } },
          required: ['name', 'age'],
          additionalProperties: false,
        }
        const { choices } = await client.chat.completions.create({
          model: 'pair',
          messages: [...HELLO],
          response_format: { type: 'json_schema', json_schema: { name: 'person', schema, strict: true } },
        })
        const person = JSON.parse(choices[0]!.message.content!)
        assert.deepEqual(Object.keys(person).sort(), ['age', 'name'])
        assert.equal(choices[0]!.finish_reason, 'stop')
      })

      it('sees a recovered stream as an ordinary one, signs of life included', async () => {
        const { client, gateway } = await start({
          speaks,
          script: [{ slow_tokens: '40ms', cut_after: 4 }],
          route: { heartbeat: '10ms' },
        })
        const read = client.chat.completions.stream({ model: 'pair', messages: [...HELLO] })
        const { choices } = await read.finalChatCompletion()
        assert.deepEqual([choices[0]!.message.content, choices[0]!.finish_reason], [ANSWER, 'stop'])
        assert.equal(await gateway.metric('llm_stream_endings_total', { ending: 'recovered' }), 1)
      })

      it('sees a stream that is cut as an error, and not as a short answer', async () => {
        const { client } = await start({ speaks, script: [{ cut_after: 4, cut_how: 'clean' }], route: { recover: 'off' } })
        const stream = await client.chat.completions.create({ model: 'pair', messages: [...HELLO], stream: true })
        let text = ''
        await assert.rejects(
          async () => {
            for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
          },
          (error: APIError) => error instanceof APIError && error.code === 'upstream_truncated',
        )
        assert.ok(ANSWER.startsWith(text) && text !== '')
      })
    })
  }

  it('continues a conversation at another provider when the first one fails, tool calls and their ids included', async () => {
    const { gateway, client } = await start({ backupSpeaks: 'anthropic' })
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Rome?' }]
    const asked = await client.chat.completions.create({ model: 'pair', messages, tools: [WEATHER] })
    const { message } = asked.choices[0]!
    gateway.simulators.get('primary')!.script([{ status: 503 }])
    messages.push(message, { role: 'tool', tool_call_id: message.tool_calls![0]!.id, content: 'Sunny' })
    const { data, response } = await client.chat.completions.create({ model: 'pair', messages, tools: [WEATHER] }).withResponse()
    assert.equal(response.headers.get('x-understudy-target'), 'backup/model-b')
    assert.match(data.choices[0]!.message.content!, /Sunny/)
  })

  describe('sees errors as its own classes', () => {
    const clients = {
      clients: [{ name: 'team', key: 'team-key', routes: ['alone'] }],
    }
    const cases = [
      ['a wrong key', AuthenticationError, 401, 'invalid_api_key', { more: clients, apiKey: 'wrong' }, 'alone'],
      ['a route it may not use', PermissionDeniedError, 403, 'model_not_allowed', { more: clients, apiKey: 'team-key' }, 'pair'],
      ['an unknown model', NotFoundError, 404, 'model_not_found', {}, 'nothing'],
      [
        'a refused call',
        BadRequestError,
        400,
        'odd',
        {
          script: [{ status: 400, body: { error: { message: 'No.', type: 'invalid_request_error', code: 'odd', param: null } } }],
        },
        'alone',
      ],
      [
        'rate limits everywhere',
        RateLimitError,
        429,
        'all_targets_failed',
        { script: [{ status: 429, headers: { 'retry-after': '30' } }] },
        'alone',
      ],
      ['failures everywhere', InternalServerError, 502, 'all_targets_failed', { script: [{ status: 500 }] }, 'alone'],
      ['an upstream that hangs', InternalServerError, 504, 'all_targets_failed', { script: [{ never_answer: true }] }, 'alone'],
    ] as const
    for (const [what, type, status, code, options, model] of cases) {
      it(`${what}: ${type.name}, and asks once`, async () => {
        const { gateway, client } = await start(options as Parameters<typeof start>[0])
        await assert.rejects(client.chat.completions.create({ model, messages: [...HELLO] }), (error: APIError) => {
          assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`)
          assert.equal(error.status, status)
          assert.equal(error.code, code)
          assert.ok(error.requestID)
          return true
        })
        assert.equal(await gateway.metric('llm_requests_total'), 1, 'the SDK does not retry')
      })
    }
  })

  it('makes no more upstream attempts with one request than the plan says', async () => {
    const { gateway, client } = await start({
      script: [{ status: 503 }],
      primary: { retry: { attempts: 2, backoff: { first: '5ms', max: '10ms' } } },
    })
    gateway.simulators.get('backup')!.script([{ status: 500 }])
    await assert.rejects(client.chat.completions.create({ model: 'pair', messages: [...HELLO] }), InternalServerError)
    assert.equal(gateway.simulators.get('primary')!.counts.total, 3, 'one try and two retries')
    assert.equal(gateway.simulators.get('backup')!.counts.total, 1)
  })

  it('aborts: the upstream is cancelled', async () => {
    const { gateway, client } = await start({ script: [{ slow_tokens: '40ms' }] })
    const stream = await client.chat.completions.create({ model: 'pair', messages: [...HELLO], stream: true })
    for await (const _ of stream) break
    await until('the upstream sees it', () => gateway.simulators.get('primary')!.counts.aborted === 1)

    gateway.simulators.get('primary')!.script([{ never_answer: true }])
    const controller = new AbortController()
    const call = client.chat.completions.create({ model: 'pair', messages: [...HELLO] }, { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await assert.rejects(call, APIUserAbortError)
    await until('the upstream sees it', () => gateway.simulators.get('primary')!.counts.aborted === 2)
  })

  it('lists the models that it may use', async () => {
    const { client } = await start({
      more: { clients: [{ name: 'team', key: 'team-key', routes: ['alone'] }] },
      apiKey: 'team-key',
    })
    const { data } = await client.models.list()
    assert.deepEqual(
      data.map(({ id }) => id),
      ['alone'],
    )
    assert.equal((await client.models.retrieve('alone')).id, 'alone')
  })
})
