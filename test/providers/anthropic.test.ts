/*
 * Anthropic's answers. Our own recordings (recordings/anthropic) say what must come of them; with RECORDINGS=<folder> recorded traffic of
 * the real API is read as well, and compared with a second, simpler reading of the same JSON.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Target } from '../../src/core/attempt.ts'
import type { ChatEvent, Usage } from '../../src/core/chat.ts'
import { Fault, type FaultName } from '../../src/core/fault.ts'
import { tryParse } from '../../src/core/json.ts'
import { eventsOf, type Frame, type UpstreamFailure } from '../../src/core/provider.ts'
import { anthropic } from '../../src/providers/anthropic/anthropic.ts'
import { sseFramer } from '../../src/upstream/framing.ts'
import { FAULT_OF_CLASS } from './explained.ts'

interface Recording {
  readonly api: string
  readonly stream: boolean
  readonly tags?: readonly string[]
  readonly error?: { readonly class: string }
  readonly response: {
    readonly status: number
    readonly headers: Record<string, string>
    readonly body?: unknown
    readonly raw?: string
  }
  readonly expect?: Expected
}

interface Expected {
  readonly text?: string
  readonly reasoning?: string
  readonly tools?: readonly { readonly id?: string; readonly name: string; readonly arguments: string }[]
  readonly finish?: string
  readonly usage?: Usage
  readonly fault?: FaultName
  readonly retryAfterMs?: number
}

/** What came of an answer, and the fault that ended it, if one did. */
interface Outcome {
  readonly events: readonly ChatEvent[]
  readonly fault?: Fault
  readonly malformed: number
}

function readAll(folder: string): readonly (readonly [string, Recording])[] {
  const names = readdirSync(folder).filter(name => name.endsWith('.json'))
  return names.sort().map(name => [name.slice(0, -5), JSON.parse(readFileSync(join(folder, name), 'utf8')) as Recording])
}

function failureOf({ response }: Recording): UpstreamFailure {
  const text = response.raw ?? JSON.stringify(response.body)
  return { status: response.status, headers: response.headers, body: response.body ?? tryParse(text), text, receivedMs: 0 }
}

function outcomeOf(recording: Recording, cut: (bytes: Buffer) => readonly Buffer[] = bytes => [bytes]): Outcome {
  const { response } = recording
  if (response.status !== 200) return { events: [], fault: anthropic.classify(failureOf(recording)), malformed: 0 }
  if (response.raw !== undefined) return outcomeOfStream(cut(Buffer.from(response.raw)))
  try {
    return { events: anthropic.decode(response.body), malformed: 0 }
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, `a fault, not ${thrown}`)
    return { events: [], fault: thrown, malformed: 0 }
  }
}

function outcomeOfStream(chunks: readonly Buffer[]): Outcome {
  const framer = sseFramer()
  const decoder = anthropic.decoder()
  const events: ChatEvent[] = []
  let malformed = 0
  let done = false
  const take = (frames: readonly Frame[]) => {
    for (const frame of frames) {
      if (done) return
      const decoded = decoder.push(frame)
      if (decoded === 'done') done = true
      else if (decoded === 'malformed') malformed++
      else events.push(...eventsOf(decoded))
    }
  }
  try {
    for (const chunk of chunks) take(framer.push(chunk).frames)
    take(framer.end().frames)
    events.push(...decoder.end())
    return { events, malformed }
  } catch (thrown) {
    assert.ok(thrown instanceof Fault, `a fault, not ${thrown}`)
    return { events, fault: thrown, malformed }
  }
}

/** The events of an answer put together again. */
function summaryOf({ events, fault }: Outcome): Expected {
  const tools: { id: string; name: string; arguments: string }[] = []
  let text = ''
  let reasoning = ''
  let finish: string | undefined
  let usage: Usage | undefined
  for (const event of events) {
    if (event.type === 'text-delta') text += event.text
    else if (event.type === 'reasoning-delta') reasoning += event.text
    else if (event.type === 'tool-start') {
      assert.equal(event.index, tools.length, 'tools are counted in the order in which they appear')
      tools.push({ id: event.id, name: event.name, arguments: '' })
    } else if (event.type === 'tool-delta') tools[event.index]!.arguments += event.json
    else if (event.type === 'usage') usage = event.usage
    else if (event.type === 'finish') {
      assert.equal(finish, undefined, 'an answer finishes once')
      finish = event.reason
    }
  }
  return {
    ...(text === '' ? {} : { text }),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(tools.length === 0 ? {} : { tools }),
    ...(finish === undefined ? {} : { finish }),
    ...(usage === undefined || fault !== undefined ? {} : { usage }),
    ...(fault === undefined ? {} : { fault: fault.kind }),
    ...(fault?.details.retryAfterMs === undefined ? {} : { retryAfterMs: fault.details.retryAfterMs }),
  }
}

