import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { Fault } from '../../src/core/fault.ts'
import { type Exchange, exchange } from '../../src/upstream/exchange.ts'
import { type Pools, pools } from '../../src/upstream/pools.ts'
import { until } from '../support/running.ts'
import { nextTurn, onRequests, type Upstream, upstream, whole } from './upstream.ts'

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

const post = (origin: string, connectMs = 1_000): Exchange =>
  exchange(kept, { origin, path: '/', headers: [], body: '{}', connectMs })

async function answer(going: Exchange): Promise<string> {
  await going.head
  const body = await going.rest(1_000)
  await nextTurn()
  return body.toString()
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

test('a TLS handshake that hangs ends at the connect timeout, and its connection is closed', async () => {
  const server = await against(upstream(() => {}))
  const started = performance.now()
  const going = post(server.origin.replace('http:', 'https:'), 150)
  await assert.rejects(going.head, (fault: Fault) => fault.kind === 'upstream-timeout' && /150 ms/.test(fault.details.detail!))
  const ms = performance.now() - started
  assert.ok(ms > 140 && ms < 400, `${ms}`)
  assert.equal(server.opened(), 1)
  await until('closed', () => server.open() === 0, 100)
})

test('a handshake that fails cannot be reached', async () => {
  const server = await against(upstream(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
  await assert.rejects(
    post(server.origin.replace('http:', 'https:')).head,
    (fault: Fault) => fault.kind === 'upstream-unreachable' && fault.details.blameless !== true,
  )
})

test('the time for connecting is none for answering', async () => {
  const server = await against(upstream(socket => onRequests(socket, () => setTimeout(() => socket.write(whole('{}')), 200))))
  assert.equal(await answer(post(server.origin, 50)), '{}')
})

test('calls at once get a connection each, and calls one after the other share one', async () => {
  const server = await against(upstream(socket => onRequests(socket, () => setTimeout(() => socket.write(whole('{}')), 20))))
  await Promise.all(Array.from({ length: 20 }, () => answer(post(server.origin))))
  assert.equal(server.opened(), 20)
  for (let round = 0; round < 20; round++) await answer(post(server.origin))
  assert.equal(server.opened(), 20)
})

test('of the free connections, the one that was used last is used next', async () => {
  const used: number[] = []
  const server = await against(
    upstream((socket, number) =>
      onRequests(socket, () => {
        used.push(number)
        socket.write(whole('{}'))
      }),
    ),
  )
  await Promise.all(Array.from({ length: 5 }, () => answer(post(server.origin))))
  const last = used.at(-1)
  used.length = 0
  for (let round = 0; round < 5; round++) await answer(post(server.origin))
  assert.deepEqual(used, Array(5).fill(last))
})

test('a request that cannot be written takes no connection with it', async () => {
  const server = await against(upstream(socket => onRequests(socket, () => socket.write(whole('{}')))))
  await answer(post(server.origin))
  const wrong = { origin: server.origin, path: '/', headers: ['no name', 'x'], body: '{}', connectMs: 1_000 }
  await assert.rejects(exchange(kept, wrong).head, (fault: Fault) => /invalid/.test(fault.details.detail!))
  assert.equal(await answer(post(server.origin)), '{}')
  assert.equal(server.opened(), 1)
})

test('two requests are never on one connection at once', async () => {
  const busy = new Set<Socket>()
  let doubled = 0
  const server = await against(
    upstream(socket =>
      onRequests(socket, () => {
        if (busy.has(socket)) doubled++
        busy.add(socket)
        setTimeout(() => {
          busy.delete(socket)
          socket.write(whole('{}'))
        }, 1)
      }),
    ),
  )
  await Promise.all(
    Array.from({ length: 30 }, async () => {
      for (let round = 0; round < 10; round++) await answer(post(server.origin))
    }),
  )
  assert.equal(doubled, 0)
})

test('connections do not leak: after answers, aborts and failures there are no more than were needed at once', async () => {
  const server = await against(
    upstream(socket =>
      onRequests(socket, (_, body) => {
        if (body === '{}') socket.write(whole('{}'))
      }),
    ),
  )
  for (let round = 0; round < 50; round++) {
    const silent = exchange(kept, { origin: server.origin, path: '/', headers: [], body: 'silence', connectMs: 1_000 })
    const spoken = answer(post(server.origin))
    await spoken
    silent.abort(new Fault('client-gone'))
    await silent.head.catch(() => {})
  }
  await until('only idle connections are left', () => server.open() <= 2, 500)
  await kept.close()
  await until('none is left', () => server.open() === 0, 200)
})

test('a server that closes idle connections at about the time of the next call costs nobody an answer', async () => {
  const server = await against(
    upstream(socket => {
      // Only after an answer: a connection that nobody has used yet is not idle, and a busy machine may take its time.
      let idle: NodeJS.Timeout | undefined
      onRequests(socket, () => {
        clearTimeout(idle)
        socket.write(whole('{"ok":1}'))
        idle = setTimeout(() => socket.destroy(), 20)
      })
      socket.on('close', () => clearTimeout(idle))
    }),
  )
  const lanes = Array.from({ length: 6 }, async (_, lane) => {
    for (let round = 0; round < 50; round++) {
      assert.equal(await answer(post(server.origin)), '{"ok":1}')
      await pause(17.5 + ((round + lane) % 6))
    }
  })
  await Promise.all(lanes)
  assert.ok(server.opened() > 10, `connections did close: ${server.opened()}`)
})

/** Answers the first request of each connection, and ends the connection in this way at the second. */
const dying = (how: (socket: Socket) => void, bodies: string[]) =>
  upstream(socket => {
    let asked = 0
    onRequests(socket, (_, body) => {
      bodies.push(body)
      if (++asked === 1) socket.write(whole('{}'))
      else how(socket)
    })
  })

for (const how of ['end', 'resetAndDestroy'] as const) {
  test(`a connection that has answered before and dies (${how}) under a request is replaced once, by a fresh one`, async () => {
    const bodies: string[] = []
    const server = await against(dying(socket => socket[how](), bodies))
    const first = post(server.origin)
    assert.equal(await answer(first), '{}')
    assert.equal(first.sends(), 1)
    const again = exchange(kept, { origin: server.origin, path: '/', headers: [], body: '{"second":1}', connectMs: 1_000 })
    assert.equal(await answer(again), '{}')
    assert.deepEqual(bodies, ['{}', '{"second":1}', '{"second":1}'])
    assert.equal(again.sends(), 2)
    assert.equal(server.opened(), 2)
  })
}

test('the replay is made on a connection of its own, and made once', async () => {
  let answered = false
  let asked = 0
  const server = await against(
    upstream(socket =>
      onRequests(socket, () => {
        asked++
        if (answered) socket.destroy()
        else socket.write(whole('{}'))
        answered = true
      }),
    ),
  )
  await answer(post(server.origin))
  await assert.rejects(answer(post(server.origin)), (fault: Fault) => fault.kind === 'upstream-unreachable')
  assert.equal(asked, 3)
  assert.equal(server.opened(), 2)
})

test('a fresh connection that dies is the upstream’s own failure: nothing is sent again', async () => {
  let asked = 0
  const server = await against(
    upstream(socket =>
      onRequests(socket, () => {
        asked++
        socket.destroy()
      }),
    ),
  )
  await assert.rejects(answer(post(server.origin)), (fault: Fault) => fault.kind === 'upstream-unreachable')
  assert.equal(asked, 1)
})

test('once the head of an answer is there, a connection that dies is not replayed, used before or not', async () => {
  const bodies: string[] = []
  const server = await against(
    dying(socket => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab', () => socket.destroy()), bodies),
  )
  await answer(post(server.origin))
  await assert.rejects(answer(post(server.origin)), (fault: Fault) => fault.kind === 'upstream-truncated')
  assert.equal(bodies.length, 2)
})

test('a call that was ended from our side is not replayed when its connection dies', async () => {
  const bodies: string[] = []
  const server = await against(dying(() => {}, bodies))
  await answer(post(server.origin))
  const going = post(server.origin)
  await until('asked', () => bodies.length === 2)
  going.abort(new Fault('client-gone'))
  await until('closed', () => server.open() === 0, 100)
  await pause(50)
  assert.equal(bodies.length, 2)
})

test('connections that are not needed any more are closed, those under a request after it, and are opened again when asked for', async () => {
  const slowly = (text: string) =>
    against(upstream(socket => onRequests(socket, () => setTimeout(() => socket.write(whole(text)), 50))))
  const [one, two] = [await slowly('one'), await slowly('two')]
  assert.deepEqual(await Promise.all([answer(post(one.origin)), answer(post(two.origin))]), ['one', 'two'])
  const going = post(one.origin)
  kept.keepOnly([{ origin: two.origin, connectMs: 1_000 }])
  assert.deepEqual([one.open(), two.open()], [1, 1])
  assert.equal(await answer(going), 'one', 'what is under way comes to its end')
  await until('it is closed', () => one.open() === 0)
  assert.equal(await answer(post(two.origin)), 'two')
  assert.deepEqual([one.opened(), two.opened()], [1, 1])
  assert.equal(await answer(post(one.origin)), 'one')
  assert.equal(one.opened(), 2)
})
