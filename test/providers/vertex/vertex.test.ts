import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { vertex } from '../../../src/providers/vertex/vertex.ts'
import { HELLO, type Running, readStream, running, until } from '../../support/running.ts'
import { callOf, targetOf } from '../calls.ts'
import { type Google, google } from './google.ts'

const ACCOUNT = JSON.stringify({ type: 'service_account', project_id: 'p 1', private_key: 'secret', client_email: 'a@b' })
const MODEL = 'gemini-2.5-flash'

function encoded(key: string, { model = MODEL, basePath = '', origin = 'https://aiplatform.googleapis.com', body = {} } = {}) {
  const call = callOf(JSON.stringify({ model: 'r', messages: [{ role: 'user', content: 'hi' }], ...body }))
  const request = vertex.encode(call, { ...targetOf(vertex, model), basePath, origin }, key)
  return { ...request, json: JSON.parse(String(request.body)) }
}
const path = (...args: Parameters<typeof encoded>) => encoded(...args).path

describe('the address of a call to Vertex', () => {
  it('has the project of the account and the location of the host', () => {
    const google = 'publishers/google/models/gemini-2.5-flash:generateContent'
    assert.equal(path(ACCOUNT), `/v1/projects/p%201/locations/global/${google}`)
    const at = (origin: string) => path(ACCOUNT, { origin })
    assert.equal(at('https://europe-west4-aiplatform.googleapis.com'), `/v1/projects/p%201/locations/europe-west4/${google}`)
    assert.equal(at('https://aiplatform.eu.rep.googleapis.com'), `/v1/projects/p%201/locations/eu/${google}`)
    assert.equal(path(ACCOUNT, { basePath: '/v1beta1' }), `/v1beta1/projects/p%201/locations/global/${google}`)
  })

  it('is what base_url says, where it names a project', () => {
    const basePath = '/v1/projects/q/locations/us-east5'
    for (const key of [ACCOUNT, 'adc', 'AIza1']) {
      assert.equal(path(key, { basePath }), `${basePath}/publishers/google/models/gemini-2.5-flash:generateContent`)
    }
  })

  it('has no project for an API key', () => {
    assert.equal(path('AIza1'), '/v1/publishers/google/models/gemini-2.5-flash:generateContent')
  })

  it('cannot be told without a project', () => {
    assert.throws(() => path('adc'), { kind: 'upstream-refused-key' })
    assert.throws(() => path('{"type":"authorized_user"}'), { kind: 'upstream-refused-key' })
  })

  it('names the publisher and the method of the model', () => {
    const of = (model: string, stream: boolean) => path('AIza1', { model, body: { stream } })
    assert.equal(of('claude-sonnet-4-5@20250929', false), '/v1/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict')
    assert.equal(
      of('claude-sonnet-4-5@20250929', true),
      '/v1/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict',
    )
    assert.equal(of('endpoints/123', true), '/v1/endpoints/123:streamGenerateContent?alt=sse')
    assert.equal(of('publishers/mine/models/x', false), '/v1/publishers/mine/models/x:generateContent')
  })
})

describe('a call to Vertex', () => {
  it('shows an API key, and never the JSON of an account', () => {
    assert.deepEqual(vertex.authorize('AIza1', targetOf(vertex, MODEL)), { 'x-goog-api-key': 'AIza1' })
    for (const key of [ACCOUNT, 'adc', '']) assert.deepEqual(vertex.authorize(key, targetOf(vertex, MODEL)), {})
  })

  it('has labels of what fits to be one, and calls without ids', () => {
    const tool_calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }]
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', tool_calls },
      { role: 'tool', tool_call_id: 'a', content: 'x' },
    ]
    const { json, leftOut } = encoded('AIza1', { body: { messages, metadata: { team: 'search' } } })
    assert.deepEqual(json.labels, { team: 'search' })
    assert.deepEqual(leftOut, [])
    assert.deepEqual(json.contents[1].parts, [{ functionCall: { name: 'f', args: {} } }])
    assert.deepEqual(json.contents[2].parts, [{ functionResponse: { name: 'f', response: { result: 'x' } } }])
    assert.deepEqual(encoded('AIza1', { body: { metadata: { Team: 'Search' } } }).leftOut, ['metadata'])
  })

  it('for Claude has the version in the body, and the model in the address alone', () => {
    const { json, leftOut } = encoded('AIza1', {
      model: 'claude-sonnet-4-5@20250929',
      body: { stream: true, service_tier: 'auto', seed: 1 },
    })
    assert.equal(json.anthropic_version, 'vertex-2023-10-16')
    assert.equal('model' in json, false)
    assert.equal('service_tier' in json, false)
    assert.equal(json.stream, true)
    assert.deepEqual(json.messages, [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }])
    assert.deepEqual([...(leftOut ?? [])].sort(), ['seed', 'service_tier'])
  })
})

