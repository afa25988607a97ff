import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { accepted, ENV, expectProblems, PROVIDERS, ROUTES } from './marked.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-load-'))
})
after(() => rm(folder, { recursive: true }))

test('the defaults are those of the contract', async () => {
  const config = await accepted(PROVIDERS + ROUTES)
  const { providers, routes, ...rest } = config
  assert.deepEqual(rest, {
    server: { listen: { host: '127.0.0.1', port: 8080 }, open: false, max_body: 32 * 1024 * 1024, drain: 30_000, workers: 1 },
    admin: { listen: { host: '127.0.0.1', port: 9090 } },
    clients: [],
    cache: { store: 'state', scope: 'client', max_memory: 256 * 1024 ** 2, max_entry: 1024 ** 2 },
    telemetry: { log: { level: 'info', bodies: 'never' }, headers: 'summary', webhooks: [] },
    simulators: [],
  })
  const { keys, ...openai } = providers.openai!
  assert.deepEqual(
    keys.map(key => ({ ...key, value: key.value.reveal() })),
    [{ name: 'key-1', value: 'sk-upstream-1', weight: 1 }],
  )
  assert.deepEqual(openai, {
    type: 'openai',
    key_choice: 'least_used',
    headers: {},
    tags: [],
    timeouts: { connect: 2_000, first_token: 30_000, idle: 20_000, total: 300_000 },
    retry: { attempts: 1, backoff: { first: 100, factor: 2, max: 2_000 }, rate_limit_wait: 3_000 },
    circuit: {
      failures: 3,
      ratio: 0.5,
      min_calls: 20,
      window: 30_000,
      open: 30_000,
      open_max: 300_000,
      probes: 3,
      ramp: 30_000,
    },
    models: {},
  })
  assert.deepEqual(routes['gpt-4'], {
    choose: 'order',
    targets: [{ target: 'openai/gpt-4o', weight: 1 }],
    fallbacks: [],
    deadline: 120_000,
    sticky: 'off',
    faults: {},
    recover: 'splice',
    extra_attempts: 0.2,
    heartbeat: 15_000,
    require: [],
    degrade: [],
  })
})

test('what is given replaces its default and leaves the others', async () => {
  const config = await accepted(`
server: {listen: "[::1]:9999", max_body: 1.5KB}
providers:
  a:
    type: groq
    keys: [one, {name: b, value: two, weight: 2, quota_group: q}, three]
    headers: {X-Team: search}
    timeouts: {idle: 500ms}
    circuit: {ratio: 0.9}
routes:
  "*": [a/*]
  b: {choose: weighted, targets: [{target: a/x, weight: 0.5}, a/y/z], heartbeat: off, sticky: false, recover: false, extra_attempts: 1}
  c: {targets: [a/x], heartbeat: false, faults: {content-filtered: fail_over}}
`)
  assert.deepEqual(config.server.listen, { host: '::1', port: 9_999 })
  assert.equal(config.server.max_body, 1_536)
  const a = config.providers.a!
  assert.deepEqual(
    a.keys.map(key => key.name),
    ['key-1', 'b', 'key-3'],
  )
  assert.deepEqual(a.headers, { 'x-team': 'search' })
  assert.equal(a.timeouts.idle, 500)
  assert.equal(a.timeouts.total, 300_000)
  assert.equal(a.circuit.ratio, 0.9)
  assert.equal(a.circuit.failures, 3)
  assert.deepEqual(config.routes['*']?.targets, [{ target: 'a/*', weight: 1 }])
  const { targets, heartbeat, sticky, recover, extra_attempts } = config.routes.b!
  assert.deepEqual([heartbeat, sticky, recover, extra_attempts], ['off', 'off', 'off', 1])
  assert.deepEqual(targets, [
    { target: 'a/x', weight: 0.5 },
    { target: 'a/y/z', weight: 1 },
  ])
  assert.equal(config.routes.c?.heartbeat, 'off')
  assert.deepEqual(config.routes.c?.faults, { 'content-filtered': 'fail_over' })
})

