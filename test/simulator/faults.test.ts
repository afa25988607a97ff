import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { ask, config, eventsIn, type Heard, MESSAGES, type Request, SAY_HELLO, SAY_HELLO_TO_CLAUDE } from './raw-client.ts'

const openai = await startSimulator(config())
const anthropic = await startSimulator(config({ speaks: 'anthropic' }))
after(() => Promise.all([openai.close(), anthropic.close()]))

/** One call to each API under this rule: a whole answer or a stream. */
async function under(rule: ScriptRule, stream: boolean, request: Request = {}): Promise<{ ofOpenAI: Heard; ofAnthropic: Heard }> {
  openai.script([rule])
  anthropic.script([rule])
  const [ofOpenAI, ofAnthropic] = await Promise.all([
    ask(openai.url, { body: { ...SAY_HELLO, stream }, ...request }),
    ask(anthropic.url, { path: MESSAGES, body: { ...SAY_HELLO_TO_CLAUDE, stream }, ...request }),
  ])
  return { ofOpenAI, ofAnthropic }
}

/** The words of the answer in the events that came. */
const wordsIn = (heard: Heard) =>
  eventsIn(heard.body).flatMap(event => event.choices?.[0]?.delta.content || event.delta?.text || []) as readonly string[]
const lastOf = (simulator: typeof openai) => simulator.calls.at(-1)!
const isJson = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('a status', () => {
  test('is answered with the error of the API that fits it', async () => {
    const expected = [
      [400, 'invalid_request_error', null, 'invalid_request_error'],
      [401, 'invalid_request_error', 'invalid_api_key', 'authentication_error'],
      [402, 'insufficient_quota', 'insufficient_quota', 'billing_error'],
      [403, 'invalid_request_error', 'missing_scope', 'permission_error'],
      [404, 'invalid_request_error', 'model_not_found', 'not_found_error'],
      [408, 'server_error', null, 'timeout_error'],
      [409, 'server_error', null, 'conflict_error'],
      [413, 'invalid_request_error', 'request_too_large', 'request_too_large'],
      [418, 'invalid_request_error', null, 'invalid_request_error'],
      [422, 'invalid_request_error', null, 'invalid_request_error'],
      [429, 'requests', 'rate_limit_exceeded', 'rate_limit_error'],
      [500, 'server_error', null, 'api_error'],
      [502, 'cf_bad_gateway', null, 'api_error'],
      [503, 'service_unavailable_error', 'server_is_overloaded', 'overloaded_error'],
      [504, 'server_error', null, 'timeout_error'],
      [529, 'service_unavailable_error', 'server_is_overloaded', 'overloaded_error'],
    ] as const
    for (const [status, type, code, anthropicType] of expected) {
      const { ofOpenAI, ofAnthropic } = await under({ status }, status % 2 === 0)
      const { error } = JSON.parse(ofOpenAI.body)
      assert.deepEqual([ofOpenAI.status, error.type, error.code], [status, type, code])
      assert.ok(error.message.length > 0)
      const other = JSON.parse(ofAnthropic.body)
      assert.deepEqual([ofAnthropic.status, other.type, other.error.type], [status, 'error', anthropicType])
      assert.equal(ofAnthropic.headers['x-should-retry'], String([408, 409, 429].includes(status) || status >= 500))
    }
  })

  test('has the headers and the body of the rule', async () => {
    const json = await under(
      { status: 429, headers: { 'Retry-After': '7', 'X-Should-Retry': 'no' }, body: { detail: 'slow down' } },
      false,
    )
    for (const heard of [json.ofOpenAI, json.ofAnthropic]) {
      assert.equal(heard.status, 429)
      assert.equal(heard.headers['retry-after'], '7')
      assert.equal(heard.headers['x-should-retry'], 'no')
      assert.equal(heard.headers['content-type'], 'application/json')
      assert.deepEqual(JSON.parse(heard.body), { detail: 'slow down' })
    }
    const { ofOpenAI: text } = await under({ status: 502, body: 'upstream gone' }, false)
    assert.deepEqual([text.headers['content-type'], text.body], ['text/plain; charset=utf-8', 'upstream gone'])
    const { ofOpenAI: page } = await under({ status: 502, html: true }, false)
    assert.equal(page.status, 502)
    assert.match(page.body, /^<!DOCTYPE html>/)
  })

  test('of success without a body comes with a good answer', async () => {
    const { ofOpenAI } = await under({ status: 201, headers: { 'retry-after': '41' } }, true)
    assert.deepEqual([ofOpenAI.status, ofOpenAI.headers['retry-after'], wordsIn(ofOpenAI).length], [201, '41', 20])
    assert.equal(lastOf(openai).ended, 'answered')
  })

  test('can be late', async () => {
    const { ofOpenAI } = await under({ status: 503, slow_first_token: 40 }, false)
    assert.equal(ofOpenAI.status, 503)
    assert.ok(ofOpenAI.headMs >= 35, `${ofOpenAI.headMs} ms`)
  })

  test('that HTTP cannot carry out is told apart from an ordered fault', async () => {
    const { ofOpenAI } = await under({ status: 503, headers: { 'x-broken': 'a\nb' } }, false)
    assert.equal(ofOpenAI.status, 500)
    assert.match(ofOpenAI.body, /could not do what its script says/)
  })
})

