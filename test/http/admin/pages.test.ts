import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { HELLO, type Running, running, until } from '../../support/running.ts'

const TOKEN = 'admin-secret'
const SHOWN = { authorization: `Bearer ${TOKEN}` }
const GATEWAY = `
admin: { token: ${TOKEN} }
telemetry: { headers: full }
simulators: [{ name: a }, { name: b }]
providers:
  a:
    type: openai-compatible
    base_url: simulator:a/v1
    keys: [{ name: first, value: sk-first }, { name: second, value: sk-second }]
    headers: { x-secret: sk-in-a-header }
    retry: { attempts: 0 }
    circuit: { failures: 2, open: 1m }
    models:
      m: { context: 1000, supports: [vision], price: { input: 1, output: 2 } }
  b: { type: openai-compatible, base_url: "simulator:b/v1", keys: [sk-of-b], tags: [eu], models: { n: { price: { input: 1, output: 2 } } } }
routes:
  r: { targets: [a/m], fallbacks: [b/n], degrade: [{ level: offline, message: away }] }
  eu: { targets: [a/m, b/n], require: [eu] }
clients:
  - { name: team, key: sk-of-team, budget: { usd: 5, per: day } }
  - { name: other, key: sk-of-other, routes: [eu] }
`

let gateway: Running
before(async () => {
  gateway = await running(GATEWAY)
})
after(() => gateway.close())

