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

  function head(key: string): string {
    return post(body, { authorization: `Bearer ${key}`, expect: '100-continue', connection: 'close' }).slice(0, -body.length)
  }

  it('is asked once its key is known, and answered', async () => {
    const client = await rawClient(gateway.url, head('team-key'))
    await client.hears('HTTP/1.1 100 Continue\r\n\r\n')
    client.send(body)
    assert.match(await client.closed(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  })

  it('is refused without being asked when its key is wrong', async () => {
    const client = await rawClient(gateway.url, head('wrong-key'))
    const heard = await client.closed()
    assert.match(heard, /^HTTP\/1\.1 401 Unauthorized\r\n/)
    assert.doesNotMatch(heard, /100 Continue/)
  })
})