describe('a connection', () => {
  test('is reset after the call was read', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ reset: true }, true)
    for (const heard of [ofOpenAI, ofAnthropic]) assert.deepEqual([heard.status, heard.endedBy], [0, 'reset'])
    assert.deepEqual([lastOf(openai).body, lastOf(openai).ended], [{ ...SAY_HELLO, stream: true }, 'faulted'])
  })

  test('is refused as it opens, before any call', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ refuse: true }, false)
    for (const heard of [ofOpenAI, ofAnthropic]) assert.deepEqual([heard.status, heard.endedBy], [0, 'reset'])
    assert.deepEqual([lastOf(openai).method, lastOf(openai).rule, lastOf(openai).ended], ['', 0, 'faulted'])
  })

  test('is refused once the call is known, when the rule asks for a model', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ refuse: true, model: SAY_HELLO.model }, false)
    assert.equal(ofOpenAI.endedBy, 'reset')
    assert.equal(lastOf(openai).model, SAY_HELLO.model)
    assert.equal(ofAnthropic.status, 200)
  })

  test('stays open without a word', async () => {
    const before = openai.counts.aborted
    const { ofOpenAI, ofAnthropic } = await under({ never_answer: true }, true, { leaveAfterMs: 40 })
    for (const heard of [ofOpenAI, ofAnthropic]) assert.deepEqual([heard.status, heard.endedBy], [0, 'us'])
    await until(() => openai.counts.aborted === before + 1)
    assert.deepEqual([lastOf(openai).ended, lastOf(openai).rule, lastOf(openai).tokensSent], ['aborted', 0, 0])
  })
})

describe('time', () => {
  test('passes before the first token, but not before the head of a stream', async () => {
    const streams = await under({ slow_first_token: 60 }, true)
    for (const heard of [streams.ofOpenAI, streams.ofAnthropic]) {
      assert.ok(heard.totalMs >= 55 && heard.totalMs - heard.headMs >= 30, `${heard.headMs} ms, ${heard.totalMs} ms`)
      assert.equal(wordsIn(heard).length, 20)
    }
    const heads = await under({ slow_first_token: 5_000 }, true, { leaveAfterMs: 30 })
    assert.equal(eventsIn(heads.ofOpenAI.body)[0].choices[0].delta.role, 'assistant')
    assert.equal(eventsIn(heads.ofAnthropic.body)[0].type, 'message_start')
    assert.deepEqual([wordsIn(heads.ofOpenAI), wordsIn(heads.ofAnthropic)], [[], []])
  })

  test('passes before the head of a whole answer', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ slow_first_token: 40 }, false)
    for (const heard of [ofOpenAI, ofAnthropic]) {
      assert.ok(heard.headMs >= 35, `${heard.headMs} ms`)
      assert.ok(heard.isComplete && isJson(heard.body))
    }
  })

  test('passes between two tokens', async () => {
    const streams = await under({ slow_tokens: 3 }, true)
    const wholes = await under({ slow_tokens: 3 }, false)
    for (const heard of [streams.ofOpenAI, streams.ofAnthropic])
      assert.ok(heard.totalMs - heard.headMs >= 40, `${heard.totalMs} ms`)
    for (const heard of [wholes.ofOpenAI, wholes.ofAnthropic]) assert.ok(heard.headMs >= 50, `${heard.headMs} ms`)
    assert.equal(lastOf(openai).ended, 'answered')
  })
})

