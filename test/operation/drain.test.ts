/* The end of a gateway, as a process of its own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { readStream, until } from '../support/running.ts'
import { during, LISTEN, type Started } from '../support/started.ts'

const gateway = (
  drain: string,
  simulator: string,
) => `${LISTEN.replace('{listen: "127.0.0.1:0"}', `{listen: "127.0.0.1:0", drain: ${drain}}`)}
simulators: [{name: s, answer: "one two three four five", ${simulator}}]
providers: {p: {type: openai-compatible, base_url: "simulator:s/v1"}}
routes: {r: {targets: [p/m], recover: off}}
`

/** How long it took to end, and its exit code. */
async function ended(gateway: Started, run: () => Promise<unknown> = async () => {}): Promise<readonly [number, number | null]> {
  const startedAt = performance.now()
  gateway.child.kill('SIGTERM')
  await run()
  const code = await gateway.ended
  return [performance.now() - startedAt, code]
}

test('20 streams come to their end within the drain, and it is over as soon as they have', () =>
  during(gateway('20s', 'token_delay: 100ms'), async gateway => {
    const open = await Promise.all(Array.from({ length: 20 }, () => gateway.call({ model: 'r', stream: true })))
    const [ms, code] = await ended(gateway)
    for (const { text, done } of await Promise.all(open.map(readStream))) {
      assert.deepEqual([text, done], ['one two three four five', true])
    }
    assert.equal(code, 0)
    assert.ok(ms < 5_000, `${ms} ms`)
  }))

test('what is not over when the drain ends gets an error event, and no [DONE]; it exits within two seconds more', () =>
  during(gateway('1s', 'script: [{stall_after: 2}]'), async gateway => {
    const open = await Promise.all(Array.from({ length: 5 }, () => gateway.call({ model: 'r', stream: true })))
    const whole = gateway.call({ model: 'r' })
    await until('all are under way', async () => (await gateway.metric('llm_in_flight')) === 6)
    const [ms, code] = await ended(gateway)
    for (const { error, done } of await Promise.all(open.map(readStream))) {
      assert.equal(error?.code, 'draining')
      assert.equal(done, false)
    }
    const refused = await whole
    assert.deepEqual(
      [refused.status, refused.headers.get('x-should-retry'), refused.headers.get('connection')],
      [503, 'true', 'close'],
    )
    assert.equal(code, 0)
    assert.ok(ms > 900 && ms < 3_000, `${ms} ms`)
    assert.equal(gateway.logs().at(-1)!.msg, 'stopped')
    assert.equal(gateway.logs().filter(({ msg }) => msg === 'call').length, 6)
  }))

test('a second signal means now', () =>
  during(gateway('1m', 'script: [{stall_after: 2}]'), async gateway => {
    const open = await gateway.call({ model: 'r', stream: true })
    const [ms, code] = await ended(gateway, async () => {
      await until('it drains', async () => (await fetch(`${gateway.adminUrl}/ready`)).status === 503)
      gateway.child.kill('SIGTERM')
    })
    assert.equal((await readStream(open)).error?.code, 'draining')
    assert.equal(code, 0)
    assert.ok(ms < 2_500, `${ms} ms`)
  }))

test('a client that does not read holds nothing up for longer than the drain and two seconds', () =>
  during(gateway('1s', 'script: [{huge: 20000000}]'), async gateway => {
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    const body = JSON.stringify({ model: 'r', messages: [{ role: 'user', content: 'x' }] })
    socket.pause()
    socket.on('error', () => {})
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await until('it is under way', async () => (await gateway.metric('llm_attempts_total', 'answered')) === 1, 10_000)
    const [ms, code] = await ended(gateway)
    socket.destroy()
    assert.equal(code, 0)
    assert.ok(ms < 3_000, `${ms} ms`)
  }))

test('a connection that is kept alive and idle is closed, and one whose answer ends during the drain is told so', () =>
  during(gateway('20s', 'token_delay: 100ms'), async gateway => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const asked = request(`${gateway.url}/health`, { agent })
    asked.end()
    const [answer] = await once(asked, 'response')
    answer.resume()
    await once(answer, 'end')
    const idle = asked.socket!
    const open = await gateway.call({ model: 'r', stream: true })
    const closed = once(idle, 'close')
    const startedAt = performance.now()
    gateway.child.kill('SIGTERM')
    await closed
    const [closedMs] = [performance.now() - startedAt]
    await readStream(open)
    assert.equal(await gateway.ended, 0)
    assert.ok(closedMs < 500, `${closedMs} ms`)
    assert.ok(performance.now() - startedAt < 5_000)
  }))

test('a log that nobody reads does not keep it alive', () =>
  during(gateway('1s', 'token_delay: 0s'), async gateway => {
    gateway.child.stdout!.pause()
    for (let round = 0; round < 40; round++) {
      // Each leaves a line, and together more than any pipe holds.
      await Promise.all(Array.from({ length: 100 }, async () => (await gateway.call({ model: 'x'.repeat(200) })).text()))
    }
    const over = once(gateway.child, 'exit')
    const startedAt = performance.now()
    gateway.child.kill('SIGTERM')
    assert.deepEqual(await over, [0, null])
    const ms = performance.now() - startedAt
    assert.ok(ms < 3_000, `${ms} ms`)
    gateway.child.stdout!.resume()
  }))
