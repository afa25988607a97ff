import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { resetNow, startListener } from '../../src/simulator/listener.ts'

describe('a connection that is reset', () => {
  const cases: readonly (readonly [what: string, begin: (socket: Socket) => void])[] = [
    ['', () => {}],
    [' after it has spoken', socket => socket.write('word')],
    [' while it is being ended', socket => socket.end('word')],
  ]
  for (const [what, begin] of cases) {
    it(`is closed${what}, though it is destroyed before its end has gone out`, async () => {
      const over = Promise.withResolvers<string>()
      const listener = await startListener('127.0.0.1', 0, socket => {
        begin(socket)
        resetNow(socket)
        // As after an error of its peer.
        process.nextTick(() => socket.destroy())
        socket.once('close', () => over.resolve('closed'))
      })
      const client = connect(listener.port, '127.0.0.1')
      client.on('error', () => {})
      client.resume()
      const timer = setTimeout(() => over.resolve('still open after a second'), 1_000)
      assert.equal(await over.promise, 'closed')
      clearTimeout(timer)
      if (!client.closed) await once(client, 'close')
      await listener.close()
    })
  }
})