describe('an answer that breaks off', () => {
  test('is silent after so many tokens, and leaves the connection open', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ stall_after: 4 }, true, { leaveAfterMs: 50 })
    for (const heard of [ofOpenAI, ofAnthropic]) assert.deepEqual([wordsIn(heard).length, heard.endedBy], [4, 'us'])
    const whole = await under({ stall_after: 4 }, false, { leaveAfterMs: 50 })
    for (const heard of [whole.ofOpenAI, whole.ofAnthropic]) {
      assert.deepEqual([heard.status, heard.endedBy, heard.isComplete], [200, 'us', false])
      assert.ok(heard.body.length > 0)
    }
  })

  test('is cut by a reset', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ cut_after: 5 }, true)
    for (const heard of [ofOpenAI, ofAnthropic]) assert.deepEqual([wordsIn(heard).length, heard.endedBy], [5, 'reset'])
    assert.deepEqual([lastOf(openai).ended, lastOf(openai).tokensSent], ['faulted', 5])
    const whole = await under({ cut_after: 5, cut_how: 'reset' }, false)
    for (const heard of [whole.ofOpenAI, whole.ofAnthropic]) {
      assert.equal(heard.endedBy, 'reset')
      assert.ok(heard.body.length > 0 && heard.body.length < Number(heard.headers['content-length']))
    }
  })

  test('is cut cleanly, as far as HTTP can tell', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ cut_after: 5, cut_how: 'clean' }, true)
    for (const heard of [ofOpenAI, ofAnthropic]) {
      assert.deepEqual([wordsIn(heard).length, heard.isComplete], [5, true])
      assert.ok(eventsIn(heard.body).every(event => typeof event === 'object' && event.type !== 'message_stop'))
      assert.doesNotMatch(heard.body, /"finish_reason":"|message_delta/)
    }
    const whole = await under({ cut_after: 5, cut_how: 'clean' }, false)
    for (const heard of [whole.ofOpenAI, whole.ofAnthropic])
      assert.deepEqual([heard.isComplete, isJson(heard.body)], [true, false])
  })

  test('is cut in the middle of an event', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ cut_after: 5, cut_how: 'half-chunk' }, true)
    for (const heard of [ofOpenAI, ofAnthropic]) {
      assert.deepEqual([wordsIn(heard).length, heard.isComplete, heard.endedBy], [5, false, 'fin'])
      assert.equal(heard.body.endsWith('\n\n'), false)
      assert.equal(isJson(heard.body.slice(heard.body.lastIndexOf('data: ') + 6)), false)
    }
    const whole = await under({ cut_after: 5, cut_how: 'half-chunk' }, false)
    for (const heard of [whole.ofOpenAI, whole.ofAnthropic]) {
      assert.deepEqual([heard.headers['transfer-encoding'], heard.isComplete, heard.endedBy], ['chunked', false, 'fin'])
    }
  })

  test('is cut after its head, or before its finish at the latest', async () => {
    const first = await under({ cut_after: 0 }, true)
    assert.deepEqual(
      eventsIn(first.ofOpenAI.body).map(event => event.choices[0].delta.role),
      ['assistant'],
    )
    assert.deepEqual(
      eventsIn(first.ofAnthropic.body).map(event => event.type),
      ['message_start', 'content_block_start', 'ping'],
    )
    const last = await under({ cut_after: 1_000 }, true)
    for (const heard of [last.ofOpenAI, last.ofAnthropic]) {
      assert.deepEqual([wordsIn(heard).length, heard.endedBy], [20, 'reset'])
      assert.doesNotMatch(heard.body, /"finish_reason":"|message_delta/)
    }
  })

  test('may be slow and then cut', async () => {
    const { ofOpenAI } = await under({ slow_tokens: 10, cut_after: 5 }, true)
    assert.deepEqual([wordsIn(ofOpenAI).length, ofOpenAI.endedBy], [5, 'reset'])
    assert.ok(ofOpenAI.totalMs >= 35, `${ofOpenAI.totalMs} ms`)
  })

  test('breaks at whichever of its places comes first', async () => {
    const { ofOpenAI } = await under({ stall_after: 9, cut_after: 3, cut_how: 'clean' }, true)
    assert.equal(wordsIn(ofOpenAI).length, 3)
  })
})