test('everything that is wrong is reported at once, in the order of the file', async () => {
  const text = `server:
  lisen: 127.0.0.1:8080
providers:
  openai:
    type: opnai
    keys: [env:MISSING]
    timeouts: {idle: 0s}
routes:
  gpt-4:
    targets: [openia/gpt-4o]
`
  const loaded = await parseConfig(text, 'understudy.yaml', { env: ENV })
  assert.ok(!loaded.ok)
  const types =
    'openai, anthropic, gemini, vertex, azure, bedrock, mistral, deepseek, groq, xai, qwen, cohere, together, fireworks, openrouter, perplexity, cerebras, moonshot, zai, ollama, vllm, openai-compatible'
  assert.deepEqual(loaded.problems.map(formatProblem), [
    'understudy.yaml:2:3  server.lisen  unknown key (did you mean "listen"?)',
    `understudy.yaml:5:11  providers.openai.type  expected one of ${types}, found "opnai" (did you mean "openai"?)`,
    'understudy.yaml:6:12  providers.openai.keys[0]  the variable MISSING is not set',
    'understudy.yaml:7:22  providers.openai.timeouts.idle  must be longer than 0',
    'understudy.yaml:10:15  routes.gpt-4.targets[0]  there is no provider "openia" (did you mean "openai"?)',
  ])
})

test('keys that nobody knows are reported at the key, wherever they are', async () => {
  await expectProblems(
    `▸servr: {}
server: {▸port: 1}
providers:
  openai:
    type: openai
    keys: [{value: env:KEY, ▸qouta_group: x}]
    ▸base-url: https://a
    retry: {backoff: {▸factr: 2}}
    models: {m: {price: {input: 1, output: 1, ▸cached: 1}}}
routes:
  gpt-4.1: {▸target: [openai/gpt-4o], targets: [{target: openai/x, ▸wieght: 1}]}
`,
    [
      'servr  unknown key (did you mean "server"?)',
      'server.port  unknown key',
      'providers.openai.keys[0].qouta_group  unknown key (did you mean "quota_group"?)',
      'providers.openai.base-url  unknown key (did you mean "base_url"?)',
      'providers.openai.retry.backoff.factr  unknown key (did you mean "factor"?)',
      'providers.openai.models.m.price.cached  unknown key',
      'routes["gpt-4.1"].target  unknown key (did you mean "targets"?)',
      'routes["gpt-4.1"].targets[0].wieght  unknown key (did you mean "weight"?)',
    ],
  )
})

test('keys that are missing are reported at their parent', async () => {
  await expectProblems(
    `providers:
  ▸openai: {keys: [▸{name: a}]}
routes:
  gpt-4: {targets: [▸{weight: 1}]}
clients:
  - ▸▸{routes: [gpt-4]}
`,
    [
      'providers.openai.type  is missing; expected one of openai, anthropic, gemini, vertex, azure, bedrock, mistral, deepseek, groq, xai, qwen, cohere, together, fireworks, openrouter, perplexity, cerebras, moonshot, zai, ollama, vllm, openai-compatible',
      'providers.openai.keys[0].value  is missing; expected text',
      'routes.gpt-4.targets[0].target  is missing; expected text',
      'clients[0].name  is missing; expected text',
      'clients[0].key  is missing: a client has a key or a key_sha256',
    ],
  )
})

