/* More bodies than the heap has room for, by calls that all wait for their provider: those that do not fit are refused, and nothing dies of it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type GatewayProcess, gatewayProcess } from '../support/gateway-process.ts'
import { until } from '../support/running.ts'
import { onRequests, type Upstream, upstream } from '../upstream/upstream.ts'
import { post, type RawClient, rawClient } from './raw.ts'

/** The heap of a small container: 64 MB, of which an eighth is for bodies. */
const NODE_ARGS = ['--max-old-space-size=64']
const MOST_BYTES = 8 * 1024 ** 2
const BODY_BYTES = 250_000
const CLIENTS = 400

const ANSWER = JSON.stringify({
  id: 'a',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
})

let provider: Upstream
let gateway: GatewayProcess
let asked = 0
let answers: (() => void)[] = []

before(async () => {
  provider = await upstream(socket =>
    onRequests(socket, () => {
      asked++
      answers.push(
        () =>
          void socket.write(
            `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${ANSWER.length}\r\n\r\n${ANSWER}`,
          ),
      )
    }),
  )
  gateway = await gatewayProcess(
    { providers: { p: { type: 'openai-compatible', base_url: `${provider.origin}/v1` } }, routes: { r: ['p/m'] } },
    NODE_ARGS,
  )
})
after(async () => {
  await gateway.stop()
  await provider.close()
})

const body = (bytes: number) => JSON.stringify({ model: 'r', messages: [{ role: 'user', content: 'x'.repeat(bytes) }] })
const inPieces = (text: string) =>
  'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n' +
  `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
const call = (bytes: number) => rawClient(`http://127.0.0.1:${gateway.port}`, post(body(bytes)))
const status = (client: RawClient) => client.heard().slice(9, 12)

for (const [name, send] of [
  ['whose heads tell how long they are', () => call(BODY_BYTES)],
  ['that come in pieces', () => rawClient(`http://127.0.0.1:${gateway.port}`, inPieces(body(BODY_BYTES)))],
] as const)
  test(`bodies ${name}`, async () => {
    asked = 0
    const clients = await Promise.all(Array.from({ length: CLIENTS }, send))
    const refused = () => clients.filter(client => status(client) === '503')
    await until('each call is held or refused', () => asked + refused().length === CLIENTS, 20_000)
    assert.ok(asked >= 8 && asked <= MOST_BYTES / BODY_BYTES + 1, `${asked} fit`)
    for (const client of refused()) {
      assert.match(client.heard(), /\r\nx-should-retry: true\r\n/)
      assert.match(client.heard(), /\r\nretry-after: \d+\r\n/)
      assert.match(client.heard(), /"code":"overloaded"/)
    }
    const held = clients.filter(client => status(client) === '')
    assert.equal(held.length, asked)
    for (const answer of answers) answer()
    answers = []
    for (const client of held) await client.hears('HTTP/1.1 200 OK')
    for (const { socket } of clients) socket.destroy()
    const next = await call(BODY_BYTES)
    await until('there is room again', () => answers.length === 1)
    answers.pop()!()
    await next.hears('HTTP/1.1 200 OK')
    next.socket.destroy()
  })

test('one body that is larger than all that would fit is read when it is alone', async () => {
  const alone = await call(1.25 * MOST_BYTES)
  await until('it is asked', () => answers.length === 1, 10_000)
  const second = await call(10)
  await second.hears('HTTP/1.1 503 ')
  answers.pop()!()
  await alone.hears('HTTP/1.1 200 OK')
  for (const { socket } of [alone, second]) socket.destroy()
})
