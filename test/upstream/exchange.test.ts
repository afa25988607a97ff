import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { Fault, type FaultName } from '../../src/core/fault.ts'
import { type Exchange, exchange, type Sending } from '../../src/upstream/exchange.ts'
import { type Pools, pools } from '../../src/upstream/pools.ts'
import { until } from '../support/running.ts'
import { answering, CHUNKED, chunk, nextTurn, onRequests, type Upstream, upstream, whole } from './upstream.ts'

let open: Upstream[] = []
let kept: Pools

beforeEach(() => {
  kept = pools(systemClock)
})

afterEach(async () => {
  await kept.close()
  await Promise.all(open.map(each => each.close()))
  open = []
})

async function against(starting: Promise<Upstream>): Promise<Upstream> {
  const started = await starting
  open.push(started)
  return started
}

const send = ({ origin }: { readonly origin: string }, more: Partial<Sending> = {}): Exchange =>
  exchange(kept, {
    origin,
    path: '/v1/x',
    headers: ['content-type', 'application/json'],
    body: '{"a":1}',
    connectMs: 1_000,
    ...more,
  })

/** A server that sends this once it has read the request, and then does what `then` says. */
const sending = (bytes: string, then: (socket: Socket) => void = () => {}) =>
  against(
    upstream(socket =>
      onRequests(socket, () => {
        if (bytes === '') then(socket)
        else socket.write(bytes, () => then(socket))
      }),
    ),
  )

const readOf = (from: Exchange) =>
  new Promise<Buffer | undefined>((resolve, reject) => from.read({ take: resolve, fail: reject }))

async function text(from: Exchange): Promise<string> {
  let all = ''
  for (let part = await readOf(from); part !== undefined; part = await readOf(from)) all += part.toString()
  return all
}

async function failsWith(promise: Promise<unknown>, kind: FaultName, detail = /./): Promise<Fault> {
  const fault = await promise.then(
    () => assert.fail(`no ${kind}`),
    (thrown: unknown) => thrown,
  )
  assert.ok(fault instanceof Fault, String(fault))
  assert.equal(fault.kind, kind, fault.details.detail)
  assert.match(fault.details.detail ?? '', detail)
  return fault
}

const LAST = '0\r\n\r\n'
const GONE = new Fault('client-gone', { detail: 'gone' })

/** Resolves within `ms` with true once the other side sees this connection closed. */
const closes = (server: Upstream, ms: number) => until('the connection is closed', () => server.open() === 0, ms)

// ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a request goes out as it was given, and its answer comes back with its head', async () => {
  const asked: string[] = []
  const server = await against(
    upstream(socket =>
      onRequests(socket, (head, body) => {
        asked.push(head, body)
        socket.write(whole('{"ok":true}', 'x-one: 1\r\nX-Two: a\r\nx-two: b\r\n'))
      }),
    ),
  )
  const going = send(server, {
    headers: ['authorization', 'Bearer k', 'content-type', 'application/json'],
    body: Buffer.from('{"ü":1}'),
  })
  const { status, headers } = await going.head
  assert.equal(status, 200)
  assert.equal(headers['x-one'], '1')
  assert.deepEqual(headers['x-two'], ['a', 'b'])
  assert.equal(await text(going), '{"ok":true}')
  assert.equal(await readOf(going), undefined, 'the end stays the end')
  assert.match(asked[0]!, /^POST \/v1\/x HTTP\/1\.1\r\n/)
  assert.match(asked[0]!, /\r\nauthorization: Bearer k\r\n/)
  assert.match(asked[0]!, /\r\ncontent-length: 8(\r\n|$)/)
  assert.equal(asked[1], '{"ü":1}')
})

test('a chunked answer is read as it comes, and the connection is used again', async () => {
  let go = () => {}
  const server = await against(
    upstream(socket =>
      onRequests(socket, () => {
        socket.write(CHUNKED + chunk('one'))
        go = () => socket.write(`${chunk('two')}0\r\n\r\n`)
      }),
    ),
  )
  for (let round = 0; round < 3; round++) {
    const going = send(server)
    await going.head
    assert.equal((await readOf(going))?.toString(), 'one')
    const next = readOf(going)
    go()
    assert.equal((await next)?.toString(), 'two')
    assert.equal(await readOf(going), undefined)
    await nextTurn()
  }
  assert.equal(server.opened(), 1)
})

