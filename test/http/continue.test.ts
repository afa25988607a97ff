/* `Expect: 100-continue`: nobody is asked for a body who may not call. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { pair } from '../support/routes.ts'
import { HELLO, type Running, running } from '../support/running.ts'
import { post, rawClient } from './raw.ts'

describe('a client that waits to be asked for its body', () => {
  let gateway: Running
  before(async () => {
    gateway = await running(pair({ more: { clients: [{ name: 'team', key: 'team-key' }] } }))
  })
  after(() => gateway.close())

  const body = JSON.stringify({ model: 'pair', messages: HELLO })

  function head(key: string, more: Readonly<Record<string, string>> = {}): string {
    const headers = { authorization: `Bearer ${key}`, expect: '100-continue', connection: 'close', ...more }
    return post(body, headers).slice(0, -body.length)
  }

  it('is asked once its key is known, and answered', async () => {
    const client = await rawClient(gateway.url, head('team-key'))
    await client.hears('HTTP/1.1 100 Continue\r\n\r\n')
    client.send(body)
    assert.match(await client.closed(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  })

  it('is refused without being asked when it can be seen from the head that the body will not do', async () => {
    for (const [more, status] of [
      [{ 'content-type': 'text/plain' }, 415],
      [{ 'content-encoding': 'gzip' }, 415],
      [{ 'content-length': String(2 ** 40) }, 413],
    ] as const) {
      const client = await rawClient(gateway.url, head('team-key', more))
      const heard = await client.closed()
      assert.match(heard, new RegExp(`^HTTP/1\\.1 ${status} `))
      assert.doesNotMatch(heard, /100 Continue/)
    }
  })

  it('is refused without being asked when its key is wrong', async () => {
    const client = await rawClient(gateway.url, head('wrong-key'))
    const heard = await client.closed()
    assert.match(heard, /^HTTP\/1\.1 401 Unauthorized\r\n/)
    assert.doesNotMatch(heard, /100 Continue/)
  })
})
