import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { send } from '../../src/http/send.ts'
import { heldClock } from '../support/clock.ts'
import { until } from '../support/running.ts'

let onResponse: (raw: ServerResponse) => void
const server = createServer((_, raw) => onResponse(raw))
before(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)))
after(() => {
  server.closeAllConnections()
  server.close()
})

/** A client that has asked and reads nothing, and the response that it would read. */
async function silentClient(): Promise<{ readonly client: Socket; readonly raw: ServerResponse }> {
  const asked = new Promise<ServerResponse>(resolve => {
    onResponse = resolve
  })
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {})
  client.pause()
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  return { client, raw: await asked }
}

const MB = 1024 * 1024
const HEADERS = { 'content-type': 'text/plain' }

type Stream = NonNullable<Parameters<typeof send>[1]['stream']>

function endless(): Stream & { read(): number } {
  let read = 0
  return {
    read: () => read,
    flow(out) {
      function goOn(): void {
        do read += MB
        while (out.write(Buffer.alloc(MB, 'x')))
      }
      goOn()
      return goOn
    },
  }
}

test('a stream whose client stopped reading ends after a minute, and waits until then', async () => {
  const { client, raw } = await silentClient()
  const clock = heldClock()
  let gone = 0
  const stream = endless()
  const sent = send(raw, { status: 200, headers: HEADERS, stream }, clock, () => gone++)
  let read = 0
  let looks = 0
  await until('it waits for the client, and the kernel takes no more in its place', () => {
    looks = clock.waiting() === 1 && stream.read() === read ? looks + 1 : 0
    read = stream.read()
    return looks > 10
  })
  assert.ok(read < 20 * MB, `${read}`)
  await clock.pass(59_999)
  assert.equal(gone, 0)
  assert.equal(raw.destroyed, false)
  assert.equal(stream.read(), read, 'nothing more is read for it')
  await clock.pass(1)
  assert.equal(gone, 1)
  assert.equal(raw.destroyed, true)
  await sent
  assert.equal(clock.waiting(), 0)
  client.destroy()
})

test('a whole answer whose client stopped reading ends after a minute, too', async () => {
  const { client, raw } = await silentClient()
  const clock = heldClock()
  let gone = 0
  const sent = send(raw, { status: 200, headers: HEADERS, body: Buffer.alloc(50 * MB, 'x') }, clock, () => gone++)
  await until('it waits for the client', () => clock.waiting() === 1)
  await clock.pass(60_000)
  assert.deepEqual([gone, raw.destroyed], [1, true])
  await sent
  client.destroy()
})

test('a slow reader gets all of a large answer, however long it takes', async () => {
  const { client, raw } = await silentClient()
  const clock = heldClock()
  let got = 0
  client.on('data', part => {
    got += part.length
  })
  client.pause()
  let drains = 0
  raw.on('drain', () => {
    drains++
  })
  let done = false
  const sent = send(raw, { status: 200, headers: HEADERS, body: Buffer.alloc(50 * MB, 'x') }, clock, () =>
    assert.fail('it is still there'),
  ).then(() => (done = true))
  while (!done) {
    await clock.pass(50_000)
    const before = drains
    client.resume()
    await until('it has made room for more', () => done || drains > before)
    client.pause()
  }
  client.resume()
  await sent
  await until('all has come', () => got > 50 * MB)
  assert.equal(clock.waiting(), 0)
  client.destroy()
})

test('a client that leaves while it is waited for leaves no timer behind', async () => {
  const { client, raw } = await silentClient()
  const clock = heldClock()
  const sent = send(raw, { status: 200, headers: HEADERS, stream: endless() }, clock, () =>
    assert.fail('it did not stop reading'),
  )
  await until('it waits for the client', () => clock.waiting() === 1)
  client.destroy()
  await sent
  assert.equal(clock.waiting(), 0)
})

test('heartbeats come at their time after the last word, and end with the stream', async () => {
  const { client, raw } = await silentClient()
  client.setEncoding('utf8')
  let heard = ''
  client.on('data', text => {
    heard += text
  })
  client.resume()
  const clock = heldClock()
  let out!: Parameters<Stream['flow']>[0]
  const stream: Stream = {
    flow(to) {
      out = to
      return () => {}
    },
  }
  const heartbeat = { everyMs: 100, bytes: Buffer.from('♥') }
  const sent = send(raw, { status: 200, headers: HEADERS, stream, heartbeat }, clock, () => {})
  const beats = () => heard.match(/♥/g)?.length ?? 0

  await clock.pass(60)
  out.write(Buffer.from('word'))
  await clock.pass(99)
  await until('the word', () => heard.includes('word'))
  assert.equal(beats(), 0, 'not before its time has passed since the last word')
  await clock.pass(1)
  await until('the first', () => beats() === 1)
  await clock.pass(300)
  await until('three more', () => beats() === 4)
  out.end()
  await sent
  assert.equal(clock.waiting(), 0)
  client.destroy()
})
