/*
 * Every provider as a client sees it: a stand-in that speaks the provider's own wire behind a whole gateway, OpenAI as its fallback, and
 * the official OpenAI SDK in front. Whoever answers, and whoever fails on the way, the SDK sees OpenAI; and whatever has been said so far
 * and by whom, the provider that goes on with it is given a conversation that it takes.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import OpenAI from 'openai'
import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream'
import { providers } from '../../src/providers/registry.ts'
import { type RecordedServer, type Refusal, recordedServer } from '../support/recorded-server.ts'
import { HELLO, type Running, running } from '../support/running.ts'
import { ANSWER } from '../support/wires/scene.ts'
import { STAND_INS, type StandIn } from '../support/wires/wires.ts'

const offer = (name: string, description: string) =>
  ({
    type: 'function',
    function: { name, description, parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } },
  }) as const
const TOOLS = [offer('get_weather', 'The weather in a city'), offer('get_time', 'The time in a city')]
const DOWN: Refusal = { status: 503, body: {} }

type Messages = OpenAI.ChatCompletionMessageParam[]

interface Place {
  readonly gateway: Running
  readonly client: OpenAI
  readonly tested: RecordedServer
  readonly fallback: RecordedServer
}

describe('every provider', () => {
  const open: { close(): Promise<void> }[] = []
  after(() => Promise.all(open.map(each => each.close())))

  it('has a stand-in', () => {
    assert.deepEqual(Object.keys(STAND_INS).sort(), [...providers.keys()].sort())
  })

  async function start(type: string, { wire, model, base }: StandIn): Promise<Place> {
    const tested = await recordedServer(wire)
    const fallback = await recordedServer(STAND_INS.openai!.wire)
    const retry = { attempts: 0 }
    const gateway = await running(
      JSON.stringify({
        telemetry: { headers: 'full' },
        providers: {
          tested: { type, base_url: tested.url + base, keys: ['key-of-tested'], retry },
          fallback: { type: 'openai', base_url: `${fallback.url}/v1`, keys: ['key-of-fallback'], retry },
        },
        routes: {
          here: { targets: [`tested/${model}`], fallbacks: ['fallback/gpt-4o'] },
          there: { targets: ['fallback/gpt-4o'], fallbacks: [`tested/${model}`] },
        },
      }),
    )
    open.push(gateway, tested, fallback)
    return {
      gateway,
      client: new OpenAI({ apiKey: 'unused', baseURL: `${gateway.url}/v1`, maxRetries: 0 }),
      tested,
      fallback,
    }
  }

  for (const [type, standIn] of Object.entries(STAND_INS)) {
    const target = `tested/${standIn.model}`

    describe(type, () => {
      it('answers whole as OpenAI does', async () => {
        const { client, tested, fallback } = await start(type, standIn)
        const { data, response } = await client.chat.completions
          .create({ model: 'here', messages: [...HELLO], max_tokens: 500 })
          .withResponse()
        assert.equal(response.headers.get('x-understudy-target'), target)
        assert.equal(data.object, 'chat.completion')
        assert.equal(data.choices.length, 1)
        const { message, finish_reason, index } = data.choices[0]!
        assert.deepEqual([index, message.role, message.content, finish_reason], [0, 'assistant', ANSWER, 'stop'])
        assertCounted(data.usage)
        assert.ok(data.id.length > 0 && data.created > 0)
        assert.equal(response.headers.has('x-understudy-cost-usd'), standIn.priced)
        assert.deepEqual([tested.problems, fallback.calls], [[], []])
      })

      it('streams as OpenAI does, usage included', async () => {
        const { client, tested, fallback } = await start(type, standIn)
        const { data, response } = await client.chat.completions
          .create({ model: 'here', messages: [...HELLO], stream: true, stream_options: { include_usage: true } })
          .withResponse()
        const chunks: OpenAI.ChatCompletionChunk[] = []
        for await (const chunk of data) chunks.push(chunk)
        assert.equal(response.headers.get('x-understudy-target'), target)
        const deltas = chunks.flatMap(chunk => chunk.choices)
        assert.equal(deltas.map(choice => choice.delta.content ?? '').join(''), ANSWER)
        assert.deepEqual(
          deltas.flatMap(choice => choice.finish_reason ?? []),
          ['stop'],
        )
        const { usage, choices } = chunks.at(-1)!
        assertCounted(usage)
        assert.deepEqual(choices, [])
        assert.equal(chunks.filter(chunk => chunk.usage).length, 1)
        assert.equal(new Set(chunks.map(chunk => chunk.id).filter(id => id !== '')).size, 1)
        assert.deepEqual([tested.problems, fallback.calls], [[], []])
      })

      it('is out of its limit, and nobody notices', async () => {
        const limited = recordedLimit(type)
        for (const stream of [false, true]) {
          const { client, tested, fallback } = await start(type, standIn)
          tested.fail(limited)
          const { content, headers } = await asked(client, { model: 'here', messages: [...HELLO] }, stream)
          assert.equal(content, ANSWER)
          assert.equal(headers.get('x-understudy-target'), 'fallback/gpt-4o')
          assert.ok(headers.get('x-understudy-trail')!.startsWith(`${target};upstream-rate-limited;`))
          assert.deepEqual([tested.calls.length, fallback.calls.length], [1, 1])
          assert.deepEqual([tested.problems, fallback.problems], [[], []])
        }
      })

      if (standIn.toolless === true) {
        it('is passed over where tools are needed', async () => {
          const { client, tested } = await start(type, standIn)
          const { calls, headers } = await asked(client, weather('here', 'What is the weather in Rome?'), false)
          assert.equal(calls.length, 1)
          assert.match(headers.get('x-understudy-trail')!, new RegExp(`^${target};passed-over:incapable;`))
          assert.deepEqual(tested.calls, [])
        })
        return
      }

      for (const stream of [false, true]) {
        it(`goes through a tool loop, ${stream ? 'streamed' : 'whole'}`, async () => {
          const { client, tested, fallback } = await start(type, standIn)
          const first = weather('here', 'What is the weather in Rome?')
          const said = await asked(client, first, stream)
          assert.equal(said.finish, 'tool_calls')
          assertCalls(said.calls, ['get_weather'])
          const messages = [...first.messages, said.message, ...results(said.calls, 'Sunny, 31 degrees')]
          const answered = await asked(client, { ...first, messages }, stream)
          assert.equal(answered.headers.get('x-understudy-target'), target)
          assert.equal(answered.content, 'The tool returned: Sunny, 31 degrees')
          assert.equal(answered.finish, 'stop')
          assert.deepEqual(answered.calls, [])
          assert.deepEqual([tested.problems, fallback.calls], [[], []])
        })

        it(`begins a conversation that goes to OpenAI and comes back, ${stream ? 'streamed' : 'whole'}`, async () => {
          const place = await start(type, standIn)
          const { tested, fallback } = place
          await travels(place, 'here', stream, tested, fallback)
          assert.deepEqual([tested.problems, fallback.problems], [[], []])
        })

        it(`goes on with a conversation that began at OpenAI, ${stream ? 'streamed' : 'whole'}`, async () => {
          const place = await start(type, standIn)
          const { tested, fallback } = place
          await travels(place, 'there', stream, fallback, tested)
          assert.deepEqual([tested.problems, fallback.problems], [[], []])
        })
      }
    })
  }
})

describe('a conversation with tool calls', () => {
  it('goes on at every provider, whoever began it', async () => {
    const able = Object.entries(STAND_INS).filter(([, { toolless }]) => toolless !== true)
    const servers = new Map<string, RecordedServer>()
    for (const [type, { wire }] of able) servers.set(type, await recordedServer(wire))
    const gateway = await running(
      JSON.stringify({
        providers: Object.fromEntries(
          able.map(([type, { base }]) => [type, { type, base_url: servers.get(type)!.url + base, keys: ['a-key'] }]),
        ),
        routes: Object.fromEntries(able.map(([type, { model }]) => [type, { targets: [`${type}/${model}`] }])),
      }),
    )
    const client = new OpenAI({ apiKey: 'unused', baseURL: `${gateway.url}/v1`, maxRetries: 0 })
    try {
      for (const stream of [false, true]) {
        for (const from of servers.keys()) {
          const first = weather(from, 'The weather and the time in Rome, both please.')
          const { message, calls } = await asked(client, first, stream)
          const messages = [...first.messages, message, ...results(calls, 'Sunny', 'Noon')]
          for (const [to, { problems }] of servers) {
            const told = await asked(client, { ...first, model: to, messages }, stream)
            assert.equal(told.content, 'The tool returned: Sunny; Noon', `from ${from} to ${to}`)
            assert.deepEqual(problems, [], `from ${from} to ${to}`)
          }
        }
      }
    } finally {
      await Promise.all([gateway, ...servers.values()].map(each => each.close()))
    }
  })
})

/**
 * Two calls at once by the one, their results to the other because the one is down, a further question to the other, which calls again,
 * and the results to the one, which is well again.
 */