describe('the gateway before Vertex', () => {
  const open: { close(): Promise<void> }[] = []
  after(() => Promise.all(open.map(each => each.close())))

  async function start(): Promise<{ readonly fake: Google; readonly gateway: Running }> {
    const fake = await google()
    const yaml = `
providers:
  cloud: {type: vertex, base_url: ${fake.url}, keys: [env:ACCOUNT], retry: {attempts: 0}}
routes:
  a: [cloud/gemini-2.5-flash]
`
    // As the file comes from Google: in many lines.
    const gateway = await running(yaml, { env: { ACCOUNT: JSON.stringify(JSON.parse(fake.account), null, 2) } })
    open.push(gateway, fake)
    return { fake, gateway }
  }

  it('fetches a token, shows it, and keeps it', async () => {
    const { fake, gateway } = await start()
    for (let times = 0; times < 3; times++) {
      const response = await gateway.call({ model: 'a', messages: HELLO })
      assert.equal(response.status, 200)
      const body = (await response.json()) as any
      assert.equal(body.choices[0].message.content, 'Here.')
    }
    assert.equal(fake.claims.length, 1)
    assert.equal(
      fake.asked[0]?.path,
      '/v1/projects/lighthouse-1/locations/global/publishers/google/models/gemini-2.5-flash:generateContent',
    )
    assert.deepEqual(new Set(fake.asked.map(({ shown }) => shown)), new Set(['Bearer ya29.token-1']))
  })

  it('renews a token that was withdrawn, and sends the call again, unseen', async () => {
    const { fake, gateway } = await start()
    await gateway.call({ model: 'a', messages: HELLO })
    fake.withdraw()
    const response = await gateway.call({ model: 'a', messages: HELLO })
    assert.equal(response.status, 200)
    assert.deepEqual(
      fake.asked.map(({ shown }) => shown),
      ['Bearer ya29.token-1', 'Bearer ya29.token-1', 'Bearer ya29.token-2'],
    )
    assert.equal(await gateway.metric('llm_attempts_total'), 2, 'it is one attempt')
    assert.equal(await gateway.metric('llm_key_state', { key: 'key-1' }), 0)
  })

  it('tries a new token once, and then holds the key to be refused', async () => {
    const { fake, gateway } = await start()
    fake.distrust()
    const response = await gateway.call({ model: 'a', messages: HELLO })
    assert.equal(response.status, 502)
    assert.deepEqual([fake.asked.length, fake.claims.length], [2, 2])
    assert.equal(await gateway.metric('llm_attempts_total', { outcome: 'upstream-refused-key' }), 1)
    const told = JSON.stringify(gateway.logs())
    assert.ok(!told.includes('PRIVATE KEY') && !told.includes('ya29'), 'no key and no token in the log')
  })

  it('says so when there is no token to be had', async () => {
    const { fake, gateway } = await start()
    fake.refuse({ status: 400, body: { error: 'invalid_grant' } })
    const response = await gateway.call({ model: 'a', messages: HELLO })
    assert.equal(response.status, 502)
    assert.equal(fake.asked.length, 0)
  })

  it('lets a client go who does not wait for the token', async () => {
    const silent = createServer(() => {})
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const account = JSON.stringify({ ...JSON.parse((await start()).fake.account), token_uri: address })
    const gateway = await running(
      `providers:\n  cloud: {type: vertex, base_url: ${address}, keys: [env:ACCOUNT]}\nroutes:\n  a: [cloud/gemini-2.5-flash]\n`,
      { env: { ACCOUNT: account } },
    )
    open.push(gateway, {
      close: () => {
        silent.closeAllConnections()
        return new Promise(resolve => silent.close(() => resolve()))
      },
    })
    const leaving = new AbortController()
    const call = gateway.call({ model: 'a', messages: HELLO }, { signal: leaving.signal })
    await until('the token is being asked for', async () => (await gateway.metric('llm_in_flight')) === 1)
    leaving.abort()
    await assert.rejects(call)
    await until('the attempt is over', async () => (await gateway.metric('llm_in_flight')) === 0)
  })

  it('passes thought signatures on to its clients', async () => {
    const raw =
      'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"},"thoughtSignature":"c2ln"}]},"finishReason":"STOP"}]}\r\n\r\n'
    const model = createServer((request, response) => {
      const streamed = request.url?.includes('stream')
      response.writeHead(200, { 'content-type': streamed ? 'text/event-stream' : 'application/json' })
      response.end(streamed ? raw : raw.slice(6).trim())
    })
    await new Promise<void>(resolve => model.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(model.address() as AddressInfo).port}`
    const gateway = await running(
      `providers:\n  studio: {type: gemini, base_url: ${address}, keys: [AIza1]}\nroutes:\n  a: [studio/gemini-3-pro-preview]\n`,
    )
    open.push(gateway, {
      close: () => {
        model.closeAllConnections()
        return new Promise(resolve => model.close(() => resolve()))
      },
    })
    const extra_content = { google: { thought_signature: 'c2ln' } }
    const whole = (await (await gateway.call({ model: 'a', messages: HELLO })).json()) as any
    assert.deepEqual(whole.choices[0].message.tool_calls[0].extra_content, extra_content)
    const { chunks, finish } = await readStream(await gateway.call({ model: 'a', messages: HELLO, stream: true }))
    const calls = chunks.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? [])
    assert.deepEqual(calls[0].extra_content, extra_content)
    assert.equal(finish, 'tool_calls')
  })
})