describe('an answer that is not what it should be', () => {
  test('has one event that is not JSON', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ garbled_at: 4 }, true)
    for (const heard of [ofOpenAI, ofAnthropic]) {
      const broken = eventsIn(heard.body).flatMap((event, place) =>
        typeof event === 'string' && event !== '[DONE]' ? [place] : [],
      )
      assert.deepEqual([broken, wordsIn(heard).length, heard.isComplete], [[4], 19, true])
    }
    const whole = await under({ garbled_at: 0 }, false)
    for (const heard of [whole.ofOpenAI, whole.ofAnthropic])
      assert.deepEqual([heard.isComplete, isJson(heard.body)], [true, false])
    assert.equal(lastOf(openai).ended, 'faulted')
  })

  test('lacks the terminator after a proper finish', async () => {
    const { ofOpenAI, ofAnthropic } = await under({ no_done: true }, true)
    assert.equal(eventsIn(ofOpenAI.body).at(-1).choices[0].finish_reason, 'stop')
    assert.equal(eventsIn(ofAnthropic.body).at(-1).type, 'message_delta')
    assert.ok(ofOpenAI.isComplete && ofAnthropic.isComplete)
    assert.equal(lastOf(openai).ended, 'faulted')
  })

  test('holds nothing', async () => {
    const whole = await under({ empty_choices: true }, false)
    assert.deepEqual(JSON.parse(whole.ofOpenAI.body).choices, [])
    assert.deepEqual(JSON.parse(whole.ofAnthropic.body).content, [])
    const { ofOpenAI, ofAnthropic } = await under({ empty_choices: true }, true)
    const events = eventsIn(ofOpenAI.body)
    assert.equal(events.pop(), '[DONE]')
    assert.ok(events.length > 0 && events.every(event => event.choices.length === 0))
    assert.deepEqual(
      eventsIn(ofAnthropic.body).map(event => event.type),
      ['message_start', 'ping', 'message_delta', 'message_stop'],
    )
    assert.deepEqual([lastOf(openai).ended, lastOf(openai).tokensSent], ['faulted', 0])
  })

  test('holds an error inside a 200', async () => {
    const whole = await under({ error_in_200: true }, false)
    assert.deepEqual([whole.ofOpenAI.status, JSON.parse(whole.ofOpenAI.body).error.type], [200, 'server_error'])
    assert.deepEqual([whole.ofAnthropic.status, JSON.parse(whole.ofAnthropic.body).error.type], [200, 'overloaded_error'])

    const first = await under({ error_in_200: { type: 'strange', message: 'odd' } }, true)
    const [only, ...none] = eventsIn(first.ofOpenAI.body)
    assert.deepEqual([only, none], [{ error: { message: 'odd', type: 'strange', param: null, code: null } }, []])
    assert.match(first.ofAnthropic.body, /^event: error\ndata: \{"type":"error","error":\{"type":"strange","message":"odd"\}/)

    const later = await under({ error_in_200: { after: 3 } }, true)
    for (const heard of [later.ofOpenAI, later.ofAnthropic]) {
      assert.deepEqual([wordsIn(heard).length, heard.isComplete], [3, true])
      assert.ok(eventsIn(heard.body).at(-1).error)
    }
  })

  test('is a page', async () => {
    for (const stream of [true, false]) {
      const { ofOpenAI, ofAnthropic } = await under({ html: true }, stream)
      for (const heard of [ofOpenAI, ofAnthropic]) {
        assert.deepEqual([heard.status, heard.headers['content-type']], [200, 'text/html; charset=utf-8'])
        assert.match(heard.body, /<\/html>/)
      }
    }
  })

  test('is huge, and well formed', async () => {
    for (const stream of [true, false]) {
      const { ofOpenAI, ofAnthropic } = await under({ huge: 300_000 }, stream)
      for (const heard of [ofOpenAI, ofAnthropic]) {
        assert.ok(heard.isComplete && heard.body.length > 300_000 && heard.body.length < 600_000, `${heard.body.length} bytes`)
      }
      const answers = [ofOpenAI, ofAnthropic].map(heard => (stream ? eventsIn(heard.body) : [JSON.parse(heard.body)]))
      assert.ok(answers.every(events => events.every(event => typeof event === 'object' || event === '[DONE]')))
    }
    assert.deepEqual([lastOf(openai).ended, lastOf(openai).tokensSent], ['answered', 293])
  })
})

async function until(holds: () => boolean): Promise<void> {
  const started = performance.now()
  while (!holds()) {
    assert.ok(performance.now() - started < 2_000, 'it did not happen within two seconds')
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}