test('values of the wrong type are reported at the value', async () => {
  await expectProblems(
    `server: {open: ▸maybe, max_body: ▸32, drain: ▸soon, workers: ▸{}}
providers:
  openai:
    type: openai
    keys: ▸env:KEY
    tags: ▸eu
    retry: {attempts: ▸1.5}
    ▸timeouts:
    models: {m: {context: ▸"128k", supports: [▸tool]}}
routes:
  a: ▸openai/gpt-4o
  b: {targets: [▸3], deadline: ▸120, extra_attempts: ▸a lot, heartbeat: ▸often}
telemetry: ▸[]
`,
    [
      'server.open  expected true or false, found text',
      'server.max_body  expected a size such as "64KB" or "32MB"',
      'server.drain  "soon" is not a duration; write one such as "250ms", "2s", "5m" or "24h"',
      'server.workers  expected a number of processes, or auto',
      'providers.openai.keys  expected a list, found text',
      'providers.openai.tags  expected a list, found text',
      'providers.openai.retry.attempts  expected a whole number, found a fraction',
      'providers.openai.timeouts  expected a mapping, found nothing',
      'providers.openai.models.m.context  expected a number, found text',
      'providers.openai.models.m.supports[0]  expected one of tools, vision, json_schema, found "tool" (did you mean "tools"?)',
      'routes.a  expected a route: a list of targets, or a mapping with targets',
      'routes.b.targets[0]  expected a target: text such as provider/model, or a mapping with target and weight',
      'routes.b.deadline  expected a duration such as "250ms", "2s", "5m" or "24h"',
      'routes.b.extra_attempts  "a lot" is not a share; write one such as "20%" or 0.2',
      'routes.b.heartbeat  "often" is not a duration; write one such as "250ms", "2s", "5m" or "24h", or off',
      'telemetry  expected a mapping, found a list',
    ],
  )
})

test('numbers and durations out of their range are reported', async () => {
  await expectProblems(
    `server: {max_body: ▸0MB}
providers:
  openai:
    type: openai
    keys: [{value: env:KEY, weight: ▸0, rpm: ▸0}]
    timeouts: {connect: ▸0s, first_token: ▸0ms, idle: ▸0m, total: ▸0h}
    retry: {attempts: ▸11, backoff: {factor: ▸0.5}}
    circuit: {failures: ▸0, ratio: ▸1.5, min_calls: ▸0, window: ▸0s, open: ▸0s, probes: ▸-1}
    models: {m: {price: {input: ▸-1, output: 0}}}
routes:
  a: {targets: [{target: openai/x, weight: ▸-2}], deadline: ▸0s, extra_attempts: ▸120%, heartbeat: ▸0s}
  b: {targets: ▸[]}
  c: ▸[]
`,
    [
      'server.max_body  must be larger than 0',
      'providers.openai.keys[0].weight  must be more than 0',
      'providers.openai.keys[0].rpm  must be 1 or more',
      'providers.openai.timeouts.connect  must be longer than 0',
      'providers.openai.timeouts.first_token  must be longer than 0',
      'providers.openai.timeouts.idle  must be longer than 0',
      'providers.openai.timeouts.total  must be longer than 0',
      'providers.openai.retry.attempts  must be 10 at most',
      'providers.openai.retry.backoff.factor  must be 1 or more',
      'providers.openai.circuit.failures  must be 1 or more',
      'providers.openai.circuit.ratio  must be 1 at most',
      'providers.openai.circuit.min_calls  must be 1 or more',
      'providers.openai.circuit.window  must be longer than 0',
      'providers.openai.circuit.open  must be longer than 0',
      'providers.openai.circuit.probes  must be 1 or more',
      'providers.openai.models.m.price.input  must be 0 or more',
      'routes.a.targets[0].weight  must be more than 0',
      'routes.a.deadline  must be longer than 0',
      'routes.a.extra_attempts  "120%" is not a share; write one such as "20%" or 0.2',
      'routes.a.heartbeat  must be longer than 0, or off',
      'routes.b.targets  is empty; it needs at least one entry',
      'routes.c  is empty; it needs at least one entry',
    ],
  )
})

