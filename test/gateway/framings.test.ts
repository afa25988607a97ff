/* Streams that are no server-sent events, through the whole gateway: bytes over HTTP in, OpenAI's stream out. */
import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { HELLO, type Running, readStream, running } from '../support/running.ts'
import { awsMessage } from '../upstream/aws-message.ts'

interface Asked {
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

const event = (type: string, payload: object) =>
  awsMessage({ ':event-type': type, ':message-type': 'event' }, JSON.stringify(payload))
const delta = (text: string) => event('contentBlockDelta', { contentBlockIndex: 0, delta: { text } })
const START = event('messageStart', { role: 'assistant' })
const END = [
  event('messageStop', { stopReason: 'end_turn' }),
  event('metadata', { usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 } }),
]
const SLOW = awsMessage({ ':exception-type': 'throttlingException', ':message-type': 'exception' }, '{"message":"slow down"}')
const BINARY = 'application/vnd.amazon.eventstream'

describe('an event stream of AWS through the gateway', () => {
  const open: { close(): unknown }[] = []
  after(() => Promise.all(open.map(one => one.close())))

  /** A gateway whose provider answers like this, and what it was asked. */
  async function start(answer: Buffer | string, mediaType = BINARY): Promise<{ gateway: Running; asked: Asked[] }> {
    const asked: Asked[] = []
    const server: Server = createServer((request, response) => {
      asked.push({ url: request.url!, headers: request.headers })
      request.resume().on('end', () => response.writeHead(200, { 'content-type': mediaType }).end(answer))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const gateway = await running(`
providers:
  aws: {type: bedrock, base_url: "http://127.0.0.1:${port}", keys: ["AKIDEXAMPLE:secret:token"], retry: {attempts: 0}}
routes:
  a: [aws/us.amazon.nova-lite-v1:0]
`)
    open.push(gateway, { close: () => server.close() })
    return { gateway, asked }
  }

  it('comes out as OpenAI’s stream, asked for with a signature', async () => {
    const { gateway, asked } = await start(Buffer.concat([START, delta('It is'), delta(' 34 m 🗼'), ...END]))
    const call = { model: 'a', messages: HELLO, stream: true, stream_options: { include_usage: true } }
    const { text, finish, done, error, chunks } = await readStream(await gateway.call(call))
    assert.deepEqual({ text, finish, done, error }, { text: 'It is 34 m 🗼', finish: 'stop', done: true, error: undefined })
    assert.equal(chunks.at(-1).usage.total_tokens, 5)
    for (const { model } of chunks)
      assert.equal(model, 'us.amazon.nova-lite-v1:0', 'who answered is told, though the provider does not')
    const [{ url, headers }] = asked as [Asked]
    assert.equal(url, '/model/us.amazon.nova-lite-v1%3A0/converse-stream')
    assert.match(headers.authorization!, /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/bedrock\/aws4_request, /)
    assert.equal(headers['x-amz-security-token'], 'token')
    assert.equal(headers.accept, BINARY)
  })

  it('that is cut after content ends with an error event and no [DONE], and one that is damaged before is garbled', async () => {
    const damaged = Buffer.from(delta(' 34 m'))
    damaged[20]! ^= 1
    const { gateway } = await start(Buffer.concat([START, delta('It is')]))
    const broken = await start(Buffer.concat([START, damaged]))
    const cut = await readStream(await gateway.call({ model: 'a', messages: HELLO, stream: true }))
    assert.deepEqual([cut.text, cut.done, cut.error?.code], ['It is', false, 'upstream_truncated'])
    const response = await broken.gateway.call({ model: 'a', messages: HELLO, stream: true })
    assert.equal(response.status, 502)
    assert.equal(broken.gateway.logs().at(-1)?.attempts[0].outcome, 'upstream-garbled')
  })

  it('that begins with an exception is a refusal', async () => {
    const { gateway } = await start(SLOW)
    const response = await gateway.call({ model: 'a', messages: HELLO, stream: true })
    assert.equal(response.status, 429)
  })

  it('is read as server-sent events where something in between has made them of it, and as a whole answer where it is JSON', async () => {
    const data = { output: { message: { content: [{ text: '34 m' }] } }, stopReason: 'end_turn' }
    const whole = await start(JSON.stringify(data), 'application/json')
    const read = await readStream(await whole.gateway.call({ model: 'a', messages: HELLO, stream: true }))
    assert.deepEqual([read.text, read.finish, read.done], ['34 m', 'stop', true])
    const lines = [
      ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: '34 m' } }],
      ['messageStop', { stopReason: 'end_turn' }],
    ] as const
    const sse = lines.map(([type, payload]) => `event: ${type}\ndata: ${JSON.stringify(payload)}\n\n`).join('')
    const other = await start(sse, 'text/event-stream')
    const seen = await readStream(await other.gateway.call({ model: 'a', messages: HELLO, stream: true }))
    assert.deepEqual([seen.text, seen.finish, seen.done], ['34 m', 'stop', true])
  })
})
