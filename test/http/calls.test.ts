import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, afterEach, before, test } from 'node:test'
import type { ScriptRule } from '../../src/config/simulation.ts'
import { HELLO, type Running, readStream, running, until } from '../support/running.ts'
import { CHUNKED, chunk, onRequests, type Upstream, upstream } from '../upstream/upstream.ts'
import { post, rawClient } from './raw.ts'

let gateway: Running
/** An upstream that does what the test at hand says. */
let bare: Upstream
let answer: (write: (bytes: string) => void) => void = () => {}

before(async () => {
  bare = await upstream(socket => onRequests(socket, () => answer(bytes => socket.write(bytes))))
  gateway = await running(`
simulators: [{ name: a, answer: "one two three four five six seven eight" }]
providers:
  a: { type: openai-compatible, base_url: "simulator:a/v1", timeouts: { first_token: 5s, idle: 3s }, circuit: { failures: 1 } }
  bare: { type: openai-compatible, base_url: "${bare.origin}/v1", retry: { attempts: 0 }, circuit: { failures: 50 } }
routes:
  r: [a/m]
  beating: { targets: [a/m], heartbeat: 100ms }
  bare: [bare/m]
`)
})
afterEach(() => gateway.simulators.get('a')!.script([]))
after(async () => {
  await gateway.close()
  await bare.close()
})

const simulator = () => gateway.simulators.get('a')!
const script = (rule: ScriptRule) => simulator().script([rule])
const stream = (model = 'r') => ({ model, messages: HELLO, stream: true })
const whole = { model: 'r', messages: HELLO }
const last = () =>
  gateway
    .logs()
    .filter(({ msg }) => msg === 'call')
    .at(-1)

/** Resolves when the simulator has seen that we have left, within `ms`. */
async function aborts(before: number, ms: number): Promise<void> {
  await until('the upstream call is cancelled', () => simulator().counts.aborted === before + 1, ms)
}

// ── clients that leave ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

for (const body of [whole, stream()]) {
  test(`a client that leaves while the upstream is silent cancels the upstream call: ${body === whole ? 'whole' : 'stream'}`, async () => {
    script({ never_answer: true })
    const { aborted, total } = simulator().counts
    const client = await rawClient(gateway.url, post(JSON.stringify(body)))
    await until('the upstream is asked', () => simulator().counts.total === total + 1)
    client.socket.destroy()
    await aborts(aborted, 100)
    await until('it is written down', () => last()?.status === 499)
    assert.equal(last()!.ending, 'abandoned')
    assert.equal(gateway.assembled.gateway.circuits.state('a/m'), 'closed', 'one failure would have opened it')
    assert.equal(simulator().counts.total, total + 1, 'nobody else is asked')
    assert.equal(await gateway.metric('llm_in_flight'), 0)
  })
}

test('a client that leaves in the middle of a stream cancels the upstream call', async () => {
  script({ slow_tokens: 50 })
  const { aborted } = simulator().counts
  const client = await rawClient(gateway.url, post(JSON.stringify(stream())))
  await client.hears('two')
  client.socket.destroy()
  await aborts(aborted, 100)
  await until('it is written down', () => last()?.ending === 'abandoned' && last()?.status === 499)
  assert.equal(gateway.assembled.gateway.circuits.state('a/m'), 'closed')
})