test('headers that HTTP refuses, or that belong to the gateway, are reported', async () => {
  await expectProblems(
    `providers:
  openai:
    type: openai
    headers: {▸"x y": a, x-a: ▸"b\\nc: d", ▸Host: a, ▸transfer-encoding: chunked, x-b: ▸1, X-C: a, ▸x-c: b}
    keys: [▸"a b\\n", ▸" a"]
${ROUTES}`,
    [
      'providers.openai.headers["x y"]  not the name of an HTTP header',
      'providers.openai.headers.x-a  holds a character that cannot stand in an HTTP header',
      'providers.openai.headers.Host  this header is set by the gateway itself',
      'providers.openai.headers.transfer-encoding  this header is set by the gateway itself',
      'providers.openai.headers.x-b  expected text, found a number',
      'providers.openai.headers.x-c  this header is here twice; capitals make no difference',
      'providers.openai.keys[0]  holds a character that cannot stand in an HTTP header (a line break, or a space at its end?)',
      'providers.openai.keys[1]  holds a character that cannot stand in an HTTP header (a line break, or a space at its end?)',
    ],
  )
})

test('a base_url is http or https, without credentials and without a query', async () => {
  const url = 'not a URL that begins with http:// or https://'
  await expectProblems(
    `providers:
  a: {type: openai, base_url: ▸api.openai.com/v1}
  b: {type: openai, base_url: ▸ftp://a/v1}
  c: {type: openai, base_url: ▸https://user:hunter2@a/v1}
  d: {type: openai, base_url: ▸https://a/v1?key=hunter2}
  e: {type: openai, base_url: ▸'https://a/v1#x'}
  f: {type: openai, base_url: ▸'http://a b/'}
  g: {type: openai, base_url: ▸'simulator:'}
  openai: {type: openai, base_url: https://a/v1}
${ROUTES}`,
    [
      `providers.a.base_url  ${url}`,
      `providers.b.base_url  ${url}`,
      'providers.c.base_url  a URL here must not hold a user name or password; give it under keys or headers',
      'providers.d.base_url  a base_url must not have a query',
      'providers.e.base_url  a base_url must not have a fragment',
      `providers.f.base_url  ${url}`,
      'providers.g.base_url  write a simulator as simulator:NAME/v1',
    ],
  )
})

test('providers and routes must be there', async () => {
  await expectProblems('▸▸server: {}\n', ['providers  is missing; expected a mapping', 'routes  is missing; expected a mapping'])
  await expectProblems('▸providers: {}\n▸routes: {}\n', [
    'providers  there must be at least one provider',
    'routes  there must be at least one route',
  ])
  await expectProblems('▸providers:\n▸routes:\n', [
    'providers  expected a mapping, found nothing',
    'routes  expected a mapping, found nothing',
  ])
})

test('an empty file and a file that is no mapping are reported as such', async () => {
  await expectProblems('▸# nothing\n', ['  expected a mapping, found nothing'])
  await expectProblems('▸- a\n- b\n', ['  expected a mapping, found a list'])
})

test('a syntax error is the only thing that is reported of a file', async () => {
  await expectProblems('providers:\n▸\topenai: 1\n', ['  not valid YAML: tabs cannot indent; use spaces'])
})

test('a key that is there twice is reported along with everything else', async () => {
  await expectProblems(`${PROVIDERS}  ▸openai: {type: groq}\n${ROUTES}▸foo: 1\n`, [
    'providers.openai  this key is here twice',
    'foo  unknown key',
  ])
})

test('the admin token is that of the environment, and nothing when there is none', async () => {
  const text = PROVIDERS + ROUTES
  assert.equal((await accepted(text)).admin.token, undefined)
  assert.equal((await accepted(text, { env: { ...ENV, UNDERSTUDY_ADMIN_TOKEN: '' } })).admin.token, undefined)
  assert.equal((await accepted(`${text}admin: {token: env:UNDERSTUDY_ADMIN_TOKEN}\n`)).admin.token, undefined)
  const env = { ...ENV, UNDERSTUDY_ADMIN_TOKEN: 'from-env', OTHER: 'from-other' }
  assert.equal((await accepted(text, { env })).admin.token?.reveal(), 'from-env')
  assert.equal((await accepted(`${text}admin: {listen: 127.0.0.1:1}\n`, { env })).admin.token?.reveal(), 'from-env')
  assert.equal((await accepted(`${text}admin: {token: env:OTHER}\n`, { env })).admin.token?.reveal(), 'from-other')
})

