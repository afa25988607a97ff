/* What a client hears that comes beyond the ceiling, over real sockets; what is allowed is decided by hand. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { type Overload, overload } from '../../src/http/overload.ts'
import { log } from '../../src/telemetry/log.ts'
import { metrics } from '../../src/telemetry/metrics.ts'

interface Guarded {
  readonly url: string
  readonly port: number
  readonly lines: readonly string[]
  readonly measured: ReturnType<typeof metrics>
  readonly guard: Overload
  /** From now on, whether calls are taken. */
  allow(calls: boolean): void
}

/** A server that answers what is not refused; who is refused is told to wait for a second. */
async function guarded(run: (server: Guarded) => Promise<void>): Promise<void> {
  let allows = false
  const lines: string[] = []
  const measured = metrics('test')
  const guard = overload({
    clock: systemClock,
    log: log('info', text => text, { write: line => lines.push(line) }),
    metrics: measured,
    random: () => 0.8 / 2.8,
    decides: { allows: () => allows, look() {} },
  })
  const server = createServer((request, raw) => {
    if (!guard.refuses(0, request, raw)) raw.end('taken')
  })
  server.on('checkContinue', (request, raw) => server.emit('request', request, raw))
  const unwatch = guard.watch()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const allow = (calls: boolean) => {
    allows = calls
  }
  try {
    await run({ url: `http://127.0.0.1:${port}`, port, lines, measured, guard, allow })
  } finally {
    unwatch()
    server.closeAllConnections()
    server.close()
  }
}

test('a call too many is refused in a way that clients try again, and counted', () =>
  guarded(async ({ url, lines, measured, allow }) => {
    const refused = await fetch(url, { method: 'POST', body: '{}' })
    assert.equal(refused.status, 503)
    assert.deepEqual(
      ['x-should-retry', 'retry-after', 'retry-after-ms', 'content-type'].map(name => refused.headers.get(name)),
      ['true', '1', '1000', 'application/json; charset=utf-8'],
    )
    assert.ok(refused.headers.get('x-request-id'))
    const { error } = (await refused.json()) as any
    assert.deepEqual([error.type, error.code, error.param], ['server_error', 'overloaded', null])
    allow(true)
    assert.equal(await (await fetch(url, { method: 'POST', body: '{}', headers: { connection: 'close' } })).text(), 'taken')
    await new Promise(resolve => setTimeout(resolve, 150))
    assert.match((await measured.scrape()).text, /llm_requests_total\{.*status="503".*\} 1\n/)
    assert.deepEqual(
      lines.map(line => [JSON.parse(line).msg, JSON.parse(line).refused]),
      [['overloaded', 1]],
    )
  }))

test('who does not wait as he was told is not read before his time', () =>
  guarded(async ({ port, allow }) => {
    const socket = connect(port, '127.0.0.1')
    const call = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}'
    socket.write(call)
    const [first] = await once(socket, 'data')
    assert.match(String(first), /^HTTP\/1.1 503 /)
    const askedAt = performance.now()
    allow(true)
    socket.write(call)
    const [second] = await once(socket, 'data')
    assert.match(String(second), /^HTTP\/1.1 200 /)
    const waited = performance.now() - askedAt
    assert.ok(waited > 700 && waited < 2_500, `${waited} ms`)
    socket.destroy()
  }))

test('of those that do not wait, one is read again for every three calls that are taken', () =>
  guarded(async ({ port, allow }) => {
    const call = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}'
    const ask = async (socket: Socket) => {
      socket.write(call)
      const [answer] = await once(socket, 'data')
      return String(answer).slice(9, 12)
    }
    const impatient = connect(port, '127.0.0.1')
    assert.equal(await ask(impatient), '503')
    allow(true)
    const askedAt = performance.now()
    const again = ask(impatient)
    const other = connect(port, '127.0.0.1')
    for (let at = 0; at < 3; at++) assert.equal(await ask(other), '200')
    assert.equal(await again, '200')
    assert.ok(performance.now() - askedAt < 700)
    impatient.destroy()
    other.destroy()
  }))

test('a body of up to a megabyte is read over, and the connection kept', () =>
  guarded(async ({ port }) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`)
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1.1 503 /)
    assert.doesNotMatch(String(answer), /connection: close/i)
    socket.destroy()
  }))

test('who waits to be asked for the body is not asked, and the connection is closed', () =>
  guarded(async ({ port }) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n')
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1.1 503 [\s\S]*connection: close/)
    await once(socket, 'close')
  }))

test('a large body is not read for a refusal: the connection is closed', () =>
  guarded(async ({ port }) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 30000000\r\n\r\n{')
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1.1 503 [\s\S]*connection: close/)
    await once(socket, 'close')
  }))
