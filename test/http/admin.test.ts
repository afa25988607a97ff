import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { HELLO, type Running, running } from '../support/running.ts'

const GATEWAY = `
telemetry: { headers: full }
simulators: [{ name: a }, { name: b }]
providers:
  a:
    type: openai-compatible
    base_url: simulator:a/v1
    keys: [{ name: first, value: sk-first }, { name: second, value: sk-second }]
  b: { type: openai-compatible, base_url: "simulator:b/v1" }
routes:
  r: { targets: [a/family/m], fallbacks: [b/m] }
`
const TOKEN = 'admin-secret'
const SHOWN = { authorization: `Bearer ${TOKEN}` }

let gateway: Running
let tokenless: Running

before(async () => {
  gateway = await running(`admin: { token: ${TOKEN} }\n${GATEWAY}`)
  tokenless = await running(GATEWAY)
})
afterEach(async () => {
  await post('/admin/circuits/a/family/m', { state: 'auto' })
  for (const name of ['first', 'second']) await post(`/admin/keys/a/${name}`, { state: 'ready' })
})
after(() => Promise.all([gateway.close(), tokenless.close()]))

const get = (path: string, headers: Record<string, string> = SHOWN, at = gateway) => fetch(at.adminUrl + path, { headers })

function post(path: string, body: unknown, headers: Record<string, string> = SHOWN): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return fetch(gateway.adminUrl + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text,
  })
}

const call = () => gateway.call({ model: 'r', messages: HELLO })
const targetOf = async () => (await call()).headers.get('x-understudy-target')
const json = async (response: Response): Promise<any> => {
  assert.equal(response.status, 200, await response.clone().text())
  return response.json()
}

async function refused(response: Response, status: number, code: string, param: string | null = null): Promise<void> {
  const text = await response.text()
  assert.equal(response.status, status, text)
  const { error } = JSON.parse(text)
  assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code'])
  assert.deepEqual([error.code, error.param], [code, param])
  assert.equal(response.headers.get('x-should-retry'), 'false')
  assert.ok(response.headers.get('x-request-id'))
}

const PAGES = ['/admin/circuits', '/admin/keys', '/admin/spend'] as const

test('metrics, health and readiness ask for no token', async () => {
  for (const at of [gateway, tokenless]) {
    assert.deepEqual(await json(await get('/health', {}, at)), { status: 'ok' })
    assert.deepEqual(await json(await get('/ready', {}, at)), { status: 'ready' })
    const metrics = await get('/metrics', {}, at)
    assert.equal(metrics.status, 200)
    assert.match(metrics.headers.get('content-type')!, /^text\/plain/)
    assert.match(await metrics.text(), /^llm_circuit_state\{provider="a",model="family\/m"\} 0$/m)
  }
})

test('without a configured token everything else is shut, whatever is shown', async () => {
  for (const headers of [{}, SHOWN, { authorization: 'Bearer undefined' }, { authorization: 'Bearer ' }] as Record<
    string,
    string
  >[]) {
    for (const page of PAGES) await refused(await get(page, headers, tokenless), 403, 'admin_token_not_set')
  }
})

test('without the right token everything else asks for it', async () => {
  const wrong = [
    undefined,
    '',
    'Bearer',
    'Bearer wrong',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    TOKEN,
    `Basic ${btoa(`:${TOKEN}`)}`,
  ]
  for (const authorization of wrong) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    for (const page of PAGES) await refused(await get(page, headers), 401, 'invalid_api_key')
    await refused(
      await post('/admin/circuits/a/family/m', { state: 'open' }, { authorization: '', ...headers }),
      401,
      'invalid_api_key',
    )
  }
  assert.equal(await targetOf(), 'a/family/m', 'nothing was changed')
})

test('a client’s key is no token, and the token is no client’s key', async () => {
  await refused(await fetch(`${gateway.url}/admin/circuits`, { headers: SHOWN }), 404, 'not_found')
})

test('the circuits of all targets are listed', async () => {
  assert.deepEqual(await json(await get('/admin/circuits')), {
    circuits: [
      { target: 'a/family/m', state: 'closed', forced: false },
      { target: 'b/m', state: 'closed', forced: false },
    ],
  })
})

test('a circuit that is forced open keeps its target out of the next call, until it is given back', async () => {
  assert.equal(await targetOf(), 'a/family/m')
  const opened = await json(await post('/admin/circuits/a/family/m', { state: 'open' }))
  assert.deepEqual(opened, { target: 'a/family/m', state: 'open', forced: true })
  const around = await call()
  assert.equal(around.headers.get('x-understudy-target'), 'b/m')
  assert.match(around.headers.get('x-understudy-trail')!, /a\/family\/m;passed-over:circuit-open;/)
  assert.equal((await json(await get('/admin/circuits'))).circuits[0].state, 'open')
  assert.equal(await gateway.metric('llm_circuit_state', { provider: 'a' }), 2)

  assert.deepEqual(await json(await post('/admin/circuits/a/family/m', { state: 'auto' })), {
    target: 'a/family/m',
    state: 'closed',
    forced: false,
  })
  assert.equal(await targetOf(), 'a/family/m')
})

