import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../src/config/load.ts'
import { formatPath } from '../../src/config/problem.ts'
import { PROVIDER_TYPES } from '../../src/config/schema.ts'
import { providers } from '../../src/providers/registry.ts'
import { accepted, ENV, PROVIDERS, ROUTES } from './marked.ts'

/** Every key of the configuration's language, with all that is still to come. */
const COMPLETE = `
server: {listen: 127.0.0.1:8080, open: false, max_body: 32MB, drain: 30s, workers: auto}
admin: {listen: 127.0.0.1:9090, token: vault:secret/admin#token}
state:
  redis: redis-sentinel://h1,h2/name
  prefix: understudy
  command_timeout: 100ms
  file: ./understudy.db
providers:
  openai:
    type: openai
    base_url: https://api.openai.com/v1
    keys:
      - env:KEY
      - aws-sm:openai-key
      - {name: team-b, value: vault:secret/data/llm#b, weight: 2, rpm: 500, tpm: 200000, concurrency: 50, quota_group: org-b}
      - {name: team-c, value: gcp-sm:openai-c}
    key_choice: round_robin
    headers: {x-team: search}
    tags: [us, eu]
    timeouts: {connect: 2s, first_token: 30s, idle: 20s, total: 5m}
    retry: {attempts: 1, backoff: {first: 100ms, factor: 2, max: 2s}, rate_limit_wait: 3s}
    circuit: {failures: 3, ratio: 0.5, min_calls: 20, window: 30s, open: 30s, open_max: 5m, probes: 3, ramp: 30s}
    health: {every: 15s, path: /models, status_page: https://status.example.com/summary.json}
    spend_cap: {usd: 100, per: day}
    models:
      gpt-4o:
        context: 128000
        max_output: 16384
        supports: [tools, vision, json_schema]
        prefill: false
        price: {input: 2.5, cached_input: 1.25, cache_write: 3, output: 10}
  gemini: {type: gemini}
routes:
  gpt-4:
    choose: latency
    targets: [{target: openai/gpt-4o, weight: 5}, gemini/gemini-2.5-pro]
    fallbacks: [openai/gpt-4o-mini]
    deadline: 2m
    sticky: session
    faults: {content-filtered: fail_over, upstream-refused-call: return}
    slow: {factor: 3}
    hedge: {after: 4s, share: 5%}
    recover: splice
    extra_attempts: 20%
    heartbeat: 15s
    require: [eu]
    cache: {ttl: 10m, stale: 24h}
    degrade:
      - {level: reduced, targets: [openai/gpt-4o-mini], max_tokens: 2048}
      - {level: minimal, targets: [openai/gpt-4o-mini], max_tokens: 512, drop: [tools, vision]}
      - {level: cached}
      - {level: offline, message: "We are having trouble: please try again."}
  "claude-*": [openai/*]
clients:
  - name: search-team
    key: azure-kv:vault/search
    routes: [gpt-4, "claude-*"]
    rpm: 600
    tpm: 1000000
    concurrency: 50
    budget: {usd: 50, per: day}
    require: [eu]
    tags: {team: search}
cache: {store: state, scope: client, max_memory: 256MB, max_entry: 1MB}
telemetry:
  log: {level: info, bodies: errors}
  traces: {endpoint: http://localhost:4318, sample: 0.1}
  headers: summary
  webhooks:
    - url: https://hooks.example.com/llm
      secret: env:KEY
      on: [circuit.opened, circuit.closed, route.exhausted, key.retired, budget.exhausted]
simulators: []
`

test('the complete language is understood, and what nothing obeys yet is refused', async () => {
  const loaded = await parseConfig(COMPLETE, 'understudy.yaml', { env: ENV, available: new Set(['openai']) })
  assert.ok(!loaded.ok)
  assert.deepEqual(
    loaded.problems.map(({ path, message }) => `${formatPath(path)}  ${message}`),
    [
      'admin.token  "vault:" is not available yet',
      'providers.openai.keys[1]  "aws-sm:" is not available yet',
      'providers.openai.keys[2].value  "vault:" is not available yet',
      'providers.openai.keys[3].value  "gcp-sm:" is not available yet',
      'providers.gemini.type  "gemini" is not available yet',
      'clients[0].key  "azure-kv:" is not available yet',
    ],
  )
})

test('each is reported where it stands', async () => {
  const loaded = await parseConfig(COMPLETE, 'understudy.yaml', { env: ENV })
  assert.ok(!loaded.ok)
  const placeOf = (name: string) => {
    const problem = loaded.problems.find(({ path }) => formatPath(path) === name)
    return `${problem?.line}:${problem?.column}`
  }
  assert.equal(placeOf('providers.openai.keys[2].value'), '16:31')
})

test('what is switched off, or as it is anyway, may be spelt out', async () => {
  await accepted(`
server: {workers: 1}
state: {}
cache: {}
providers:
  openai: {type: openai, models: {m: {prefill: false}}}
routes:
  a: {choose: order, targets: [openai/x], sticky: off, recover: off, degrade: []}
  b: {choose: weighted, targets: [openai/x], sticky: false, recover: false}
telemetry: {log: {bodies: never}, webhooks: []}
`)
})

test('the form of what is to come is checked all the same', async () => {
  const text = `${PROVIDERS}routes:\n  a: {targets: [openai/x], hedge: {aftr: 1s}}\ncache: {store: disk}\n`
  const loaded = await parseConfig(text, 'understudy.yaml', { env: ENV })
  assert.ok(!loaded.ok)
  assert.deepEqual(
    loaded.problems.map(({ path, message }) => `${formatPath(path)}  ${message}`),
    [
      'routes.a.hedge.after  is missing; expected a duration such as "250ms", "2s", "5m" or "24h"',
      'routes.a.hedge.aftr  unknown key (did you mean "after"?)',
      'cache.store  expected one of state, memory, found "disk"',
    ],
  )
})

test('all types of providers that are built are accepted', async () => {
  const built = PROVIDER_TYPES.filter(type => providers.has(type))
  const lines = built.map(type => `  my-${type}: {type: ${type}, base_url: http://a/v1}\n`)
  assert.equal(lines.length, providers.size)
  await accepted(`${PROVIDERS}${lines.join('')}${ROUTES}`)
})
