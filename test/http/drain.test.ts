import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HELLO, type Running, readStream, running, until } from '../support/running.ts'
import { post, rawClient } from './raw.ts'

const GATEWAY = `
simulators: [{ name: a, answer: "one two three" }]
providers: { a: { type: openai-compatible, base_url: "simulator:a/v1", circuit: { failures: 1 } } }
routes: { r: [a/m] }
`
const CALL = { model: 'r', messages: HELLO }

async function draining(run: (gateway: Running) => Promise<void>): Promise<void> {
  const gateway = await running(GATEWAY)
  try {
    await run(gateway)
  } finally {
    await gateway.close()
  }
}

test('while draining, new calls are refused in a way that clients try again, and readiness says so', () =>
  draining(async gateway => {
    gateway.readiness.drain()
    const response = await gateway.call(CALL)
    assert.equal(response.status, 503)
    assert.equal(response.headers.get('x-should-retry'), 'true')
    assert.equal(response.headers.get('retry-after'), '1')
    assert.ok(response.headers.get('x-request-id'))
    const { error } = (await response.json()) as any
    assert.deepEqual([error.code, error.type, error.param], ['draining', 'server_error', null])
    for (const url of [gateway.url, gateway.adminUrl]) {
      const ready = await fetch(`${url}/ready`)
      assert.equal(ready.status, 503)
      assert.deepEqual(await ready.json(), { status: 'draining' })
      assert.equal((await fetch(`${url}/health`)).status, 200)
    }
    assert.equal(gateway.simulators.get('a')!.counts.total, 0)
  }))

test('while draining, calls under way are answered to their end', () =>
  draining(async gateway => {
    gateway.simulators.get('a')!.script([{ slow_tokens: 50 }])
    const [stream, whole] = await Promise.all([gateway.call({ ...CALL, stream: true }), gateway.call(CALL)])
    gateway.readiness.drain()
    const { text, finish, done } = await readStream(stream)
    assert.deepEqual([text, finish, done], ['one two three', 'stop', true])
    assert.equal(((await whole.json()) as any).choices[0].message.content, 'one two three')
    await until('nothing is under way', () => gateway.server.active() === 0)
  }))

test('the end of the drain ends open streams with an error event and no [DONE]', () =>
  draining(async gateway => {
    const simulator = gateway.simulators.get('a')!
    simulator.script([{ stall_after: 1 }])
    const response = await gateway.call({ ...CALL, stream: true })
    assert.equal(gateway.server.active(), 1)
    gateway.readiness.drain()
    gateway.server.endAll()
    const { text, error, done } = await readStream(response)
    assert.deepEqual([text, done], ['one ', false])
    assert.equal(error?.code, 'draining')
    await until('the upstream call is cancelled', () => simulator.counts.aborted === 1, 100)
    await until('it is written down', () => gateway.logs().some(({ ending }) => ending === 'broken'))
    assert.equal(gateway.server.active(), 0)
    assert.equal(gateway.assembled.gateway.circuits.state('a/m'), 'closed', 'nobody is blamed')
  }))

test('the end of the drain refuses calls that have no answer yet', () =>
  draining(async gateway => {
    const simulator = gateway.simulators.get('a')!
    simulator.script([{ never_answer: true }])
    const calls = [gateway.call(CALL), gateway.call({ ...CALL, stream: true })]
    await until('both are asked', () => simulator.counts.open === 2)
    assert.equal(gateway.server.active(), 2)
    gateway.server.endAll()
    for (const response of await Promise.all(calls)) {
      assert.equal(response.status, 503)
      assert.equal(response.headers.get('x-should-retry'), 'true')
      assert.equal(((await response.json()) as any).error.code, 'draining')
    }
    await until('the upstream calls are cancelled', () => simulator.counts.aborted === 2, 100)
    assert.equal(simulator.counts.total, 2, 'nobody else is asked')
    assert.equal(gateway.assembled.gateway.circuits.state('a/m'), 'closed')
  }))

test('a call whose body is still coming when the drain ends is refused, and settled once', () =>
  draining(async gateway => {
    const client = await rawClient(gateway.url, post('{', { 'content-length': '100' }))
    await until('it is under way', () => gateway.server.active() === 1)
    gateway.readiness.drain()
    gateway.server.endAll()
    client.send(' '.repeat(99))
    assert.match(await client.hears('}}'), /^HTTP\/1\.1 (400|503) /)
    client.socket.destroy()
    await until('it is settled', () => gateway.server.active() === 0)
    assert.equal(gateway.logs().filter(({ msg }) => msg === 'call').length, 1)
  }))