const inPieces = (size: number) => (bytes: Buffer) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))

/** Cuts that look random and are the same in every run. */
function atRandom(seed: number): (bytes: Buffer) => readonly Buffer[] {
  let state = seed
  return bytes => {
    const chunks: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      const size = 1 + (state % 97)
      chunks.push(bytes.subarray(at, at + size))
      at += size
    }
    return chunks
  }
}

const CUTS = [
  ['whole', (bytes: Buffer) => [bytes]],
  ['in pieces of 1 byte', inPieces(1)],
  ['in pieces of 7 bytes', inPieces(7)],
  ['in pieces of 64 bytes', inPieces(64)],
  ['cut at random', atRandom(7)],
  ['cut at random otherwise', atRandom(4711)],
] as const

describe('our recordings of Anthropic', () => {
  for (const [name, recording] of readAll(join(import.meta.dirname, 'recordings/anthropic'))) {
    it(`${name} is read as it says, however it is cut`, () => {
      const cuts = recording.response.raw !== undefined && recording.response.status === 200 ? CUTS : CUTS.slice(0, 1)
      for (const [manner, cut] of cuts) assert.deepEqual(summaryOf(outcomeOf(recording, cut)), recording.expect, manner)
    })
  }
})

function ours(name: string): Outcome {
  const file = join(import.meta.dirname, 'recordings/anthropic', `${name}.json`)
  return outcomeOf(JSON.parse(readFileSync(file, 'utf8')) as Recording)
}

