import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HELLO, type Running, running, until } from '../support/running.ts'
import { parsed, post, rawClient } from './raw.ts'

const GATEWAY = `
server: { max_body: 64KB }
clients:
  - { name: all, key: key-all }
  - { name: some, key: key-some, routes: [r, "vendor/*"] }
telemetry: { headers: full }
simulators: [{ name: a }]
providers: { a: { type: openai-compatible, base_url: "simulator:a/v1" } }
routes:
  r: [a/m]
  other: [a/m]
  "vendor/*": ["a/*"]
`
const KEY = { authorization: 'Bearer key-all' }
const GOOD = { model: 'r', messages: HELLO }

let gateway: Running

before(async () => {
  gateway = await running(GATEWAY, { slowSenders: { headersMs: 300, requestMs: 600, checkEveryMs: 50 } })
})
after(() => gateway.close())

const ask = (path: string, init: RequestInit = {}) => fetch(gateway.url + path, init)
const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/

interface Refused {
  readonly status: number
  readonly code: string | null
  readonly type?: string
  readonly param?: string | null
  /** The word of x-should-retry. */
  readonly retry?: string
}

/** Holds a refusal against OpenAI's shape and ours, and sees that the process still answers a good call. */
async function refused(response: Response, wanted: Refused): Promise<void> {
  const text = await response.text()
  assert.equal(response.status, wanted.status, text)
  assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
  assert.match(response.headers.get('x-request-id')!, UUID)
  const { error } = JSON.parse(text)
  isError(error, wanted)
  assert.equal(response.headers.get('x-should-retry'), wanted.retry ?? 'false')
  await stillWell()
}

function isError(error: any, { code, type, param }: Refused): void {
  assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code'])
  assert.match(error.message, /^.+\.$/)
  assert.equal(error.code, code)
  assert.equal(error.type, type ?? 'invalid_request_error')
  assert.equal(error.param, param ?? null)
}

async function stillWell(): Promise<void> {
  const response = await gateway.call(GOOD, { headers: KEY })
  assert.equal(response.status, 200)
  assert.equal(((await response.json()) as any).object, 'chat.completion')
}

const chat = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
  ask('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...KEY, ...headers },
    body: body as string,
  })

// ── who calls ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('without a key, with a wrong one, or with one shown in another way, nobody gets in', async () => {
  const shown = [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer wrong',
    'Bearer key-all x',
    'key-all',
    'Basic a2V5LWFsbDo=',
    'Bearer KEY-ALL',
    'Token key-all',
  ]
  for (const authorization of shown) {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
    await refused(await gateway.call(GOOD, { headers }), { status: 401, code: 'invalid_api_key' })
    await refused(await ask('/v1/models', { headers }), { status: 401, code: 'invalid_api_key' })
  }
  await refused(await ask('/v1/models?api_key=key-all'), { status: 401, code: 'invalid_api_key' })
})

