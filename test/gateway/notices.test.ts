/* What happens in a gateway, as a receiver of webhooks hears of it over real TCP. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type Receiver, receiver } from '../support/receiver.ts'
import { pair } from '../support/routes.ts'
import { HELLO, type Running, running, until } from '../support/running.ts'

const EVENTS = ['circuit.opened', 'circuit.closed', 'route.exhausted', 'key.retired', 'budget.exhausted']

describe('webhooks', () => {
  let hooked: Receiver
  let gateway: Running
  before(async () => {
    hooked = await receiver()
    gateway = await running(
      pair({
        script: [{ status: 503 }],
        keys: ['key-of-primary'],
        primary: { circuit: { failures: 2, open: '200ms', open_max: '200ms' } },
        more: {
          telemetry: { webhooks: [{ url: `${hooked.url}/hook?a=b`, secret: 'the-hook-secret', on: EVENTS }] },
          clients: [
            { name: 'rich', key: 'key-of-rich-client' },
            { name: 'poor', key: 'key-of-poor-client', budget: { usd: 0.000001, per: 'day' } },
          ],
        },
      }),
    )
  })
  after(async () => {
    await gateway.close()
    await hooked.close()
  })
  const call = async (model: string, client = 'rich') => {
    const response = await gateway.call(
      { model, messages: HELLO },
      { headers: { authorization: `Bearer key-of-${client}-client` } },
    )
    await response.text()
    return response.status
  }
  const told = (event: string) => hooked.received.filter(({ body }) => body.event === event)
  const come = (event: string) => until(event, () => told(event).length > 0)

  it('tell of a circuit that opens and of a route without an answer, once for all calls', async () => {
    for (let n = 0; n < 20; n++) assert.ok((await call('alone')) >= 500)
    await Promise.all([come('circuit.opened'), come('route.exhausted')])
    assert.equal(told('circuit.opened')[0]!.body.target, 'primary/model-a')
    assert.equal(told('route.exhausted').length, 1)
    assert.equal(told('route.exhausted')[0]!.body.route, 'alone')
  })

  it('are signed, and come where they are to come', () => {
    for (const { path, headers, text } of hooked.received) {
      assert.equal(path, '/hook?a=b')
      assert.equal(headers['content-type'], 'application/json')
      const signature = createHmac('sha256', 'the-hook-secret').update(text).digest('hex')
      assert.equal(headers['x-understudy-signature'], `sha256=${signature}`)
    }
  })

  it('tell of a circuit that closes', async () => {
    gateway.simulators.get('primary')!.script([])
    await until('it closes', async () => {
      await call('alone')
      return told('circuit.closed').length > 0
    })
    assert.equal(told('circuit.opened').length, 1)
  })

  it('tell of a budget that is used up', async () => {
    assert.equal(await call('pair', 'poor'), 429)
    await come('budget.exhausted')
    assert.equal(told('budget.exhausted')[0]!.body.client, 'poor')
  })

  it('tell of a key that is retired', async () => {
    gateway.simulators.get('primary')!.script([{ status: 401 } as never])
    await call('alone')
    await come('key.retired')
    assert.deepEqual([told('key.retired')[0]!.body.provider, told('key.retired')[0]!.body.key], ['primary', 'key-1'])
  })
})
