/* What Converse's answers come to beyond what the recordings' runner looks at, and what becomes of damaged ones. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { Fault } from '../../../src/core/fault.ts'
import { bedrock } from '../../../src/providers/bedrock/bedrock.ts'
import { exceptionOf } from '../../../src/providers/bedrock/rules.ts'
import { chance } from '../../core/random.ts'
import { recordingsIn, type Seen, see, streamOf } from '../reading.ts'

const recordings = recordingsIn(join(import.meta.dirname, '../recordings/bedrock'))

function ours(name: string): Seen {
  return see(bedrock, recordings.find(({ file }) => file === `${name}.json`)!)
}

const extras = (name: string) => ours(name).events.flatMap(event => (event.type === 'extra-delta' ? [event.fields] : []))
const finishes = (name: string) => ours(name).events.filter(event => event.type === 'finish')

describe("Converse's answers", () => {
  it('keep the signature of thinking, and thinking that is sealed', () => {
    const sealed = { reasoning_details: [{ type: 'reasoning.encrypted', data: 'c2VhbGVk', format: 'anthropic-claude-v1' }] }
    for (const name of ['thinking', 'stream-thinking']) {
      assert.deepEqual(extras(name), [sealed], name)
      const signatures = ours(name).events.flatMap(event => (event.type === 'reasoning-delta' ? (event.signature ?? []) : []))
      assert.deepEqual(signatures, ['c2lnLW9uZQ=='], name)
    }
  })

  it('keep the reason to finish in their own words', () => {
    assert.deepEqual(finishes('guardrail'), [
      { type: 'finish', choice: 0, reason: 'content_filter', raw: 'guardrail_intervened' },
    ])
    assert.deepEqual(finishes('answer-through-tool'), [{ type: 'finish', choice: 0, reason: 'stop', raw: 'tool_use' }])
    assert.deepEqual(finishes('stop-sequence'), [{ type: 'finish', choice: 0, reason: 'stop', raw: 'stop_sequence' }])
  })

  it('give citations of pages as url_citation', () => {
    const url_citation = { url: 'https://tides.example/aber', title: 'tides.example' }
    for (const name of ['own-tool', 'stream-own-tool'])
      assert.deepEqual(extras(name), [{ annotations: [{ type: 'url_citation', url_citation }] }], name)
  })

  it('give citations of results with an address as url_citation, with what is quoted', () => {
    const citation = { source: 'https://tides.example/a', title: 'Tides', sourceContent: [{ text: 'High ' }, { text: 'water.' }] }
    const content = [{ citationsContent: { content: [{ text: 'So.' }], citations: [citation, null] } }]
    const events = bedrock.decode({ output: { message: { content } }, stopReason: 'end_turn' })
    const url_citation = { url: 'https://tides.example/a', title: 'Tides', cited_text: 'High water.' }
    assert.deepEqual(events[1], {
      type: 'extra-delta',
      choice: 0,
      fields: { annotations: [{ type: 'url_citation', url_citation }] },
    })
  })

  it('give citations of documents as annotations of their own type', () => {
    const document_citation = {
      location: { documentChar: { documentIndex: 0, end: 9, start: 0 } },
      sourceContent: [{ text: '34 metres' }],
      title: 'survey',
    }
    assert.deepEqual(extras('citations'), [{ annotations: [{ type: 'document_citation', document_citation }] }])
  })

  it('of one call are the same whole and as a stream', () => {
    const joined = (name: string) => {
      const { events: _, ...rest } = ours(name)
      return rest
    }
    for (const name of ['thinking', 'answer-through-tool', 'own-tool'])
      assert.deepEqual(joined(name), joined(`stream-${name}`), name)
  })

  it('give a call without an id one that is the same at every reading', () => {
    const read = () => bedrock.decode({ output: { message: { content: [{ toolUse: { name: 'a' } }] } }, stopReason: 'tool_use' })
    const call = read().find(event => event.type === 'tool-start')
    assert.match(call?.type === 'tool-start' ? call.id : '', /^call_[0-9A-Za-z]{24}$/)
    assert.deepEqual(read(), read())
    assert.deepEqual(
      read().find(event => event.type === 'tool-delta'),
      { type: 'tool-delta', choice: 0, index: 0, json: '{}' },
    )
  })

  it('end with their metadata, and what comes after counts no more', () => {
    const decoder = bedrock.decoder()
    decoder.push({ event: 'contentBlockDelta', data: '{"contentBlockIndex":0,"delta":{"text":"34"}}' })
    decoder.push({ event: 'messageStop', data: '{"stopReason":"end_turn"}' })
    assert.equal(decoder.push({ event: 'metadata', data: '{"usage":{"inputTokens":1}}' }), 'done')
    assert.deepEqual(decoder.end(), [{ type: 'usage', usage: { input: 1 } }])
  })

  it('may hold events that make no sense, which are left out', () => {
    const decoder = bedrock.decoder()
    for (const [event, data] of [
      ['contentBlockDelta', '{"delta":"x"}'],
      ['contentBlockStart', '{}'],
      ['contentBlockDelta', '{{'],
      ['messageStart', '[]'],
    ] as const) {
      assert.equal(decoder.push({ event, data }), 'malformed', data)
    }
    assert.deepEqual(decoder.push({ event: undefined, data: undefined }), [])
  })

  it('of the wrong shape are faults or nothing, never exceptions', () => {
    const odd = [null, undefined, 7, 'x', [], {}]
    for (const body of [...odd, ...odd.map(output => ({ output })), ...odd.map(message => ({ output: { message } }))]) {
      assert.throws(() => bedrock.decode(body), { kind: 'upstream-garbled' }, JSON.stringify(body))
    }
    const fields = ['text', 'toolUse', 'toolResult', 'reasoningContent', 'citationsContent', 'image', 'video']
    const content = [...odd, ...fields.flatMap(field => odd.map(value => ({ [field]: value })))]
    const events = bedrock.decode({ output: { message: { content } }, stopReason: 'end_turn', usage: 'x' })
    assert.deepEqual(events.map(({ type }) => type).sort(), ['finish', 'text-delta', 'tool-delta', 'tool-start'].sort())
  })

  it('that are damaged at random end in a fault or make sense, and never in anything else', () => {
    const by = chance()
    const streams = recordings.filter(({ stream }) => stream)
    let faults = 0
    for (let round = 0; round < 4_000; round++) {
      const recording = by.pick(streams)
      const damaged = damage(recording.response.events!, by)
      const seen = see(bedrock, { ...recording, response: { ...recording.response, events: damaged } })
      if (seen.fault !== undefined) faults++
      assert.ok(seen.events.length < 200, `SEED=${by.seed} round ${round}`)
      verifyOrder(seen.events, `SEED=${by.seed} round ${round}`)
    }
    assert.ok(faults > 500 && faults < 4_000, `${faults}`)
  })

  it('whose bytes are damaged at random are garbled, cut short, or what they were', () => {
    const by = chance()
    const recording = recordings.find(({ file }) => file === 'stream-tools.json')!
    const whole = see(bedrock, recording)
    for (let round = 0; round < 2_000; round++) {
      const seen = see(bedrock, recording, bytes => {
        const damaged = Buffer.from(bytes)
        if (by.below(3) === 0) return [damaged.subarray(0, by.below(damaged.length))]
        damaged[by.below(damaged.length)] = by.below(256)
        return [damaged]
      })
      const word = `SEED=${by.seed} round ${round}: ${seen.fault}`
      if (seen.fault === undefined) assert.deepEqual({ ...seen, usage: whole.usage }, { ...whole, events: seen.events }, word)
      else assert.ok(['upstream-garbled', 'upstream-truncated'].includes(seen.fault), word)
    }
    assert.ok(streamOf(recording)!.length > 500)
  })
})

describe('exceptions in a stream', () => {
  const rows = [
    ['throttlingException', {}, 'upstream-rate-limited'],
    ['serviceUnavailableException', {}, 'upstream-overloaded'],
    ['internalServerException', {}, 'upstream-error'],
    ['modelStreamErrorException', {}, 'upstream-error'],
    ['modelStreamErrorException', { originalStatusCode: 400, originalMessage: 'bad' }, 'upstream-refused-call'],
    ['modelStreamErrorException', { originalStatusCode: 503, originalMessage: 'busy' }, 'upstream-error'],
    ['modelTimeoutException', {}, 'upstream-error'],
    ['validationException', { message: 'no' }, 'upstream-refused-call'],
    ['validationException', { message: 'Input is too long for requested model.' }, 'context-too-long'],
    ['accessDeniedException', {}, 'upstream-refused-key'],
    ['somethingNewException', {}, 'upstream-garbled'],
    ['', {}, 'upstream-garbled'],
  ] as const
  for (const [name, payload, fault] of rows) {
    it(`${name} ${JSON.stringify(payload)} is ${fault}`, () => assert.equal(exceptionOf(name, payload).kind, fault))
  }

  it('that are not JSON are told all the same', () => {
    const push = () => bedrock.decoder().push({ event: 'exception:throttlingException', data: 'not JSON' })
    assert.throws(push, (thrown: unknown) => thrown instanceof Fault && /not JSON/.test(thrown.details.detail!))
  })
})

type Events = readonly { readonly headers: Readonly<Record<string, string>>; readonly payload?: unknown }[]

/** One to three of: an event lost, doubled, moved; a header or a value in a payload replaced. */
function damage(events: Events, by: ReturnType<typeof chance>): Events {
  const damaged = structuredClone(events) as { headers: Record<string, string>; payload?: unknown }[]
  for (let times = 1 + by.below(3); times > 0 && damaged.length > 0; times--) {
    const at = by.below(damaged.length)
    switch (by.below(5)) {
      case 0:
        damaged.splice(at, 1)
        break
      case 1:
        damaged.splice(by.below(damaged.length), 0, structuredClone(damaged[at]!))
        break
      case 2:
        damaged.push(...damaged.splice(at, 1))
        break
      case 3: {
        const names = Object.keys(damaged[at]!.headers)
        damaged[at]!.headers[by.pick(names)] = by.pick(['', 'exception', 'error', 'messageStop', 'metadata', 'x'])
        break
      }
      default:
        damaged[at]!.payload = replaced(damaged[at]!.payload, by)
    }
  }
  return damaged
}

function replaced(value: unknown, by: ReturnType<typeof chance>): unknown {
  const odd = [null, 0, -1, 'x', '', [], {}, true, ['x'], { text: 1 }]
  if (typeof value !== 'object' || value === null || by.below(3) === 0) return by.pick(odd)
  const keys = Object.keys(value)
  if (keys.length === 0) return by.pick(odd)
  const key = by.pick(keys)
  return { ...value, [key]: replaced((value as Record<string, unknown>)[key], by) }
}

/** Calls begin before they go on, and an answer finishes once at most. */
function verifyOrder(events: readonly ChatEvent[], word: string): void {
  const begun = new Set<number>()
  let finished = 0
  for (const event of events) {
    if (event.type === 'tool-start') {
      assert.equal(event.index, begun.size, word)
      begun.add(event.index)
    } else if (event.type === 'tool-delta') assert.ok(begun.has(event.index), word)
    else if (event.type === 'finish') finished++
  }
  assert.ok(finished <= 1, word)
}
