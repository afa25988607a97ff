// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of the configuration, not of JavaScript
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { accepted, ENV, expectProblems, PROVIDERS, ROUTES } from './marked.ts'

const provider = (line: string) => `providers:\n  openai:\n    type: openai\n    ${line}\n${ROUTES}`

test('variables are put in inside any text, with a default where they are unset or empty', async () => {
  const env = { ...ENV, HOST: 'llm.example.com', EMPTY: '' }
  const config = await accepted(provider('base_url: https://${HOST}:${PORT:-8443}/${EMPTY:-v1}${EMPTY}'), { env })
  assert.equal(config.providers.openai?.base_url, 'https://llm.example.com:8443/v1')
})

test('$${NAME} is the text itself', async () => {
  const config = await accepted(provider('headers: {x-template: "$${NAME}"}'))
  assert.deepEqual(config.providers.openai?.headers, { 'x-template': '${NAME}' })
})

test('env: gives a key, a number and a boolean alike', async () => {
  const text = `server: {open: '\${OPEN}'}\nproviders:\n  openai: {type: '\${TYPE}', keys: [{value: env:KEY, rpm: env:RPM, weight: '\${W:-2.5}'}]}\n${ROUTES}`
  const config = await accepted(text, { env: { KEY: '12345', RPM: '600', OPEN: 'true', TYPE: 'openai' } })
  const key = config.providers.openai?.keys[0]
  assert.equal(key?.value.reveal(), '12345')
  assert.equal(key?.rpm, 600)
  assert.equal(key?.weight, 2.5)
  assert.equal(config.server.open, true)
})

test('every missing variable is reported at its place, with the one that was meant', async () => {
  await expectProblems(
    `${provider('keys: [▸env:KEYS, {value: ▸file:/no/such/file}, ▸"${A}${B}"]\n    base_url: ▸https://${HOST}/v1')}`,
    [
      'providers.openai.keys[0]  the variable KEYS is not set (did you mean "KEY"?)',
      'providers.openai.keys[1].value  cannot read /no/such/file: there is no such file',
      'providers.openai.keys[2]  the variable A is not set; the variable B is not set',
      'providers.openai.base_url  the variable HOST is not set',
    ],
  )
})

test('an empty secret is reported, wherever it comes from', async () => {
  const env = { ...ENV, EMPTY: '' }
  await expectProblems(
    provider('keys: [▸env:EMPTY, ▸"${EMPTY}", ▸"", {value: ▸"${EMPTY:-}"}]'),
    [
      'providers.openai.keys[0]  the variable EMPTY is empty',
      'providers.openai.keys[1]  is empty',
      'providers.openai.keys[2]  is empty',
      'providers.openai.keys[3].value  is empty',
    ],
    { env },
  )
})

test('what is no name of a variable is refused', async () => {
  await expectProblems(provider('headers: {x: ▸"${A B}"}'), [
    'providers.openai.headers.x  "${…}" holds the name of a variable, as in ${NAME} or ${NAME:-default}; "$${" stands for the characters themselves',
  ])
})

test('what a variable holds is not taken for a further reference', async () => {
  const config = await accepted(PROVIDERS.replace('env:KEY', '"${KEY}"') + ROUTES, { env: { KEY: 'env:OTHER', OTHER: 'x' } })
  assert.equal(config.providers.openai?.keys[0]?.value.reveal(), 'env:OTHER')
})

test('a secret in the wrong place is reported without being shown', async () => {
  const secrets = { S1: 'sk-hidden-1', S2: 'sk-hidden-2/x', S3: 'sk-hidden\n3', S4: '0075310' }
  const text = `
server: {listen: env:S1, drain: env:S1, workers: env:S1}
admin: {token: env:S3}
providers:
  openai:
    type: env:S1
    base_url: env:S1
    keys: [env:S3, {name: env:S2, value: env:S1, rpm: env:S1, weight: env:S1}, {name: env:S2, value: x}]
    headers: {x: env:S3}
    timeouts: {idle: env:S1}
    retry: env:S1
  other: {type: openai, base_url: 'http://user:\${S1}@host/v1'}
routes:
  a: [env:S1, env:S2, env:S4]
  b: {targets: [openai/x], extra_attempts: env:S1, heartbeat: env:S1, choose: env:S4, sticky: env:S1, faults: {content-filtered: env:S4}, degrade: [{level: env:S1}]}
clients:
  - {name: env:S2, key: env:S3, routes: [env:S1]}
  - {name: env:S2, key_sha256: env:S1}
telemetry: {log: {level: env:S1}, traces: {endpoint: env:S1}}
simulators: [{name: env:S3}]
`
  const loaded = await loadText(text, secrets)
  assert.ok(!loaded.ok)
  assert.ok(loaded.problems.length > 25, `${loaded.problems.length} problems`)
  for (const problem of loaded.problems) assert.doesNotMatch(formatProblem(problem), /hidden|7531|\n/)
})

test('secrets do not show when a configuration is printed', async () => {
  const admin = { UNDERSTUDY_ADMIN_TOKEN: 'admin-token-1' }
  const config = await accepted(`${PROVIDERS}${ROUTES}clients: [{name: a, key: env:CLIENT_KEY}]\n`, { env: { ...ENV, ...admin } })
  const { inspect } = await import('node:util')
  for (const text of [JSON.stringify(config), inspect(config, { depth: 20 })]) {
    assert.doesNotMatch(text, /sk-upstream-1|client-key-1|admin-token-1/)
  }
})

async function loadText(text: string, env: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-config-'))
  try {
    const file = join(folder, 'understudy.yaml')
    await writeFile(file, text)
    return await loadConfig(file, { env })
  } finally {
    await rm(folder, { recursive: true })
  }
}