async function travels(
  { client }: Place,
  route: string,
  stream: boolean,
  one: RecordedServer,
  other: RecordedServer,
): Promise<void> {
  const first = weather(route, 'The weather and the time in Rome, both please.')
  const begun = await asked(client, first, stream)
  assertCalls(begun.calls, ['get_weather', 'get_time'])
  assert.deepEqual([one.calls.length, other.calls.length], [1, 0])

  one.fail(DOWN)
  const withResults = [...first.messages, begun.message, ...results(begun.calls, 'Sunny', 'Noon')]
  const told = await asked(client, { ...first, messages: withResults }, stream)
  assert.equal(told.content, 'The tool returned: Sunny; Noon')
  assert.equal(told.finish, 'stop')
  assert.deepEqual([one.calls.length, other.calls.length], [2, 1])

  const furtherMessages: Messages = [...withResults, told.message, { role: 'user', content: 'And both in Oslo?' }]
  const further = await asked(client, { ...first, messages: furtherMessages }, stream)
  assertCalls(further.calls, ['get_weather', 'get_time'])
  assert.deepEqual([one.calls.length, other.calls.length], [3, 2])

  one.fail(undefined)
  const everything = [...furtherMessages, further.message, ...results(further.calls, 'Rain', 'Night')]
  const last = await asked(client, { ...first, messages: everything }, stream)
  assert.equal(last.content, 'The tool returned: Rain; Night')
  assert.deepEqual([one.calls.length, other.calls.length], [4, 2])
}