test('what only announces an answer is not the answer', async () => {
  const server = await sending(`HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${whole('{}')}`)
  const going = send(server)
  assert.equal((await going.head).status, 200)
  assert.equal(await text(going), '{}')
})

test('an answer that the end of its connection delimits is read to that end', async () => {
  const server = await sending('HTTP/1.1 200 OK\r\n\r\nall of it', socket => socket.end())
  const going = send(server)
  await going.head
  assert.equal(await text(going), 'all of it')
})

test('the rest comes at once, and not past its limit', async () => {
  const server = await sending(CHUNKED + chunk('a'.repeat(1_000)) + chunk('b'.repeat(1_000)) + LAST)
  const fitting = send(server)
  assert.equal((await fitting.rest(2_000)).length, 2_000)
  const larger = send(server)
  await failsWith(larger.rest(1_999), 'upstream-garbled', /larger than 1999 bytes/)
})

test('an answer that is ended in the same turn in which all of it has come is none', async () => {
  const server = await sending(whole('{"a":1}'))
  const going = send(server, { atOnce: () => 1_000, onChunk: () => setImmediate(() => going.abort(GONE)) })
  await failsWith(going.head, 'client-gone')
  assert.equal(await text(send(server)), '{"a":1}')
})

// ── what an upstream does wrong ────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a port where nothing listens is an upstream that cannot be reached', async () => {
  const gone = await upstream(() => {})
  await gone.close()
  const { details } = await failsWith(send(gone).head, 'upstream-unreachable', /ECONNREFUSED/)
  assert.notEqual(details.blameless, true)
})

test('a name that does not resolve is an upstream that cannot be reached', async () => {
  await failsWith(send({ origin: 'http://no-such-host.invalid' }).head, 'upstream-unreachable')
})

test('a connection that is reset or closed before the head cannot be reached either', async () => {
  const reset = await sending('', socket => socket.resetAndDestroy())
  await failsWith(send(reset).head, 'upstream-unreachable', /ECONNRESET|UND_ERR_SOCKET/)
  const closed = await sending('', socket => socket.end())
  await failsWith(send(closed).head, 'upstream-unreachable')
  const inHead = await sending('HTTP/1.1 200 OK\r\ncontent-ty', socket => socket.end())
  await failsWith(send(inHead).head, 'upstream-unreachable')
})

test('what is no HTTP is garbled', async () => {
  const lines = [
    'this is not HTTP\r\n\r\n',
    'SSH-2.0-OpenSSH_9.6\r\n',
    'HTTP/1.1 banana\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n',
  ]
  for (const line of lines) await failsWith(send(await sending(line)).head, 'upstream-garbled')
})

test('headers of 70 KB are garbled, and the connection is let go', async () => {
  const server = await sending(`HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(70 * 1024)}\r\n\r\n`)
  await failsWith(send(server).head, 'upstream-garbled', /HEADERS_OVERFLOW/)
  await closes(server, 100)
})

test('a protocol upgrade that nobody asked for is no answer, and its connection is closed', async () => {
  const server = await sending('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n')
  await failsWith(send(server).head, 'upstream-unreachable', /upgrade/)
  await closes(server, 100)
})

const CUTS: Readonly<Record<string, string>> = {
  'a content-length that is not reached': whole('{"a":1}').replace('content-length: 7', 'content-length: 70'),
  'chunks without the last one': CHUNKED + chunk('data: a\n\n'),
  'a chunk that is not complete': `${CHUNKED}100\r\ndata: a\n\n`,
}

for (const [name, bytes] of Object.entries(CUTS)) {
  for (const how of ['end', 'resetAndDestroy'] as const) {
    test(`an answer cut off is truncated, and what came before is there: ${name}, ${how === 'end' ? 'closed' : 'reset'}`, async () => {
      let cut = () => {}
      const server = await sending(bytes, socket => {
        cut = () => socket[how]()
      })
      const going = send(server)
      assert.equal((await going.head).status, 200)
      assert.match((await readOf(going))!.toString(), /a/)
      const next = readOf(going)
      cut()
      await failsWith(next, 'upstream-truncated')
      await failsWith(readOf(going), 'upstream-truncated')
    })
  }
}

