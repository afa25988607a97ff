import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { HELLO, running } from '../support/running.ts'

const yaml = (share: string, url = 'simulator:a/v1') => `
simulators: [{ name: a }]
providers: { p: { type: openai-compatible, base_url: "${url}", retry: { attempts: 0 }, circuit: { failures: 1, open: 5m } } }
routes: { r: { targets: [p/m], extra_attempts: ${share}, hedge: { after: 1s } } }
`

async function configOf(text: string): Promise<Config> {
  const loaded = await parseConfig(text, 'test.yaml', { env: {} })
  assert.ok(loaded.ok)
  return loaded.config
}

test('a gateway for another configuration keeps what the two have in common, and each knows only its own targets', async () => {
  const gateway = await running(yaml('20%'))
  const addresses = new Map([...gateway.simulators].map(([name, { url }]) => [name, url]))
  const first = gateway.assembled
  const second = first.over(await configOf(yaml('20%')), addresses)
  const [before, after] = [first, second].map(one => one.gateway.routes.named('r')!)
  assert.equal(after!.allowance, before!.allowance)
  assert.equal(after!.hedge!.share, before!.hedge!.share)
  for (const part of ['circuits', 'paces', 'levels', 'flights', 'pools', 'spend', 'probing'] as const) {
    assert.equal(second.gateway[part], first.gateway[part], part)
  }
  assert.notEqual(second.targets[0], first.targets[0])
  const third = second.over(await configOf(yaml('10%')), addresses)
  assert.notEqual(third.gateway.routes.named('r')!.allowance, before!.allowance)
  await gateway.close()
})

test('a provider that lives elsewhere now is not held to what was learnt of its old address', async () => {
  const gateway = await running(yaml('20%'))
  gateway.simulators.get('a')!.script([{ status: 500 }])
  await gateway.call({ model: 'r', messages: HELLO })
  const { circuits } = gateway.assembled.gateway
  assert.equal(circuits.state('p/m'), 'open')
  const addresses = new Map([...gateway.simulators].map(([name, { url }]) => [name, url]))
  const same = gateway.assembled.over(await configOf(yaml('10%')), addresses)
  assert.equal(circuits.state('p/m'), 'open')
  same.over(await configOf(yaml('10%', 'https://elsewhere.example/v1')), addresses)
  assert.equal(circuits.state('p/m'), 'closed')
  await gateway.close()
})

test('a configuration that cannot be put in place changes nothing', async () => {
  const gateway = await running(yaml('20%'))
  const next = await configOf(yaml('20%').replace('p: {', 'q: {').replace('[p/m]', '[q/m]'))
  assert.throws(() => gateway.assembled.over(next, new Map()))
  assert.equal((await gateway.call({ model: 'r', messages: HELLO })).status, 200)
  assert.equal(await gateway.metric('llm_circuit_state', { provider: 'p' }), 0)
  assert.deepEqual(gateway.assembled.gateway.keys.status('q'), [])
  await gateway.close()
})
