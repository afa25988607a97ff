/* What a client hears that comes beyond the ceiling, over real sockets; what is allowed is decided by hand. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { overload } from '../../src/http/overload.ts'
import { log } from '../../src/telemetry/log.ts'
import { metrics } from '../../src/telemetry/metrics.ts'
import { type HeldClock, heldClock } from '../support/clock.ts'
import { until } from '../support/running.ts'

interface Guarded {
  readonly url: string
  readonly port: number
  readonly lines: readonly string[]
  readonly measured: ReturnType<typeof metrics>
  readonly clock: HeldClock
  /** From now on, whether calls are taken. */
  allow(calls: boolean): void
  /** From now on, how long the next in the line has waited, in milliseconds; 5 at first. */
  waits(ms: number): void
  /** So many more calls have been begun. */
  begins(calls: number): void
  /** From now on, how many bytes the calls under way hold; a thousand are too many. */
  hold(bytes: number): void
  connections(): Promise<number>
}

/** A server that answers what is not refused; who is refused is told to wait for half a second, the most as long as few are. */
async function guarded(run: (server: Guarded) => Promise<void>): Promise<void> {
  let allows = false
  let waitedMs = 5
  let begun = 0
  let held = 0
  const lines: string[] = []
  const measured = metrics('test')
  const clock = heldClock()
  const guard = overload({
    clock,
    log: log('info', text => text, { write: line => lines.push(line) }),
    metrics: measured,
    turns: { take: () => assert.fail(), waitedMs: () => waitedMs, begun: () => begun },
    random: () => 1,
    mostBytes: 1_000,
    decides: { allows: () => allows, look() {} },
  })
  const server = createServer((request, raw) => {
    if (!guard.refuses(0, held, request, raw)) raw.end('taken')
  })
  server.on('checkContinue', (request, raw) => server.emit('request', request, raw))
  const unwatch = guard.watch()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const allow = (calls: boolean) => {
    allows = calls
  }
  const waits = (ms: number) => {
    waitedMs = ms
  }
  const hold = (bytes: number) => {
    held = bytes
  }
  const connections = () => promisify(server.getConnections.bind(server))()
  const begins = (calls: number) => {
    begun += calls
  }
  try {
    await run({ url: `http://127.0.0.1:${port}`, port, lines, measured, clock, allow, waits, begins, hold, connections })
  } finally {
    unwatch()
    server.closeAllConnections()
    server.close()
  }
}

test('a call too many is refused in a way that clients try again, and counted', () =>
  guarded(async ({ url, lines, measured, clock, allow }) => {
    const refused = await fetch(url, { method: 'POST', body: '{}' })
    assert.equal(refused.status, 503)
    assert.deepEqual(
      ['x-should-retry', 'retry-after', 'retry-after-ms', 'content-type'].map(name => refused.headers.get(name)),
      ['true', '1', '500', 'application/json; charset=utf-8'],
    )
    assert.ok(refused.headers.get('x-request-id'))
    const { error } = (await refused.json()) as any
    assert.deepEqual([error.type, error.code, error.param], ['server_error', 'overloaded', null])
    allow(true)
    assert.equal(await (await fetch(url, { method: 'POST', body: '{}', headers: { connection: 'close' } })).text(), 'taken')
    await clock.pass(100)
    assert.match((await measured.scrape()).text, /llm_requests_total\{.*status="503".*\} 1\n/)
    assert.deepEqual(
      lines.map(line => [JSON.parse(line).msg, JSON.parse(line).refused]),
      [['overloaded', 1]],
    )
  }))

const CALL = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}'

/** What the next answer over this connection begins with. */
async function status(socket: Socket): Promise<string> {
  const [answer] = await once(socket, 'data')
  return String(answer).slice(9, 12)
}

async function ask(socket: Socket, call = CALL): Promise<string> {
  socket.write(call)
  return status(socket)
}

/** A client whose first call was refused, and that asks again at once. */
async function impatient(port: number) {
  const socket = connect(port, '127.0.0.1')
  assert.equal(await ask(socket), '503')
  let answer: string | undefined
  socket.write(CALL)
  const answered = status(socket).then(told => {
    answer = told
  })
  return { answer: () => answer, answered, socket }
}

/** A call of somebody else, from whom it takes as long as one that is read would. */
async function another(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  assert.equal(await ask(socket), '200')
  socket.destroy()
}

/** A call of somebody else that is refused. */
async function anotherRefused(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  assert.equal(await ask(socket), '503')
  socket.destroy()
}

