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
  const sent = send(raw, { status: 200, headers: { ...HEADERS }, stream }, clock, () => gone++)
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
  const sent = send(raw, { status: 200, headers: { ...HEADERS }, body: Buffer.alloc(50 * MB, 'x') }, clock, () => gone++)
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
  const sent = send(raw, { status: 200, headers: { ...HEADERS }, body: Buffer.alloc(50 * MB, 'x') }, clock, () =>
    assert.fail('it is still there'),
  )!.then(() => (done = true))
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
  const sent = send(raw, { status: 200, headers: { ...HEADERS }, stream: endless() }, clock, () =>
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
  const sent = send(raw, { status: 200, headers: { ...HEADERS }, stream, heartbeat }, clock, () => {})
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

/** Responses to what is sent over one connection, each with the outlet that its stream writes to, and all bytes that come back. */
async function streamsOver(requests: string, count: number) {
  const outlets: Parameters<Stream['flow']>[0][] = []
  const flow: Stream['flow'] = out => {
    outlets.push(out)
    return () => {}
  }
  onResponse = raw => void send(raw, { status: 200, headers: { ...HEADERS }, stream: { flow } }, heldClock(), () => {})
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const got = { text: '', isClosed: false }
  client.on('data', bytes => {
    got.text += bytes.toString('latin1')
  })
  client.on('close', () => {
    got.isClosed = true
  })
  client.write(requests)
  await until('all have been asked', () => outlets.length === count)
  return { client, outlets, got }
}

const bodyOf = (text: string) => text.slice(text.indexOf('\r\n\r\n') + 4)

test('each part of a stream is one chunk, whatever its length', async () => {
  const { client, outlets, got } = await streamsOver('GET / HTTP/1.1\r\nhost: x\r\n\r\n', 1)
  const parts = ['a', 'fifteen letters', 'sixteen letters!', 'x'.repeat(255), 'y'.repeat(256), 'z'.repeat(70_000)]
  for (const part of parts) outlets[0]!.write(Buffer.from(part))
  outlets[0]!.end()
  await until('the end', () => got.text.endsWith('\r\n0\r\n\r\n'))
  const chunks = parts.map(part => `${part.length.toString(16)}\r\n${part}\r\n`)
  assert.match(got.text, /\r\ntransfer-encoding: chunked\r\n/i)
  assert.equal(bodyOf(got.text), `${chunks.join('')}0\r\n\r\n`)
  client.destroy()
})

test('a client whose HTTP has no chunks gets none', async () => {
  const { outlets, got } = await streamsOver('GET / HTTP/1.0\r\n\r\n', 1)
  for (const part of ['one', 'two', 'three']) outlets[0]!.write(Buffer.from(part))
  outlets[0]!.end()
  await until('the connection is closed', () => got.isClosed)
  assert.equal(bodyOf(got.text), 'onetwothree')
})

test('a stream whose turn has not come waits behind the one before it on its connection', async () => {
  const { client, outlets, got } = await streamsOver('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(2), 2)
  const [first, second] = outlets as [(typeof outlets)[number], (typeof outlets)[number]]
  for (const part of ['three', 'four']) second.write(Buffer.from(part))
  first.write(Buffer.from('one'))
  await until('the first word', () => got.text.includes('one'))
  first.write(Buffer.from('two'))
  first.end()
  await until('what was waiting', () => got.text.includes('four'))
  second.write(Buffer.from('five'))
  second.end()
  await until('the end', () => got.text.endsWith('\r\n0\r\n\r\n') && got.text.includes('five'))
  const answers = got.text.split('HTTP/1.1 200 OK\r\n').slice(1).map(bodyOf)
  assert.deepEqual(answers, ['3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n', '5\r\nthree\r\n4\r\nfour\r\n4\r\nfive\r\n0\r\n\r\n'])
  client.destroy()
})