const get = async (path: string): Promise<any> => {
  const response = await fetch(gateway.adminUrl + path, { headers: SHOWN })
  return { status: response.status, ...((await response.json()) as object) }
}
const post = async (path: string, body: unknown): Promise<any> => {
  const response = await fetch(gateway.adminUrl + path, {
    method: 'POST',
    headers: { ...SHOWN, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, ...((await response.json()) as object) }
}
const call = (id: string, body: object = {}) =>
  gateway.call({ model: 'r', messages: HELLO, ...body }, { headers: { authorization: 'Bearer sk-of-team', 'x-request-id': id } })

test('the targets tell their circuit, keys, load, speed, abilities and price', async () => {
  await (await call('t-1')).text()
  const { targets } = await get('/admin/targets')
  const [a, b] = targets
  assert.deepEqual([a.target, b.target], ['a/m', 'b/n'])
  const { first_token_ms: firstMs, tokens_per_second: _, ...others } = a
  assert.deepEqual(others, {
    target: 'a/m',
    provider: 'a',
    model: 'm',
    type: 'openai-compatible',
    usable: true,
    passed_over: null,
    circuit: { state: 'closed', forced: false },
    keys: { all: 2, usable: 2 },
    spend_capped: false,
    unwell: null,
    in_flight: 0,
    abilities: { context: 1000, max_output: null, supports: ['vision'], prefill: false },
    price: { input: 1, output: 2 },
    tags: [],
  })
  assert.ok(firstMs.whole.recent > 0)
  assert.deepEqual(firstMs.stream, { median: null, recent: null })
  assert.deepEqual(b.tags, ['eu'])
})

test('the last calls are told with their attempts, all or those that failed over, and each by its id', async () => {
  const simulator = gateway.simulators.get('a')!
  simulator.script([{ status: 500 }])
  await (await call('moved-1')).text()
  simulator.script([])
  await (await call('stayed-1')).text()
  const moved = (await get('/admin/requests?failed-over=true')).requests
  assert.deepEqual(
    moved.map(({ id }: any) => id),
    ['moved-1'],
  )
  assert.deepEqual(
    moved[0].attempts.map(({ target, outcome }: any) => [target, outcome]),
    [
      ['a/m', 'upstream-error'],
      ['b/n', 'answered'],
    ],
  )
  assert.equal(moved[0].target, 'b/n')
  assert.equal((await get('/admin/requests?failed-over=false&route=r')).requests[0].id, 'stayed-1')
  assert.deepEqual((await get('/admin/requests?client=other')).requests, [])
  const one = await get('/admin/requests/moved-1')
  assert.deepEqual([one.id, one.failed_over, one.client], ['moved-1', true, 'team'])
  assert.ok(Math.abs(Date.parse(one.at) - Date.now()) < 60_000)
  assert.equal((await get('/admin/requests/none')).status, 404)
  for (const query of ['failed-over=yes', 'status=abc', 'colour=red']) {
    assert.equal((await get(`/admin/requests?${query}`)).status, 400, query)
  }
  // No prompt, no answer, no key.
  assert.doesNotMatch(JSON.stringify(await get('/admin/requests')), /Hello|sk-/)
})

test('a plan is explained with the reason for each target passed over, and nothing is sent', async () => {
  const before = [...gateway.simulators.values()].map(({ counts }) => counts.total)
  const plain = await post('/admin/explain', { model: 'r', messages: HELLO })
  assert.deepEqual(
    plain.plan.map((step: any) => step.target ?? step.level),
    ['a/m', 'b/n', 'offline'],
  )
  assert.deepEqual([plain.route, plain.level, plain.client, plain.plan[0].tries], ['r', 'normal', 'anonymous', 2])

  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
  const withTools = await post('/admin/explain?client=team', { model: 'r', messages: HELLO, tools })
  assert.deepEqual([withTools.plan[0].passed_over, withTools.plan[0].because], ['incapable', 'does not do tools'])
  assert.deepEqual([withTools.client, withTools.budget.usd], ['team', 5])
  const eu = await post('/admin/explain', { model: 'eu', messages: HELLO })
  assert.deepEqual([eu.plan[0].passed_over, eu.plan[0].because], ['tag', 'lacks eu'])

  await post('/admin/circuits/a/m', { state: 'open' })
  for (const name of ['key-1']) await post(`/admin/keys/b/${name}`, { state: 'rest', for: '10m' })
  const out = await post('/admin/explain', { model: 'r', messages: HELLO })
  assert.deepEqual(
    out.plan.slice(0, 2).map(({ passed_over, because }: any) => [passed_over, because]),
    [
      ['circuit-open', 'held open by an operator'],
      ['no-key', 'its key rests or is retired'],
    ],
  )
  assert.deepEqual(
    [out.plan[0].circuit, out.plan[1].keys],
    [
      { state: 'open', forced: true },
      { all: 1, usable: 0 },
    ],
  )
  await post('/admin/circuits/a/m', { state: 'auto' })
  await post('/admin/keys/b/key-1', { state: 'ready' })

  assert.equal((await post('/admin/explain?client=other', { model: 'r', messages: HELLO })).error.code, 'model_not_allowed')
  assert.equal((await post('/admin/explain?client=nobody', { model: 'r', messages: HELLO })).error.param, 'client')
  assert.equal((await post('/admin/explain', { model: 'none', messages: HELLO })).error.code, 'model_not_found')
  assert.equal((await post('/admin/explain', { messages: HELLO })).status, 400)
  assert.deepEqual(
    [...gateway.simulators.values()].map(({ counts }) => counts.total),
    before,
  )
})

test('the configuration is shown without what is secret in it', async () => {
  const shown = await get('/admin/config')
  assert.doesNotMatch(JSON.stringify(shown), /sk-|admin-secret/)
  const { config, last_reload: last, needs_restart: needed } = shown
  assert.deepEqual([config.routes.r.fallbacks, config.providers.a.headers], [['b/n'], { 'x-secret': '[secret]' }])
  assert.deepEqual([last, needed], [null, []])
})

test('whoever holds the token gets health and circuits on the listener for clients, the same as on the other', async () => {
  for (const [path, twin] of [
    ['/v1/health', '/admin/health'],
    ['/v1/circuits', '/admin/circuits'],
  ] as const) {
    const response = await fetch(gateway.url + path, { headers: SHOWN })
    assert.ok(response.headers.get('x-request-id'))
    assert.deepEqual({ status: 200, ...((await response.json()) as object) }, await get(twin))
    for (const authorization of ['Bearer sk-of-team', '', 'Bearer']) {
      assert.equal((await fetch(gateway.url + path, { headers: { authorization } })).status, 401)
    }
  }
})

test('health is degraded when a target is out, and down when all of a route are', async () => {
  const statuses = async () => {
    const { routes } = await get('/admin/health')
    return routes.map(({ status }: any) => status)
  }
  assert.deepEqual(await statuses(), ['ok', 'ok'])
  await post('/admin/circuits/a/m', { state: 'open' })
  assert.deepEqual(await statuses(), ['degraded', 'degraded'])
  await post('/admin/circuits/b/n', { state: 'open' })
  await until('both are out', async () => (await statuses()).every((status: string) => status === 'down'))
  for (const id of ['a/m', 'b/n']) await post(`/admin/circuits/${id}`, { state: 'auto' })
})

test('the dashboard is one page that runs only its own script and holds no data', async () => {
  const page = await fetch(`${gateway.adminUrl}/`)
  assert.equal(page.status, 401, 'what is shown without the token is only what asks for it')
  const html = await page.text()
  assert.equal((await fetch(`${gateway.adminUrl}/`, { headers: SHOWN })).status, 200)
  const policy = page.headers.get('content-security-policy')!
  for (const [element, directive] of [
    ['script', 'script-src'],
    ['style', 'style-src'],
  ] as const) {
    const inside = new RegExp(`<${element}>([\\s\\S]*?)</${element}>`).exec(html)![1]!
    const digest = createHash('sha256').update(inside).digest('base64')
    assert.ok(policy.includes(`${directive} 'sha256-${digest}'`), element)
  }
  assert.match(policy, /^default-src 'none'/)
  assert.doesNotMatch(html, /https?:|src=|href=|innerHTML|a\/m|sk-/)
  // It is a script at all.
  assert.doesNotThrow(() => new Function(/<script>([\s\S]*?)<\/script>/.exec(html)![1]!))
})