interface Asked {
  readonly message: OpenAI.ChatCompletionMessage
  readonly content: string | null
  readonly finish: string
  readonly calls: readonly OpenAI.ChatCompletionMessageFunctionToolCall[]
  readonly headers: Headers
}

/** One call, whole or streamed and then put together by the SDK. */
async function asked(client: OpenAI, call: OpenAI.ChatCompletionCreateParamsNonStreaming, stream: boolean): Promise<Asked> {
  let headers: Headers
  let completion: OpenAI.ChatCompletion
  if (stream) {
    const { data, response } = await client.chat.completions.create({ ...call, stream: true }).withResponse()
    completion = await ChatCompletionStream.fromReadableStream(data.toReadableStream()).finalChatCompletion()
    headers = response.headers
  } else {
    const { data, response } = await client.chat.completions.create(call).withResponse()
    completion = data
    headers = response.headers
  }
  const { message, finish_reason: finish } = completion.choices[0]!
  const calls = (message.tool_calls ?? []).filter(call => call.type === 'function')
  assert.equal(calls.length, message.tool_calls?.length ?? 0)
  return { message, content: message.content, finish, calls, headers }
}

function weather(model: string, content: string): OpenAI.ChatCompletionCreateParamsNonStreaming {
  return {
    model,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content },
    ],
    tools: TOOLS,
  }
}

/** The results of these calls, in their order. */
function results(calls: Asked['calls'], ...contents: readonly string[]): Messages {
  return calls.map((call, index) => ({ role: 'tool', tool_call_id: call.id, content: contents[index]! }))
}

function assertCalls(calls: Asked['calls'], names: readonly string[]): void {
  assert.deepEqual(
    calls.map(call => call.function.name),
    names,
  )
  for (const call of calls) assert.equal(typeof JSON.parse(call.function.arguments).city, 'string')
  assert.equal(new Set(calls.map(call => call.id)).size, names.length)
}

function assertCounted(usage: OpenAI.CompletionUsage | null | undefined): void {
  const { prompt_tokens: input, completion_tokens: output, total_tokens: total } = usage!
  assert.ok(input > 0 && output > 0)
  assert.equal(total, input + output)
}

function recordedLimit(type: string): Refusal {
  const file = new URL(`../providers/recordings/${type}/limited.json`, import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8')).response
}