test('a chunk whose size is no number is a truncated answer', async () => {
  const going = send(await sending(`${CHUNKED + chunk('data: a\n\n')}zz\r\n`))
  await going.head
  await failsWith(text(going), 'upstream-truncated')
})

// ── back-pressure ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('an upstream of 200 MB waits for a reader that does not read, and then gives all of it', async () => {
  const bytes = 200 * 1024 * 1024
  const piece = Buffer.alloc(256 * 1024, 'x')
  const server = await against(
    upstream(socket =>
      onRequests(socket, () => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`)
        let left = bytes / piece.length
        const more = () => {
          while (left > 0) {
            left--
            if (!socket.write(piece)) {
              socket.once('drain', more)
              return
            }
          }
        }
        more()
      }),
    ),
  )
  let ours: Socket | undefined
  const onSent = (message: unknown) => {
    ours = (message as { socket: Socket }).socket
  }
  diagnostics.subscribe('undici:client:sendHeaders', onSent)
  const going = send(server)
  await going.head
  diagnostics.unsubscribe('undici:client:sendHeaders', onSent)

  let before = -1
  await until('it stands still', async () => {
    const still = ours!.bytesRead === before
    before = ours!.bytesRead
    await new Promise(resolve => setTimeout(resolve, 100))
    return still
  })
  assert.ok(ours!.bytesRead < 2 * 1024 * 1024, `${ours!.bytesRead} bytes taken`)

  let got = 0
  for (let part = await readOf(going); part !== undefined; part = await readOf(going)) got += part.length
  assert.equal(got, bytes)
})

// ── abort ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('aborted before its connection stands, a request is never sent', async () => {
  let asked = 0
  const server = await against(upstream(socket => onRequests(socket, () => asked++)))
  const going = send(server)
  going.abort(GONE)
  await assert.rejects(going.head, GONE)
  await assert.rejects(readOf(going), GONE)
  await until('the connection was made', () => server.opened() === 1)
  await closes(server, 100)
  assert.equal(asked, 0)
})

test('aborted before the head, the connection is closed within 100 ms', async () => {
  let asked = 0
  const server = await against(upstream(socket => onRequests(socket, () => asked++)))
  const going = send(server)
  const reading = readOf(going)
  await until('it is asked', () => asked === 1)
  going.abort(GONE)
  await assert.rejects(going.head, GONE)
  await assert.rejects(reading, GONE)
  await closes(server, 100)
})

test('aborted in the body, the connection is closed within 100 ms, also while it is paused', async () => {
  const some = await sending(CHUNKED + chunk('a'))
  const going = send(some)
  await going.head
  assert.equal((await readOf(going))?.toString(), 'a')
  const reading = readOf(going)
  going.abort(GONE)
  await assert.rejects(reading, GONE)
  await closes(some, 100)

  const much = await sending(CHUNKED + chunk('a'.repeat(4 * 1024 * 1024)))
  const paused = send(much)
  await paused.head
  await new Promise(resolve => setTimeout(resolve, 50))
  paused.abort(GONE)
  await assert.rejects(readOf(paused), GONE, 'what was not read yet is not given any more')
  await closes(much, 100)
})

test('an abort after the end changes nothing, and the connection stays', async () => {
  const server = await against(answering(whole('{}')))
  const going = send(server)
  assert.equal(await text(going), '{}')
  going.abort(GONE)
  assert.equal(await readOf(going), undefined)
  await nextTurn()
  assert.equal(await text(send(server)), '{}')
  assert.equal(server.opened(), 1)
})

test('the first abort counts', async () => {
  const server = await against(upstream(() => {}))
  const going = send(server)
  going.abort(GONE)
  going.abort(new Fault('upstream-timeout'))
  await assert.rejects(going.head, GONE)
})

test('a head that fails while nobody waits for it is no unhandled rejection', async () => {
  const gone = await upstream(() => {})
  await gone.close()
  const going = send(gone)
  await failsWith(readOf(going), 'upstream-unreachable')
})
