import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { HELLO, type Running, running, until } from '../support/running.ts'

const TOKEN = 'admin-secret'
const yaml = (health: string, script = '[]') => `
admin: { token: ${TOKEN} }
telemetry: { headers: full }
simulators: [{ name: a, script: ${script} }, { name: b }]
providers:
  a: { type: openai-compatible, base_url: "simulator:a/v1", keys: [key-of-a], timeouts: { connect: 500ms }, health: ${health} }
  b: { type: openai-compatible, base_url: "simulator:b/v1" }
routes:
  r: { targets: [a/m], fallbacks: [b/m] }
  alone: [a/m]
`
/** Calls for m are answered well; whatever else is asked for fails. */
const PROBES_FAIL = [{ model: 'm', slow_tokens: 0 }, { status: 503 }]

async function during(text: string, run: (gateway: Running) => Promise<void>): Promise<void> {
  const gateway = await running(text)
  try {
    await run(gateway)
  } finally {
    await gateway.close()
  }
}

const servedBy = async (gateway: Running, model = 'r') => {
  const response = await gateway.call({ model, messages: HELLO })
  await response.text()
  return response.headers.get('x-understudy-target')
}

test('the targets of a provider whose probes fail go behind the others, are tried all the same, and come back', () =>
  during(yaml('{ every: 50ms, path: /models }'), async gateway => {
    const simulator = gateway.simulators.get('a')!
    await until('it was asked', () => simulator.calls.some(({ kind }) => kind === 'inquiry'))
    const { method, path, headers } = simulator.calls.find(({ kind }) => kind === 'inquiry')!
    assert.deepEqual([method, path, headers.authorization], ['GET', '/v1/models', 'Bearer key-of-a'])
    assert.equal(await servedBy(gateway), 'a/m')

    simulator.script(PROBES_FAIL)
    await until('others go first', async () => (await servedBy(gateway)) === 'b/m')
    assert.equal(await servedBy(gateway, 'alone'), 'a/m', 'a preference, never a ban')
    const circuit = gateway.assembled.gateway.circuits.state('a/m')
    assert.equal(circuit, 'closed', 'a probe opens nothing')
    gateway.simulators.get('b')!.script([{ status: 500 }])
    assert.equal(await servedBy(gateway), 'a/m', 'it is tried when the others fail')
    gateway.simulators.get('b')!.script([])
    const admin = async (page: string): Promise<any> =>
      (await fetch(`${gateway.adminUrl}${page}`, { headers: { authorization: `Bearer ${TOKEN}` } })).json()
    assert.equal((await admin('/admin/targets')).targets[0].unwell, 'a probe was answered with 503')
    assert.equal((await admin('/admin/health')).routes[0].targets[0].unwell, 'a probe was answered with 503')

    simulator.script([])
    await until('it is first again', async () => (await servedBy(gateway)) === 'a/m')
    assert.deepEqual(
      gateway.logs().flatMap(({ msg, provider, to }) => (msg === 'health' ? [[provider, to]] : [])),
      [
        ['a', 'unwell'],
        ['a', 'well'],
      ],
    )
    assert.equal(simulator.calls.filter(({ kind }) => kind === 'call').length > 0, true)
  }))

test('one probe that fails is nothing, and a refusal in good order is a sign of life', () =>
  during(yaml('{ every: 40ms }', '[{ model: m, slow_tokens: 0ms }, { status: 401 }]'), async gateway => {
    const simulator = gateway.simulators.get('a')!
    const inquiries = () => simulator.calls.filter(({ kind }) => kind === 'inquiry').length
    await until('it was asked several times', () => inquiries() >= 4)
    assert.equal(await servedBy(gateway), 'a/m')
    assert.deepEqual(gateway.assembled.gateway.keys.status('a')[0]?.state, 'ready', 'a probe retires no key')
  }))

test('while nothing listens at all, others go first', () =>
  during(yaml('{ every: 50ms }', '[{ down: true }]'), async gateway => {
    await until('it is known', () => gateway.logs().some(({ msg, to }) => msg === 'health' && to === 'unwell'))
    const response = await gateway.call({ model: 'r', messages: HELLO })
    await response.text()
    assert.match(response.headers.get('x-understudy-trail')!, /^b\/m;answered/)
  }))

test('a major outage on the status page makes others go first, a minor one does not, nor one that cannot be read', async () => {
  let page: string | undefined = '{"status": {"indicator": "none"}}'
  const server: Server = createServer((_, response) => {
    if (page === undefined) response.writeHead(500).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end(page)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2/summary.json`
  try {
    await during(yaml(`{ every: 40ms, status_page: "${url}" }`), async gateway => {
      assert.equal(await servedBy(gateway), 'a/m')
      for (const indicator of ['major', 'critical']) {
        page = JSON.stringify({ page: {}, status: { indicator, description: 'Outage' } })
        await until(`${indicator}: others go first`, async () => (await servedBy(gateway)) === 'b/m')
        page = JSON.stringify({ status: { indicator: 'minor' } })
        await until('it is first again', async () => (await servedBy(gateway)) === 'a/m')
      }
      page = undefined
      await new Promise(resolve => setTimeout(resolve, 150))
      assert.equal(await servedBy(gateway), 'a/m')
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