test('another admin token that is not there is a problem', async () => {
  await expectProblems(`${PROVIDERS}${ROUTES}admin: {token: ▸env:NO_TOKEN}\n`, ['admin.token  the variable NO_TOKEN is not set'])
})

test('the same settings by alias and merge key are accepted', async () => {
  const config = await accepted(`
providers:
  a: &shared {type: groq, keys: [env:KEY], timeouts: &patient {idle: 60s}}
  b: {<<: *shared, type: openai}
  c: {type: xai, timeouts: *patient}
routes: {x: [a/m, b/m, c/m]}
`)
  assert.equal(config.providers.b?.type, 'openai')
  assert.equal(config.providers.b?.keys[0]?.value.reveal(), 'sk-upstream-1')
  assert.equal(config.providers.c?.timeouts.idle, 60_000)
})

test('a file is loaded, and its relative secrets are found beside it', async () => {
  const file = join(folder, 'understudy.yaml')
  await writeFile(join(folder, 'key'), 'sk-from-file\n')
  await writeFile(file, PROVIDERS.replace('env:KEY', 'file:./key') + ROUTES)
  const loaded = await loadConfig(file, { env: {} })
  assert.ok(loaded.ok)
  assert.equal(loaded.config.providers.openai?.keys[0]?.value.reveal(), 'sk-from-file')
})

test('a file that is missing, a folder or not UTF-8 is one problem without a line', async () => {
  const missing = join(folder, 'missing.yaml')
  const binary = join(folder, 'utf-16.yaml')
  await writeFile(binary, Buffer.from('\uFEFFproviders:', 'utf16le'))
  const report = async (file: string) => {
    const loaded = await loadConfig(file, { env: {} })
    return loaded.ok ? [] : loaded.problems.map(formatProblem)
  }
  assert.deepEqual(await report(missing), [`${missing}  cannot read the file: there is no such file`])
  assert.deepEqual(await report(folder), [`${folder}  cannot read the file: it is a folder`])
  assert.deepEqual(await report(binary), [`${binary}  the file is not UTF-8 text`])
})

test('two thousand routes are checked in well under a second', async () => {
  const routes = Array.from(
    { length: 2_000 },
    (_, index) =>
      `  route-${index}:\n    choose: weighted\n    targets:\n      - {target: openai/model-${index}, weight: 2}\n      - openai/other\n    fallbacks: [openai/last]\n    deadline: 1m\n`,
  )
  const text = `${PROVIDERS}routes:\n${routes.join('')}`
  // The processor's time and the fastest of three, as other tests run on the same machine.
  const times: number[] = []
  for (let run = 0; run < 3; run++) {
    const start = process.cpuUsage()
    const config = await accepted(text)
    const { user, system } = process.cpuUsage(start)
    times.push((user + system) / 1_000)
    assert.equal(Object.keys(config.routes).length, 2_000)
  }
  assert.ok(Math.min(...times) < 800, `took ${times.map(Math.round).join(', ')} ms`)
})

test('the address of Redis is checked, and never shown', async () => {
  const { state } = await accepted(`state: {redis: "redis://:hush@h/1"}\n${PROVIDERS}${ROUTES}`)
  assert.equal(state!.redis!.reveal(), 'redis://:hush@h/1')
  assert.doesNotMatch(JSON.stringify(state), /hush/)
  assert.deepEqual([state!.prefix, state!.command_timeout], ['understudy', 100])
  for (const url of ['redis://:hush@h1,h2', 'redis-sentinel://:hush@h1', 'mysql://:hush@h', 'redis://:hush@', 'redis://h/hush']) {
    const loaded = await parseConfig(`state: {redis: "${url}"}\n${PROVIDERS}${ROUTES}`, 'understudy.yaml', { env: ENV })
    assert.ok(!loaded.ok, url)
    assert.equal(loaded.problems.length, 1, url)
    assert.match(formatProblem(loaded.problems[0]!), /^understudy\.yaml:1:\d+ +state\.redis {2}./)
    assert.doesNotMatch(formatProblem(loaded.problems[0]!), /hush/)
  }
})