test('a circuit that is forced closed stays so, however often its target fails', async () => {
  const simulator = gateway.simulators.get('a')!
  await json(await post('/admin/circuits/a/family/m', { state: 'closed' }))
  simulator.script([{ status: 500 }])
  for (let round = 0; round < 12; round++) assert.equal(await targetOf(), 'b/m')
  const { circuits } = await json(await get('/admin/circuits'))
  assert.deepEqual([circuits[0].state, circuits[0].forced], ['closed', true])
  simulator.script([])
  assert.equal(await targetOf(), 'a/family/m')
})

test('keys are listed without their values', async () => {
  const text = await (await get('/admin/keys')).text()
  assert.doesNotMatch(text, /sk-/)
  assert.deepEqual(
    JSON.parse(text).keys.map(({ provider, name, state, in_flight }: any) => [provider, name, state, in_flight]),
    [
      ['a', 'first', 'ready', 0],
      ['a', 'second', 'ready', 0],
      ['b', 'none', 'ready', 0],
    ],
  )
})

test('a key that is retired is used no more, and is used again when it is restored', async () => {
  const simulator = gateway.simulators.get('a')!
  const shown = () => simulator.calls.slice(-6).map(({ headers }) => headers.authorization)
  assert.equal((await json(await post('/admin/keys/a/first', { state: 'retire' }))).state, 'retired')
  for (let round = 0; round < 6; round++) await (await call()).text()
  assert.deepEqual(new Set(shown()), new Set(['Bearer sk-second']))
  assert.equal((await json(await get('/admin/keys'))).keys[0].state, 'retired')
  assert.equal(await gateway.metric('llm_key_state', { provider: 'a', key: 'first' }), 2)

  await json(await post('/admin/keys/a/first', { state: 'ready' }))
  for (let round = 0; round < 6; round++) await (await call()).text()
  assert.deepEqual(new Set(shown()), new Set(['Bearer sk-first', 'Bearer sk-second']))
})

test('keys that rest come back after the time that was told, and their target is passed over until then', async () => {
  const before = Date.now()
  for (const name of ['first', 'second']) await json(await post(`/admin/keys/a/${name}`, { state: 'rest', for: '10m' }))
  const [first] = (await json(await get('/admin/keys'))).keys
  assert.equal(first.state, 'resting')
  const untilMs = Date.parse(first.until)
  assert.ok(untilMs >= before + 600_000 && untilMs <= Date.now() + 600_000, first.until)
  const around = await call()
  assert.equal(around.headers.get('x-understudy-target'), 'b/m')
  assert.match(around.headers.get('x-understudy-trail')!, /passed-over:no-key/)

  for (const name of ['first', 'second']) await json(await post(`/admin/keys/a/${name}`, { state: 'ready' }))
  for (const name of ['first', 'second']) await json(await post(`/admin/keys/a/${name}`, { state: 'rest', for: '50ms' }))
  assert.equal(await targetOf(), 'b/m')
  await new Promise(resolve => setTimeout(resolve, 80))
  assert.equal(await targetOf(), 'a/family/m')
})

test('what the admin API does not understand changes nothing and is named', async () => {
  for (const state of [undefined, 'half-open', 'OPEN', 1, null, 'constructor']) {
    await refused(await post('/admin/circuits/a/family/m', { state }), 400, 'invalid_value', 'state')
    await refused(await post('/admin/keys/a/first', { state }), 400, 'invalid_value', 'state')
  }
  for (const time of ['10', '-1s', 'soon', '', 10]) {
    await refused(await post('/admin/keys/a/first', { state: 'rest', for: time }), 400, 'invalid_value', 'for')
  }
  await refused(await post('/admin/circuits/a/other', { state: 'open' }), 404, 'not_found')
  await refused(await post('/admin/circuits/', { state: 'open' }), 404, 'not_found')
  await refused(await post('/admin/keys/a/third', { state: 'retire' }), 404, 'not_found')
  await refused(await post('/admin/keys/c/first', { state: 'retire' }), 404, 'not_found')
  await refused(await get('/admin/nowhere'), 404, 'not_found')
  const { keys } = await json(await get('/admin/keys'))
  assert.ok(keys.every(({ state }: any) => state === 'ready'))
})

test('a body that is no JSON, too large, or of another kind, is refused', async () => {
  await refused(await post('/admin/circuits/a/family/m', '{"state":'), 400, 'invalid_json')
  await refused(await post('/admin/circuits/a/family/m', ''), 400, 'invalid_json')
  await refused(await post('/admin/circuits/a/family/m', '[]'), 400, 'invalid_value', 'state')
  await refused(await post('/admin/circuits/a/family/m', { state: 'x'.repeat(70_000) }), 413, 'request_too_large')
  await refused(
    await post('/admin/circuits/a/family/m', 'state=open', { ...SHOWN, 'content-type': 'text/html' }),
    415,
    'unsupported_media_type',
  )
})
