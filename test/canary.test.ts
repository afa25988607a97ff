/*
 * Secrets are planted in every place of a configuration that takes one, everything that can be made to happen to them is made to happen, and
 * what came out is searched: answers, headers, logs, metrics, traces, webhooks, and what the commands print.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { collector } from './support/collector.ts'
import { receiver } from './support/receiver.ts'
import { FAST } from './support/routes.ts'
import { HELLO, type Running, running, until } from './support/running.ts'

const CANARY = {
  key: 'canary-provider-key-0001',
  named: 'canary-named-key-0002',
  header: 'canary-header-token-0003',
  client: 'canary-client-key-0004',
  admin: 'canary-admin-token-0005',
  hook: 'canary-hook-secret-0006',
  redis: 'canary-redis-pass-0007',
  collector: 'canary-collector-0008',
} as const

/** A body of a provider that repeats what it was sent. */
const echoing = (message: string) => ({
  error: { message: `${message}: ${CANARY.key}, ${CANARY.header}`, type: 'x', code: null, param: CANARY.key },
})
const said = (object: object) => `data: ${JSON.stringify(object)}\n\n`
const delta = (content: string) => said({ id: 'x', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content } }] })
const SSE = { 'content-type': 'text/event-stream' }

/** Each behind a route of its own name, alone. */
const FAULTS: Readonly<Record<string, object>> = {
  key401: { status: 401, body: echoing('Incorrect API key provided') },
  key400: { status: 400, body: echoing('bad request') },
  key500: { status: 500, body: echoing('oops') },
  key429: { status: 429, body: echoing('slow down') },
  text500: { status: 500, body: `plain words about ${CANARY.key}` },
  garbled: { status: 200, body: `not JSON but ${CANARY.key}` },
  in200: { status: 200, body: echoing('inside') },
  early: { status: 200, headers: SSE, body: said(echoing('before content')) },
  late: { status: 200, headers: SSE, body: delta('One') + said(echoing('after content')) },
}

function config(collectorUrl: string, hookUrl: string): string {
  return JSON.stringify({
    admin: { token: 'env:ADMIN' },
    telemetry: {
      headers: 'full',
      log: { bodies: 'all' },
      traces: { endpoint: `${collectorUrl}/?token=${CANARY.collector}`, sample: 1 },
      webhooks: [
        {
          url: `${hookUrl}/hook`,
          secret: 'env:HOOK',
          on: ['circuit.opened', 'circuit.closed', 'route.exhausted', 'key.retired', 'budget.exhausted'],
        },
      ],
    },
    simulators: Object.entries(FAULTS).map(([name, rule]) => ({ name, script: [rule] })),
    providers: Object.fromEntries(
      Object.keys(FAULTS).map(name => [
        name,
        {
          type: 'openai',
          base_url: `simulator:${name}/v1`,
          keys: ['env:KEY', { name: 'second', value: 'env:NAMED' }],
          headers: { 'x-proxy-authorization': `Bearer $${'{HEADER}'}` },
          timeouts: FAST,
          retry: { attempts: 0 },
          circuit: { failures: 1 },
        },
      ]),
    ),
    routes: Object.fromEntries(Object.keys(FAULTS).map(name => [name, { targets: [`${name}/m`], recover: 'off' }])),
    clients: [
      { name: 'team', key: 'env:CLIENT' },
      { name: 'poor', key: 'canary-client-key-0004-poor', budget: { usd: 0.000001, per: 'day' } },
    ],
  })
}

const ENV = {
  ADMIN: CANARY.admin,
  HOOK: CANARY.hook,
  KEY: CANARY.key,
  NAMED: CANARY.named,
  HEADER: CANARY.header,
  CLIENT: CANARY.client,
  REDIS: CANARY.redis,
}

/** Where a canary is in what came out; empty is well. */
function sightings(out: ReadonlyMap<string, string>): string[] {
  return [...out].flatMap(([from, text]) =>
    Object.values(CANARY).flatMap(canary => (text.includes(canary) ? [`${canary} in ${from}: ${text}`] : [])),
  )
}