test('a key is asked for before a byte of the body is read', async () => {
  for (const authorization of ['', 'authorization: Bearer wrong\r\n']) {
    const client = await rawClient(
      gateway.url,
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${authorization}content-type: application/json\r\ncontent-length: 60000\r\n\r\n`,
    )
    const answer = parsed(await client.closed(200))
    assert.equal(answer.status, 401)
    assert.equal(answer.headers.connection, 'close')
    isError(answer.body.error, { status: 401, code: 'invalid_api_key' })
  }
})

test('the key stands in no log line', async () => {
  await gateway.call(GOOD, { headers: { authorization: 'Bearer wrong-secret-key' } })
  assert.doesNotMatch(JSON.stringify(gateway.logs()), /wrong-secret-key|key-all/)
})

test('a route that the client may not use, and one that is not there', async () => {
  const headers = { authorization: 'Bearer key-some' }
  const other = await gateway.call({ ...GOOD, model: 'other' }, { headers })
  await refused(other, { status: 403, code: 'model_not_allowed', type: 'permission_error', param: 'model' })
  const missing = await gateway.call({ ...GOOD, model: 'missing' }, { headers })
  await refused(missing, { status: 404, code: 'model_not_found', param: 'model' })
})

// ── the body ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a body over the limit is refused by its content-length alone', async () => {
  const client = await rawClient(gateway.url, post('', { ...KEY, 'content-length': String(65 * 1024) }))
  const answer = parsed(await client.closed(200))
  assert.equal(answer.status, 413)
  isError(answer.body.error, { status: 413, code: 'request_too_large' })
  await stillWell()
})

test('a body over the limit that does not tell its length is refused at the limit', async () => {
  const client = await rawClient(
    gateway.url,
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${`authorization: ${KEY.authorization}`}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`,
  )
  const kilobyte = `400\r\n${'x'.repeat(1_024)}\r\n`
  client.send(kilobyte.repeat(60))
  await new Promise(resolve => setTimeout(resolve, 50))
  assert.equal(client.heard(), '')
  client.send(kilobyte.repeat(5))
  const answer = parsed(await client.closed(300))
  assert.equal(answer.status, 413)
  isError(answer.body.error, { status: 413, code: 'request_too_large' })
  await stillWell()
})

test('ordinary clients hear a refusal although they have more to send', async () => {
  const body = JSON.stringify({ ...GOOD, padding: 'x'.repeat(8 * 1024 * 1024) })
  for (let round = 0; round < 5; round++) {
    await refused(await chat(body), { status: 413, code: 'request_too_large' })
    await refused(await chat(body, { authorization: 'Bearer wrong' }), { status: 401, code: 'invalid_api_key' })
  }
})

test('a body at the limit is taken', async () => {
  const empty = JSON.stringify({ ...GOOD, user: '' }).length
  const body = JSON.stringify({ ...GOOD, user: 'x'.repeat(64 * 1024 - empty) })
  const response = await chat(body)
  assert.equal(response.status, 200, await response.text())
})

test('what is not said to be JSON is refused before it is read', async () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'nonsense',
    '',
  ]) {
    const client = await rawClient(gateway.url, post('', { ...KEY, 'content-type': type, 'content-length': '1000' }))
    const answer = parsed(await client.closed(300))
    assert.equal(answer.status, 415, type)
    isError(answer.body.error, { status: 415, code: 'unsupported_media_type' })
  }
  const none = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: ${KEY.authorization}\r\ncontent-length: 1000\r\n\r\n`
  assert.equal(parsed(await (await rawClient(gateway.url, none)).closed(300)).status, 415)
  await stillWell()
})

test('JSON may name its character set', async () => {
  assert.equal((await chat(JSON.stringify(GOOD), { 'content-type': 'Application/JSON; charset=utf-8' })).status, 200)
})

test('what is no call is refused with its place', async () => {
  await refused(await chat('{'), { status: 400, code: 'invalid_json' })
  await refused(await chat('[]'), { status: 400, code: 'invalid_json' })
  await refused(await chat('{"model":"r","model":"r"}'), { status: 400, code: 'invalid_json', param: 'model' })
  await refused(await chat(Buffer.from([0x7b, 0xff])), { status: 400, code: 'invalid_encoding' })
  await refused(await chat(`{"a":${'['.repeat(10_000)}`), { status: 400, code: 'body_too_deep' })
  await refused(await chat('{"messages":[]}'), { status: 400, code: 'missing_required_parameter', param: 'model' })
  const evil = JSON.stringify({ ...GOOD, model: 'a\r\nx-evil: 1' })
  await refused(await chat(evil), { status: 400, code: 'invalid_model_name', param: 'model' })
  await refused(await chat(JSON.stringify({ ...GOOD, n: 0 })), { status: 400, code: 'invalid_type', param: 'n' })
})

test('a call without a body is refused', async () => {
  const { authorization } = KEY
  await refused(await ask('/v1/chat/completions', { method: 'POST', headers: KEY }), { status: 400, code: 'invalid_json' })
  await refused(
    await ask('/v1/chat/completions', { method: 'POST', headers: { authorization, 'content-type': 'application/json' } }),
    {
      status: 400,
      code: 'invalid_json',
    },
  )
})

// ── methods and paths ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('there is nothing at other methods and paths', async () => {
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    await refused(await ask('/v1/chat/completions', { method, headers: KEY }), { status: 404, code: 'not_found' })
  }
  for (const path of [
    '/',
    '/v1',
    '/v1/chat',
    '/V1/chat/completions',
    '/v1/chat/completions/',
    '/v1//chat/completions',
    '/metrics',
    '/admin/circuits',
    '/a?b=c',
  ]) {
    await refused(await ask(path, { headers: KEY }), { status: 404, code: 'not_found' })
  }
  await refused(await ask('/nowhere', { method: 'POST', headers: { ...KEY, 'content-type': 'text/plain' }, body: 'x' }), {
    status: 404,
    code: 'not_found',
  })
})

test('a path that is written in another way asks for the key all the same', async () => {
  for (const path of ['/v1/%6dodels', '/v1/models/', '/v1/models/%72', '/v1/models?x']) {
    const response = await ask(path)
    assert.ok(response.status === 401 || response.status === 404, `${path}: ${response.status}`)
  }
})

test('a path that is no path is refused', async () => {
  const answer = parsed(
    await (await rawClient(gateway.url, 'GET /v1/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).closed(),
  )
  assert.equal(answer.status, 400)
  isError(answer.body.error, { status: 400, code: 'invalid_url' })
  assert.match(answer.headers['x-request-id']!, UUID)
  assert.equal(answer.headers['x-should-retry'], 'false')
})

// ── HTTP ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('headers of 20 KB are refused', async () => {
  const client = await rawClient(gateway.url, post('{}', { ...KEY, 'x-long': 'x'.repeat(20 * 1024) }))
  const answer = parsed(await client.closed(300))
  assert.equal(answer.status, 431)
  isError(answer.body.error, { status: 431, code: 'headers_too_large' })
  assert.match(answer.headers['x-request-id']!, UUID)
  assert.equal(answer.headers['x-should-retry'], 'false')
  await stillWell()
})

test('what is no HTTP is refused', async () => {
  const smuggled = `content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n`
  const lines = [
    'nonsense\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET / HTTP/1.1\r\nhost x\r\n\r\n',
    'GET / HTTP/1.1\r\nhost : x\r\n\r\n',
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${smuggled}`,
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: +2\r\n\r\n{}',
    'GET / HTTP/9.9\r\nhost: x\r\n\r\n',
  ]
  for (const line of lines) {
    const text = await (await rawClient(gateway.url, Buffer.from(line, 'latin1'))).closed(500)
    const answer = parsed(text)
    assert.equal(answer.status, 400, line)
    isError(answer.body.error, { status: 400, code: 'invalid_http' })
    assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, 'one answer alone')
    assert.equal(answer.headers.connection, 'close')
  }
  await stillWell()
})