test('who does not wait as he was told is not read before his time', () =>
  guarded(async ({ port, clock, allow }) => {
    const { answer, answered, socket } = await impatient(port)
    for (let tenth = 0; tenth < 3; tenth++) {
      await anotherRefused(port)
      await clock.pass(100)
    }
    assert.equal(answer(), undefined)
    await anotherRefused(port)
    allow(true)
    await clock.pass(200)
    await answered
    assert.equal(answer(), '200')
    socket.destroy()
  }))

test('while there is time for all who call, one of those that do not wait is read for each that calls', () =>
  guarded(async ({ port, allow, waits }) => {
    const first = await impatient(port)
    const second = await impatient(port)
    allow(true)
    waits(0)
    await another(port)
    await first.answered
    assert.deepEqual([first.answer(), second.answer()], ['200', undefined])
    for (const { socket } of [first, second]) socket.destroy()
  }))

test('when nobody else calls, those that do not wait are read all the same', () =>
  guarded(async ({ port, clock, allow }) => {
    const all = await Promise.all(Array.from({ length: 3 }, () => impatient(port)))
    allow(true)
    // The first look is after the calls that were refused.
    await clock.pass(200)
    for (const { answered, socket } of all) {
      await answered
      socket.destroy()
    }
  }))

/** What a call is told to wait that is refused now, in milliseconds. */
async function toldMs(port: number): Promise<{ readonly ms: number; readonly socket: Socket }> {
  const socket = connect(port, '127.0.0.1')
  socket.write(CALL)
  const [answer] = await once(socket, 'data')
  return { ms: Number(/retry-after-ms: (\d+)/.exec(String(answer))![1]), socket }
}

test('the more are waiting, the longer it is that one is told to wait: one is to come back for ten calls that are begun', () =>
  guarded(async ({ port, clock, begins, connections }) => {
    const sockets: Socket[] = []
    async function refuse(count: number): Promise<number> {
      let last = 0
      for (let at = 0; at < count; at++) {
        const { ms, socket } = await toldMs(port)
        sockets.push(socket)
        last = ms
      }
      return last
    }
    assert.equal(await refuse(40), 500, 'as long as nothing is known of how many are begun')
    begins(10)
    await clock.pass(100)
    assert.equal(await refuse(1), 2 * 10 * (40 * 10), 'ten a tenth of a second')
    await clock.pass(100)
    assert.equal(await refuse(1), 2 * 10 * (41 * 10), 'as it was when any was begun')
    begins(1)
    await clock.pass(100)
    assert.equal(await refuse(1), 30_000, 'at the most')
    begins(1_000)
    await clock.pass(100)
    assert.equal(await refuse(1), 500, 'at the least')
    for (const socket of sockets) socket.destroy()
    // That a client has left shows when its connection is read, which it is while nobody calls.
    await clock.pass(300)
    await until('they have left', async () => (await connections()) === 0)
    begins(1)
    await clock.pass(100)
    assert.equal(await refuse(1), 500, 'who has left is not waited for')
    sockets.at(-1)!.destroy()
  }))

test('a call for whose body there is no room is refused, and told of', () =>
  guarded(async ({ port, lines, clock, allow, hold }) => {
    allow(true)
    hold(999)
    await another(port)
    hold(1_000)
    await anotherRefused(port)
    await clock.pass(100)
    assert.deepEqual(
      lines.map(line => [JSON.parse(line).refused, JSON.parse(line).forMemory]),
      [[1, 1]],
    )
  }))

test('of those that do not wait, one is read again for every three calls that are taken', () =>
  guarded(async ({ port, allow }) => {
    const first = await impatient(port)
    const second = await impatient(port)
    allow(true)
    for (let at = 0; at < 3; at++) await another(port)
    await first.answered
    assert.deepEqual([first.answer(), second.answer()], ['200', undefined])
    for (const { socket } of [first, second]) socket.destroy()
  }))

test('a body of up to a megabyte is read over, and the connection kept', () =>
  guarded(async ({ port, clock, allow }) => {
    const socket = connect(port, '127.0.0.1')
    const large = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`
    assert.equal(await ask(socket, large), '503')
    allow(true)
    const next = ask(socket)
    // Not before the body is over is the time known for which the connection is not read.
    const passing = setInterval(() => void clock.pass(1_000), 5)
    assert.equal(await next, '200')
    clearInterval(passing)
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