async function whole(response: Response): Promise<string> {
  return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`
}

describe('no secret comes out', () => {
  it('of a running gateway, whatever happens', async () => {
    const [sink, hooked] = [await collector(), await receiver()]
    const gateway = await running(config(sink.url, hooked.url), { env: ENV })
    const out = new Map<string, string>()
    try {
      await provoke(gateway, out)
      await until('webhooks came', () =>
        ['circuit.opened', 'key.retired', 'route.exhausted', 'budget.exhausted'].every(event =>
          hooked.received.some(({ body }) => body.event === event),
        ),
      )
    } finally {
      await gateway.close()
    }
    out.set('log', JSON.stringify(gateway.logs()))
    out.set(
      'traces',
      sink
        .requests()
        .map(({ body }) => body)
        .join(),
    )
    out.set('webhooks', JSON.stringify(hooked.received))
    await Promise.all([sink.close(), hooked.close()])

    assert.deepEqual(sightings(out), [])
    // Were nothing said of them at all, nothing would have been tested.
    for (const [from, text] of out) assert.ok(text.length > 100, from)
    for (const from of ['log', 'traces', 'answer of key400']) assert.match(out.get(from)!, /\[secret\]/, from)
  })

  it('of the commands, whatever is wrong', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'understudy-canary-'))
    const plain = 'providers: {p: {type: openai, keys: [env:KEY]}}\nroutes: {r: [p/m]}\n'
    const files = {
      'well.yaml': config('http://127.0.0.1:1', 'http://127.0.0.1:1'),
      'twice.yaml': `${plain}clients: [{name: a, key: "${CANARY.client}"}, {name: b, key: "${CANARY.client}"}]\n`,
      'typo.yaml': `${plain}admin: {tokn: "${CANARY.admin}"}\n`,
      'type.yaml': `providers: {p: {type: openai, keys: {key: "${CANARY.key}"}}}\nroutes: {r: [p/m]}\n`,
      'scheme.yaml': `providers: {p: {type: openai, keys: ["env:${CANARY.key}"]}}\nroutes: {r: [p/m]}\n`,
      'spaces.yaml': `providers: {p: {type: openai, keys: ["${CANARY.key} x\\u0007"]}}\nroutes: {r: [p/m]}\n`,
      'url.yaml': `providers: {p: {type: openai, base_url: "https://u:${CANARY.key}@h/v1"}}\nroutes: {r: [p/m]}\n`,
      'hook.yaml': `${plain}telemetry: {webhooks: [{url: "https://u:${CANARY.hook}@h", secret: {a: "${CANARY.hook}"}, on: [circuit.opened]}]}\n`,
      'traces.yaml': `${plain}telemetry: {traces: {endpoint: "http://u:${CANARY.collector}@h"}}\n`,
      'redis.yaml': `${plain}state: {redis: "redis//:${CANARY.redis}@h"}\n`,
      'broken.yaml': `providers: {p: {type: openai, keys: ["${CANARY.key}\n`,
    }
    const out = new Map<string, string>()
    try {
      await Promise.all(
        Object.entries(files).map(async ([name, text]) => {
          await writeFile(join(folder, name), text)
          out.set(`check of ${name}`, await printed(['check', '--config', join(folder, name)]))
        }),
      )
      const taken = files['well.yaml'].replace('{', '{"server": {"listen": "192.0.2.1:1"},')
      await writeFile(join(folder, 'taken.yaml'), taken)
      out.set('serve on an address that is not ours', await printed(['serve', '--config', join(folder, 'taken.yaml')]))
    } finally {
      await rm(folder, { recursive: true })
    }
    assert.deepEqual(sightings(out), [])
    for (const [from, text] of out) assert.ok(text.length > 20, `${from}: ${text}`)
  })
})

async function provoke(gateway: Running, out: Map<string, string>): Promise<void> {
  const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
  for (const route of Object.keys(FAULTS)) {
    const stream = route === 'early' || route === 'late'
    const body = { model: route, messages: [...HELLO, { role: 'user', content: `What is ${CANARY.admin}?` }], stream }
    out.set(`answer of ${route}`, await whole(await gateway.call(body, as(CANARY.client))))
  }
  out.set(
    'answer beyond the budget',
    await whole(await gateway.call({ model: 'key400', messages: HELLO }, as('canary-client-key-0004-poor'))),
  )
  out.set('answer to a wrong key', await whole(await gateway.call({ model: 'key400', messages: HELLO }, as(`${CANARY.client}x`))))
  out.set('answer to a wrong route', await whole(await gateway.call({ model: 'nothing', messages: HELLO }, as(CANARY.client))))
  const paths = [
    '/metrics',
    '/health',
    '/ready',
    '/admin/circuits',
    '/admin/keys',
    '/admin/spend',
    '/admin/config',
    '/admin/requests',
    '/admin/nothing',
  ]
  for (const path of paths) {
    for (const [kind, headers] of Object.entries({
      with: { authorization: `Bearer ${CANARY.admin}` },
      without: {},
      wrong: { authorization: `Bearer ${CANARY.admin}x` },
    })) {
      out.set(`${path} ${kind} the token`, await whole(await fetch(gateway.adminUrl + path, { headers })))
    }
  }
  const accept = { accept: 'application/openmetrics-text' }
  out.set('metrics in OpenMetrics', await whole(await fetch(`${gateway.adminUrl}/metrics`, { headers: accept })))
}

/** All that a command prints until it ends. */
function printed(args: readonly string[]): Promise<string> {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH, ...ENV },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.on('data', chunk => (text += chunk))
  child.stderr.on('data', chunk => (text += chunk))
  return new Promise(resolve => child.once('close', () => resolve(text)))
}