describe("Anthropic's answers", () => {
  it('begin with the id and the model of the answer', () => {
    const start: ChatEvent = { type: 'start', id: 'msg_01Lighthouse', model: 'claude-haiku-4-5-20251001' }
    for (const name of ['text', 'stream']) assert.deepEqual(ours(name).events[0], start)
  })

  it('keep the signature of thinking, and thinking that is sealed', () => {
    const sealed = [{ type: 'reasoning.encrypted', data: 'c2VhbGVk', format: 'anthropic-claude-v1' }]
    assert.deepEqual(ours('thinking').events.slice(1, 3), [
      { type: 'reasoning-delta', choice: 0, text: 'The survey says 34.', signature: 'c2lnLW9uZQ==' },
      { type: 'extra-delta', choice: 0, fields: { reasoning_details: sealed } },
    ])
    const signatures = ours('stream-interleaved').events.flatMap(event =>
      event.type === 'reasoning-delta' ? (event.signature ?? []) : [],
    )
    assert.deepEqual(signatures, ['c2lnLW9uZQ==', 'c2lnLXR3bw=='])
  })

  it('keep the reason to finish in their own words', () => {
    const finish = (name: string) => ours(name).events.find(event => event.type === 'finish')
    assert.deepEqual(finish('stream-refusal'), { type: 'finish', choice: 0, reason: 'content_filter', raw: 'refusal' })
    assert.deepEqual(finish('answer-through-tool'), { type: 'finish', choice: 0, reason: 'stop', raw: 'tool_use' })
    assert.deepEqual(finish('stream-usage-corrected'), { type: 'finish', choice: 0, reason: 'stop', raw: 'pause_turn' })
  })

  it('give citations of pages as annotations', () => {
    const cited = { url: 'https://tides.example/aber', title: 'Tides', cited_text: 'High water at six.' }
    const extra = ours('stream-usage-corrected').events.filter(event => event.type === 'extra-delta')
    assert.deepEqual(extra, [
      { type: 'extra-delta', choice: 0, fields: { annotations: [{ type: 'url_citation', url_citation: cited }] } },
    ])
  })

  it('give citations of documents as annotations of their own type', () => {
    const citation = { type: 'char_location', cited_text: 'x', document_index: 0, start_char_index: 0, end_char_index: 1 }
    const content = [{ type: 'text', text: 'So.', citations: [citation, null, { type: 'web_search_result_location' }] }]
    const extra = anthropic.decode({ content, stop_reason: 'end_turn' }).filter(event => event.type === 'extra-delta')
    const annotations = [{ type: 'document_citation', document_citation: citation }]
    assert.deepEqual(extra, [{ type: 'extra-delta', choice: 0, fields: { annotations } }])
  })

  it('may hold events that make no sense, which are counted and left out', () => {
    assert.equal(ours('stream-damaged').malformed, 2)
  })

  it('give a call without an id one that is the same at every reading', () => {
    const read = () =>
      anthropic.decode({ id: 'msg_1', content: [{ type: 'tool_use', name: 'a', input: {} }], stop_reason: 'tool_use' })
    const call = read().find(event => event.type === 'tool-start')
    assert.match(call?.type === 'tool-start' ? call.id : '', /^call_[0-9A-Za-z]{24}$/)
    assert.deepEqual(read(), read())
  })

  it('that end with a terminator but no reason count as complete, unless nothing was said', () => {
    const answer = (...said: readonly string[]) => {
      const decoder = anthropic.decoder()
      for (const text of said) {
        decoder.push({ data: JSON.stringify({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }) })
      }
      assert.equal(decoder.push({ data: '{"type":"message_stop"}' }), 'done')
      return () => decoder.end()
    }
    assert.deepEqual(answer('Hello')(), [{ type: 'finish', choice: 0, reason: 'stop', raw: 'end_turn' }])
    assert.throws(answer(), { kind: 'upstream-garbled' })
  })

  it('of the wrong shape are faults or nothing, never exceptions', () => {
    for (const body of [null, undefined, 'text', 7, [], {}, { content: null }, { content: 'x' }, { content: {} }]) {
      assert.throws(() => anthropic.decode(body), { kind: 'upstream-garbled' }, JSON.stringify(body))
    }
    const odd = [
      null,
      1,
      'x',
      {},
      { type: 7 },
      { type: 'text' },
      { type: 'text', text: 3, citations: {} },
      { type: 'thinking', thinking: [] },
    ]
    const more = [
      { type: 'tool_use', input: 'x' },
      { type: 'redacted_thinking', data: {} },
      { type: 'text', text: 'ok', citations: [1, {}] },
    ]
    const events = anthropic.decode({
      id: 3,
      model: {},
      content: [...odd, ...more],
      stop_reason: 9,
      usage: { input_tokens: '3', output_tokens: -1 },
    })
    assert.deepEqual(
      events.map(event => event.type),
      ['start', 'tool-start', 'tool-delta', 'text-delta', 'finish'],
    )
  })

  it('that are errors in one piece are faults of their own kind', () => {
    assert.throws(() => anthropic.decode({ type: 'error', message: 'Overloaded' }), { kind: 'upstream-overloaded' })
    assert.throws(() => anthropic.decode({ error: { type: 'rate_limit_error' } }), { kind: 'upstream-rate-limited' })
  })

  it('in frames of the wrong shape are malformed or nothing, never exceptions', () => {
    const malformed = [
      '',
      'x',
      '[]',
      '3',
      '"x"',
      'null',
      '{"type":"message_start"}',
      '{"type":"content_block_start","content_block":[]}',
    ]
    for (const data of malformed) assert.equal(anthropic.decoder().push({ data }), 'malformed', data)
    const nothing = [
      '{}',
      '{"type":9}',
      '{"type":"content_block_stop"}',
      '{"type":"message_delta"}',
      '{"type":"message_delta","delta":3,"usage":[]}',
    ]
    for (const data of nothing) assert.deepEqual(anthropic.decoder().push({ data }), [], data)
    assert.deepEqual(anthropic.decoder().push({ data: undefined }), [])
    const delta = '{"type":"content_block_delta","index":"x","delta":{"type":"input_json_delta","partial_json":"{}"}}'
    assert.deepEqual(anthropic.decoder().push({ data: delta }), [])
  })

  it('know what to do by the name of the event when the type is missing', () => {
    assert.throws(() => anthropic.decoder().push({ event: 'error', data: '{"message":"Overloaded"}' }), {
      kind: 'upstream-overloaded',
    })
  })
})

describe("Anthropic's keys", () => {
  const target = {} as Target

  it('of a workspace go as x-api-key, with the version', () => {
    assert.deepEqual(anthropic.authorize('sk-ant-api03-x', target), {
      'x-api-key': 'sk-ant-api03-x',
      'anthropic-version': '2023-06-01',
    })
  })

  it('of an account go as a bearer token', () => {
    assert.deepEqual(anthropic.authorize('sk-ant-oat01-x', target), {
      authorization: 'Bearer sk-ant-oat01-x',
      'anthropic-version': '2023-06-01',
    })
  })
})

const REASONS: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  refusal: 'content_filter',
}

interface Counts {
  readonly input_tokens: number
  readonly cache_read_input_tokens?: number
  readonly cache_creation_input_tokens?: number
  readonly output_tokens: number
  readonly output_tokens_details?: { readonly thinking_tokens?: number }
}

interface PlainBlock {
  readonly type: string
  text?: string
  thinking?: string
  readonly id?: string
  readonly name?: string
  readonly input?: unknown
  /** The pieces of a streamed input. */
  json?: string
}

interface PlainMessage {
  readonly content: readonly PlainBlock[]
  readonly stop_reason: string
  readonly usage: Counts
}