test('garbage behind a good call does not get its answer mixed up with a refusal', async () => {
  const stream = JSON.stringify({ ...GOOD, stream: true })
  gateway.simulators.get('a')!.script([{ slow_tokens: 50 }])
  const client = await rawClient(gateway.url, post(stream, KEY))
  await client.hears('data: ')
  client.send('garbage\r\n\r\n')
  const text = await client.closed()
  gateway.simulators.get('a')!.script([])
  assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, text)
  assert.doesNotMatch(text, /invalid_http/)
  await until('the call is settled', () => gateway.logs().at(-1)?.ending === 'abandoned')
  await stillWell()
})

test('garbage behind a call that is answered already is refused by itself', async () => {
  const client = await rawClient(gateway.url, post(JSON.stringify(GOOD), KEY))
  await client.hears(/"chat\.completion"[\s\S]*\}\s*$/)
  client.send('garbage\r\n\r\n')
  assert.match(await client.closed(), /^HTTP\/1\.1 200 OK[\s\S]*HTTP\/1\.1 400 Bad Request[\s\S]*invalid_http/)
  await stillWell()
})

test('calls that come all at once on one connection are answered in their order', async () => {
  const calls = Array.from({ length: 10 }, (_, n) => post(JSON.stringify(GOOD), { ...KEY, 'x-request-id': `call-${n}` }))
  const client = await rawClient(gateway.url, calls.join(''))
  await until('all are answered', () => client.heard().match(/HTTP\/1\.1 200/g)?.length === 10)
  assert.deepEqual(
    [...client.heard().matchAll(/x-request-id: call-(\d)/g)].map(([, n]) => n),
    [...'0123456789'],
  )
  client.socket.destroy()
})