test('a client that ends its side of the connection has left, too', async () => {
  script({ never_answer: true })
  const { aborted, total } = simulator().counts
  const { hostname, port } = new URL(gateway.url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  socket.on('error', () => {})
  socket.write(post(JSON.stringify(stream())))
  await until('the upstream is asked', () => simulator().counts.total === total + 1)
  socket.end()
  await aborts(aborted, 100)
  socket.destroy()
})

test('a patient client is not taken for one that has left', async () => {
  script({ slow_first_token: 300 })
  const { aborted } = simulator().counts
  const response = await gateway.call(stream())
  const { finish, done } = await readStream(response)
  assert.deepEqual([finish, done], ['stop', true])
  assert.equal(simulator().counts.aborted, aborted)
})

// ── clients that do not read ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a client that never reads a huge stream costs little memory, and the upstream waits for it', async () => {
  const bytes = 400 * 1024 * 1024
  script({ huge: bytes })
  const { aborted } = simulator().counts
  const memory = () => process.memoryUsage().rss
  const before = memory()
  const { hostname, port } = new URL(gateway.url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  socket.pause()
  socket.write(post(JSON.stringify(stream())))
  await until('the upstream answers', () => simulator().counts.open === 1)

  const sent = () => simulator().calls.at(-1)!.tokensSent
  let then = -1
  await until('it stands still', async () => {
    const still = sent() > 0 && sent() === then
    then = sent()
    await new Promise(resolve => setTimeout(resolve, 200))
    return still
  })
  // The simulator is in this process, too, and the kernel holds some megabytes between each two.
  assert.ok(memory() - before < 60 * 1024 * 1024, `${Math.round((memory() - before) / 1024 / 1024)} MB more`)
  assert.equal((await fetch(`${gateway.url}/health`)).status, 200)
  socket.destroy()
  await aborts(aborted, 500)
})

// ── heartbeats ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('while a stream is silent its client gets comments, and only after the first content', async () => {
  script({ slow_first_token: 500, stall_after: 2 })
  const started = performance.now()
  const client = await rawClient(gateway.url, post(JSON.stringify(stream('beating'))))
  await new Promise(resolve => setTimeout(resolve, 350))
  assert.equal(client.heard(), '', 'before the first content not even a head')
  await client.hears(/(: ping[\s\S]*){3}/)
  assert.ok(performance.now() - started >= 500 + 290)
  const body = client.heard().slice(client.heard().indexOf('\r\n\r\n') + 4)
  assert.ok(body.indexOf('one') < body.indexOf(': ping'), body)
  const text = body.replace(/^[\da-f]+\r\n|\r\n(?=[\da-f]+\r\n|$)/gm, '')
  for (const line of text.split('\n')) assert.match(line, /^(data: .*|: ping|)$/, 'comments are no events')
  client.socket.destroy()
})

test('a stream that speaks often enough gets no comments', async () => {
  script({ slow_tokens: 30 })
  const response = await gateway.call(stream('beating'))
  const text = await response.text()
  assert.match(text, /\[DONE\]/)
  assert.doesNotMatch(text, /ping/)
})

test('slow tokens are told with comments between them, and all of them arrive', async () => {
  script({ slow_tokens: 250 })
  const response = await gateway.call(stream('beating'))
  const text = await response.text()
  assert.ok(text.match(/: ping/g)!.length >= 7, text)
  const { text: said, done } = await readStream(new Response(text))
  assert.deepEqual([said, done], ['one two three four five six seven eight', true])
})

test('whole answers get no comments', async () => {
  script({ slow_first_token: 300 })
  const response = await gateway.call({ ...whole, model: 'beating' })
  assert.equal(((await response.json()) as any).choices[0].message.content, 'one two three four five six seven eight')
})

// ── what comes in one read ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const delta = (content: string) => `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`
const ERROR = 'data: {"error":{"message":"overloaded","type":"overloaded_error"}}\n\n'

test('what came in one read with a failure still reaches a client that has content already', async () => {
  for (const ending of [ERROR, 'data: [DONE]\n\n']) {
    answer = write => {
      write(CHUNKED + chunk(delta('a')))
      setTimeout(() => write(chunk(delta('b') + delta('c') + ending)), 50)
    }
    const { text, done, error, finish } = await readStream(await gateway.call(stream('bare')))
    assert.deepEqual([text, done, finish], ['abc', false, null], ending)
    assert.notEqual(error, undefined)
  }
})

test('content that comes in one read with a failure does not commit the call to it', async () => {
  answer = write => write(CHUNKED + chunk(delta('a') + ERROR))
  const response = await gateway.call(stream('bare'))
  assert.equal(response.status, 503)
  assert.match(await response.text(), /^\{"error"/)
})