interface PlainEvent {
  readonly type: string
  readonly message?: PlainMessage
  readonly content_block?: PlainBlock
  readonly delta?: {
    readonly text?: string
    readonly thinking?: string
    readonly partial_json?: string
    readonly stop_reason?: string
  }
  readonly usage?: Counts
}

/** A stream up to its terminator; some recordings hold more than one. */
function firstStream(raw: string): string {
  return raw.slice(0, raw.indexOf('message_stop'))
}

/** A stream's events folded into the message that the API would have answered as a whole. */
function messageOf(raw: string): PlainMessage {
  let message: Partial<PlainMessage> = {}
  const content: PlainBlock[] = []
  for (const line of raw.split('\n')) {
    if (!line.startsWith('data:') || !line.trimEnd().endsWith('}')) continue
    const { type, delta = {}, ...event } = JSON.parse(line.slice(5)) as PlainEvent
    if (type === 'message_start') message = { ...event.message }
    if (type === 'content_block_start') content.push({ type: 'none', ...event.content_block })
    if (type === 'content_block_delta') {
      const block = content.at(-1)!
      if (delta.text !== undefined) block.text = (block.text ?? '') + delta.text
      if (delta.thinking !== undefined) block.thinking = (block.thinking ?? '') + delta.thinking
      if (delta.partial_json !== undefined) block.json = (block.json ?? '') + delta.partial_json
    }
    if (type === 'message_delta') {
      const usage = { ...message.usage, ...event.usage } as Counts
      message = { ...message, usage, stop_reason: delta.stop_reason ?? 'none' }
    }
  }
  return { ...(message as PlainMessage), content }
}

/** The second reading: what an answer says, taken from the message as it stands. */
function plainReading({ content, stop_reason, usage }: PlainMessage): Expected {
  const text = content.map(block => (block.type === 'text' ? block.text : '')).join('')
  const reasoning = content.map(block => (block.type === 'thinking' ? block.thinking : '')).join('')
  const tools = content
    .filter(block => block.type === 'tool_use')
    .map(({ id, name, input, json }) => ({ id: id!, name: name!, arguments: json || JSON.stringify(input) }))
  const thought = usage.output_tokens_details?.thinking_tokens
  const finish = REASONS[stop_reason]!
  return {
    ...(text === '' ? {} : { text }),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(tools.length === 0 ? {} : { tools }),
    finish: finish === 'stop' && tools.length > 0 ? 'tool_calls' : finish,
    usage: {
      input: usage.input_tokens,
      ...(usage.cache_read_input_tokens === undefined ? {} : { cached: usage.cache_read_input_tokens }),
      ...(usage.cache_creation_input_tokens === undefined ? {} : { cacheWrite: usage.cache_creation_input_tokens }),
      output: usage.output_tokens - (thought ?? 0),
      ...(thought === undefined ? {} : { reasoning: thought }),
    },
  }
}

const folder = process.env.RECORDINGS
describe('recorded traffic of Anthropic', {
  skip: folder === undefined && 'RECORDINGS names no folder of recorded traffic',
}, () => {
  if (folder === undefined) return
  for (const [name, recording] of readAll(join(folder, 'anthropic'))) {
    if (recording.api !== 'anthropic.messages') continue
    const { error, response } = recording
    if (error !== undefined) {
      it(`${name} fails as ${error.class}`, () => {
        const fault = anthropic.classify(failureOf(recording))
        assert.equal(fault.kind, FAULT_OF_CLASS[error.class])
        assert.equal(fault.details.upstreamStatus, response.status)
      })
      continue
    }
    if (firstStream(response.raw ?? '').match(/"type":"message_start"/g)?.length === 2) {
      it(`${name} holds two answers, and the second is not mixed into the first`, () => {
        for (const [manner, cut] of CUTS) assert.equal(outcomeOf(recording, cut).fault?.kind, 'upstream-garbled', manner)
      })
      continue
    }
    it(`${name} says the same to a plain reading, however it is cut`, () => {
      const message = response.raw === undefined ? (response.body as PlainMessage) : messageOf(firstStream(response.raw))
      const plain = plainReading(message)
      const empty = plain.text === undefined && plain.tools === undefined && message.stop_reason === 'end_turn'
      const cuts = response.raw === undefined ? CUTS.slice(0, 1) : CUTS
      for (const [manner, cut] of cuts) {
        const outcome = outcomeOf(recording, cut)
        if (empty) assert.equal(outcome.fault?.kind, 'upstream-garbled', manner)
        else assert.deepEqual(summaryOf(outcome), plain, manner)
        assert.equal(outcome.malformed, 0)
        assert.equal(outcome.events[0]?.type ?? 'start', 'start', 'the id and the model come first')
      }
    })
  }
})