test('headers that come too slowly are given up', async () => {
  const started = performance.now()
  const client = await rawClient(gateway.url, 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n')
  const drip = setInterval(() => client.send('x: y\r\n'), 50)
  const answer = parsed(await client.closed(1_000).finally(() => clearInterval(drip)))
  assert.ok(performance.now() - started >= 290)
  assert.equal(answer.status, 408)
  isError(answer.body.error, { status: 408, code: 'request_timeout' })
  assert.equal(answer.headers['x-should-retry'], 'false')
  await stillWell()
})

test('a body that comes too slowly is given up', async () => {
  const started = performance.now()
  const client = await rawClient(gateway.url, post('', { ...KEY, 'content-length': '1000' }))
  const drip = setInterval(() => client.send('x'), 50)
  const answer = parsed(await client.closed(1_500).finally(() => clearInterval(drip)))
  assert.ok(performance.now() - started >= 590)
  assert.equal(answer.status, 408)
  isError(answer.body.error, { status: 408, code: 'request_timeout' })
  await stillWell()
})

test('a long answer is not cut by the times for slow senders', async () => {
  gateway.simulators.get('a')!.script([{ slow_first_token: 900 }])
  await stillWell()
  gateway.simulators.get('a')!.script([])
})

test('a client that leaves in the middle of its body is nobody’s fault', async () => {
  const before = gateway.logs().length
  const client = await rawClient(gateway.url, post('{"model":', { ...KEY, 'content-length': '1000' }))
  await new Promise(resolve => setTimeout(resolve, 50))
  client.socket.destroy()
  await until('it is written down', () => gateway.logs().length > before)
  const [line] = gateway.logs().slice(before)
  assert.deepEqual([line!.status, line!.ending, line!.fault], [499, 'abandoned', undefined])
  assert.equal(await gateway.metric('llm_requests_total', { status: '500' }), 0)
})

// ── x-request-id ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a sane x-request-id of the client’s is kept, on answers, streams and refusals', async () => {
  for (const [body, status] of [
    [GOOD, 200],
    [{ ...GOOD, stream: true }, 200],
    [{ ...GOOD, model: 'missing' }, 404],
  ] as const) {
    const response = await gateway.call(body, { headers: { ...KEY, 'x-request-id': 'trace:1.2_3-4' } })
    await response.text()
    assert.equal(response.status, status)
    assert.equal(response.headers.get('x-request-id'), 'trace:1.2_3-4')
  }
  const wrongKey = await gateway.call(GOOD, { headers: { authorization: 'Bearer no', 'x-request-id': 'a' } })
  assert.equal(wrongKey.headers.get('x-request-id'), 'a')
  await until('the log names it', () => gateway.logs().some(({ id }) => id === 'trace:1.2_3-4'))
})

test('an x-request-id that is too long or odd is replaced', async () => {
  for (const shown of ['x'.repeat(10_000), 'x'.repeat(129), 'a b', 'a;b', '<script>', 'ü', '']) {
    const response = await gateway.call(GOOD, { headers: { ...KEY, 'x-request-id': Buffer.from(shown).toString('latin1') } })
    assert.match(response.headers.get('x-request-id')!, UUID, shown)
  }
})

test('every answer has an id of its own', async () => {
  const ids = new Set<string>()
  for (const path of ['/health', '/ready', '/v1/models', '/v1/models/r', '/nowhere']) {
    const response = await ask(path, { headers: KEY })
    await response.text()
    assert.match(response.headers.get('x-request-id') ?? '', UUID, path)
    ids.add(response.headers.get('x-request-id')!)
  }
  assert.equal(ids.size, 5)
})

// ── models, health, HEAD ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a client sees the models of its own routes', async () => {
  const list = async (authorization: string) => {
    const response = await ask('/v1/models', { headers: { authorization } })
    assert.equal(response.status, 200)
    const { object, data } = (await response.json()) as any
    assert.equal(object, 'list')
    for (const model of data) {
      assert.equal(model.object, 'model')
      assert.equal(typeof model.created, 'number')
      assert.equal(typeof model.owned_by, 'string')
    }
    return data.map(({ id }: any) => id)
  }
  assert.deepEqual(await list('Bearer key-all'), ['r', 'other', 'vendor/*'])
  assert.deepEqual(await list('Bearer key-some'), ['r', 'vendor/*'])
})

test('a model can be asked for by its name, slashes included', async () => {
  const headers = { authorization: 'Bearer key-some' }
  const long = `vendor/${'x'.repeat(200)}`
  for (const model of ['r', 'vendor/family/model-1', 'vendor/a:b@c', long]) {
    for (const path of [`/v1/models/${model}`, `/v1/models/${encodeURIComponent(model)}`]) {
      const response = await ask(path, { headers })
      assert.equal(response.status, 200, path)
      assert.equal(((await response.json()) as any).id, model)
    }
  }
  await refused(await ask('/v1/models/other', { headers }), {
    status: 403,
    code: 'model_not_allowed',
    type: 'permission_error',
    param: 'model',
  })
  await refused(await ask('/v1/models/missing', { headers }), { status: 404, code: 'model_not_found', param: 'model' })
})

test('health and readiness ask for no key', async () => {
  assert.deepEqual(await (await ask('/health')).json(), { status: 'ok' })
  assert.deepEqual(await (await ask('/ready')).json(), { status: 'ready' })
})

test('HEAD says what GET says, without a body, and asks for the key like GET', async () => {
  for (const [path, headers, status] of [
    ['/health', {}, 200],
    ['/v1/models', KEY, 200],
    ['/v1/models', {}, 401],
    ['/nowhere', KEY, 404],
  ] as const) {
    const response = await ask(path, { method: 'HEAD', headers })
    assert.equal(response.status, status, path)
    assert.equal(await response.text(), '')
    assert.match(response.headers.get('x-request-id')!, UUID)
  }
  await stillWell()
})
