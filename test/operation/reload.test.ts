/* A configuration that changes while the gateway runs, as a process of its own. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readStream, until } from '../support/running.ts'
import { during, LISTEN, type Started, startedFrom } from '../support/started.ts'

/** A route `r` that says who answers, by the name of its simulator. */
const saying = (name: string, more = '') => `${LISTEN}
simulators: [{name: ${name}, answer: "this is ${name}"}]
providers: {p: {type: openai-compatible, base_url: "simulator:${name}/v1"}}
routes: {r: [p/m]}
${more}`

async function answer(gateway: Started, body: object = {}, headers = {}): Promise<string> {
  const response = await gateway.call({ model: 'r', ...body }, headers)
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text).choices[0].message.content
}

test('a file that is written in place, and one that is put in its place, are noticed by themselves', () =>
  during(saying('one'), async gateway => {
    assert.equal(await answer(gateway), 'this is one')
    await gateway.write(saying('two'))
    await until('the second counts', async () => (await answer(gateway)) === 'this is two')
    await writeFile(`${gateway.file}.new`, saying('three'))
    await rename(`${gateway.file}.new`, gateway.file)
    await until('the third counts', async () => (await answer(gateway)) === 'this is three')
    assert.equal(await gateway.metric('llm_config_reloads_total', '"applied"'), 2)
    const { last_reload: last } = await gateway.admin('/admin/config')
    assert.deepEqual([last.why, last.result, last.problems], ['file', 'applied', []])
    // The same text again is no change.
    await gateway.write(saying('three'))
    await new Promise(resolve => setTimeout(resolve, 1_500))
    assert.equal(await gateway.metric('llm_config_reloads_total', '"applied"'), 2)
  }))

test('a mounted volume whose links are exchanged is noticed, as Kubernetes does it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-test-'))
  for (const [version, name] of [
    ['..v1', 'one'],
    ['..v2', 'two'],
  ] as const) {
    await mkdir(join(folder, version))
    await writeFile(join(folder, version, 'understudy.yaml'), saying(name))
  }
  await symlink('..v1', join(folder, '..data'))
  await symlink('..data/understudy.yaml', join(folder, 'understudy.yaml'))
  const gateway = await startedFrom(folder, join(folder, 'understudy.yaml'))
  try {
    assert.equal(await answer(gateway), 'this is one')
    await symlink('..v2', join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    await until('the second counts', async () => (await answer(gateway)) === 'this is two')
  } finally {
    await gateway.close()
  }
})

test('a bad configuration changes nothing, and log, admin API and metric say what is wrong, with line and column', () =>
  during(saying('one'), async gateway => {
    const bad = saying('two').replace('routes: {r: [p/m]}', 'routes: {r: [q/m]}')
    await gateway.write(bad)
    await until('it is refused', async () => (await gateway.metric('llm_config_reloads_total', '"refused"')) === 1)
    assert.equal(await answer(gateway), 'this is one')
    const { last_reload: last, config } = await gateway.admin('/admin/config')
    assert.equal(last.result, 'refused')
    assert.deepEqual(
      last.problems.map(({ line, column, path }: any) => [line, column, path]),
      [[6, 14, 'routes.r[0]']],
    )
    assert.equal(last.problems[0].text, `${gateway.file}:6:14  routes.r[0]  there is no provider "q"`)
    assert.deepEqual(Object.keys(config.providers), ['p'])
    await until('the log is written', () => gateway.logs().some(({ msg }) => msg === 'config'))
    const lines = gateway.logs().filter(({ msg }) => msg === 'config')
    assert.deepEqual([lines.length, lines[0]!.result, lines[0]!.problems.length], [1, 'refused', 1])

    // What was sent by hand is told at once.
    const told = await gateway.admin('/admin/reload', 'POST')
    assert.deepEqual([told.result, told.problems[0].line], ['refused', 6])
    await gateway.write('routes: [')
    await until('that is refused, too', async () => (await gateway.metric('llm_config_reloads_total', '"refused"')) === 3)
    await gateway.write(saying('two'))
    await until('a good one counts', async () => (await answer(gateway)) === 'this is two')
  }))

test('SIGHUP and POST /admin/reload read the file again', () =>
  during(saying('one'), async gateway => {
    gateway.child.kill('SIGHUP')
    await until('it was read', async () => (await gateway.admin('/admin/config')).last_reload?.why === 'signal')
    const told = await gateway.admin('/admin/reload', 'POST')
    assert.deepEqual([told.why, told.result, told.problems, told.needs_restart], ['admin', 'applied', [], []])
    assert.equal(await answer(gateway), 'this is one')
  }))

test('circuits, keys at rest, speed, levels, limits, kept answers and spend live on', () => {
  const yaml = (script: string, deadline: string) => `${LISTEN}
simulators: [{name: a, script: ${script}}, {name: b, answer: "from b"}]
providers:
  a: {type: openai-compatible, base_url: "simulator:a/v1", keys: [one, two], retry: {attempts: 0}, circuit: {open: 5m}}
  b: {type: openai-compatible, base_url: "simulator:b/v1", models: {m: {price: {input: 1000, output: 1000}}}}
routes:
  r: {targets: [a/m], fallbacks: [b/m], deadline: ${deadline}}
  cached: {targets: [b/m], cache: {ttl: 1h}, degrade: [{level: offline, message: away}]}
clients: [{name: team, key: key-of-team, rpm: 1000, budget: {usd: 100, per: month}}]
`
  return during(yaml('[{status: 500}]', '2m'), async gateway => {
    const mine = { authorization: 'Bearer key-of-team' }
    for (let round = 0; round < 4; round++) assert.equal(await answer(gateway, {}, mine), 'from b')
    await answer(gateway, { model: 'cached' }, mine)
    await gateway.admin('/admin/keys/a/key-2', 'POST', { state: 'retire' })
    const before = await Promise.all(['/admin/circuits', '/admin/spend', '/admin/targets'].map(path => gateway.admin(path)))
    assert.equal(before[0].circuits[0].state, 'open')
    assert.ok(before[1].clients[0].usd > 0)

    await gateway.write(yaml('[]', '1m'))
    await gateway.admin('/admin/reload', 'POST')
    assert.equal((await gateway.admin('/admin/config')).config.routes.r.deadline, 60_000)
    const after = await Promise.all(['/admin/circuits', '/admin/spend', '/admin/targets'].map(path => gateway.admin(path)))
    assert.deepEqual(after[0], before[0])
    assert.deepEqual(after[1], before[1])
    const speed = (view: any) => view.targets.find(({ target }: any) => target === 'b/m').first_token_ms.whole.recent
    assert.ok(speed(after[2]) > 0 && speed(after[2]) <= speed(before[2]))
    assert.deepEqual(
      (await gateway.admin('/admin/keys')).keys.map(({ name, state }: any) => [name, state]),
      [
        ['key-1', 'ready'],
        ['key-2', 'retired'],
        ['none', 'ready'],
      ],
    )
    assert.equal(await answer(gateway, {}, mine), 'from b')
    const again = await gateway.call({ model: 'cached' }, mine)
    assert.equal(again.headers.get('x-understudy-cache'), 'hit')
    assert.ok(Number(again.headers.get('x-ratelimit-remaining-requests')) < 995)
  })
})

test('a call that is under way goes on with what it began with, and what only it needs is closed after it', () =>
  during(saying('one', 'telemetry: {headers: full}').replace('{name: one,', '{name: one, token_delay: 150ms,'), async gateway => {
    const stream = await gateway.call({ model: 'r', stream: true })
    await gateway.write(saying('two').replace('p: {', 'another: {').replace('[p/m]', '[another/m]'))
    assert.equal((await gateway.admin('/admin/reload', 'POST')).result, 'applied')
    assert.equal(await answer(gateway), 'this is two')
    const { text, done } = await readStream(stream)
    assert.deepEqual([text, done], ['this is one', true])
    const gone = await gateway.call({ model: 'p/m' })
    assert.equal(gone.status, 404)
    assert.deepEqual(
      (await gateway.admin('/admin/targets')).targets.map(({ target }: any) => target),
      ['another/m'],
    )
    assert.equal(await gateway.metric('llm_circuit_state', 'provider="p"'), 0)
    assert.doesNotMatch(await (await fetch(`${gateway.adminUrl}/metrics`)).text(), /llm_circuit_state\{provider="p"/)
  }))

test('what a process has for its whole life is told to need a restart, and the rest counts', () =>
  during(saying('one'), async gateway => {
    const next = saying('two').replace('{listen: "127.0.0.1:0"}', '{listen: "127.0.0.1:1", max_body: 1MB, drain: 5s}')
    await gateway.write(next)
    const told = await gateway.admin('/admin/reload', 'POST')
    assert.deepEqual([told.result, told.needs_restart], ['applied', ['server.listen', 'server.max_body']])
    assert.equal(await answer(gateway), 'this is two')
    assert.deepEqual((await gateway.admin('/admin/config')).needs_restart, ['server.listen', 'server.max_body'])
  }))

test('who listens for others does not come to serve everybody by a change of its file', () => {
  const reachable = (clients: string) =>
    saying('one', clients).replace('server: {listen: "127.0.0.1:0"}', 'server: {listen: "0.0.0.0:0"}')
  return during(reachable('clients: [{name: a, key: key-of-a}]'), async gateway => {
    await gateway.write(saying('one'))
    const told = await gateway.admin('/admin/reload', 'POST')
    assert.equal(told.result, 'refused')
    assert.match(told.problems[0].message, /needs a restart/)
    const at = gateway.url.replace('0.0.0.0', '127.0.0.1')
    const response = await fetch(`${at}/v1/models`)
    assert.equal(response.status, 401)
  })
})

test('the token of the admin API is changed like anything else', () =>
  during(saying('one'), async gateway => {
    await gateway.write(saying('one').replace('the-token', 'another-token'))
    assert.equal((await gateway.admin('/admin/reload', 'POST')).result, 'applied')
    assert.equal((await gateway.admin('/admin/circuits')).error.code, 'invalid_api_key')
    const shown = await fetch(`${gateway.adminUrl}/admin/circuits`, { headers: { authorization: 'Bearer another-token' } })
    assert.equal(shown.status, 200)
  }))

test('a secret that has changed is read again at once when its key is refused, and counts as a new key', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-test-'))
  await writeFile(join(folder, 'secret'), 'old-key-of-p\n')
  await writeFile(
    join(folder, 'understudy.yaml'),
    saying('one', 'telemetry: {headers: full}')
      .replace('{name: one,', '{name: one, script: [{calls: [2, 2], status: 401}],')
      .replace('base_url', 'keys: ["file:./secret"], base_url'),
  )
  const gateway = await startedFrom(folder, join(folder, 'understudy.yaml'))
  try {
    await answer(gateway)
    await writeFile(join(folder, 'secret'), 'new-key-of-p\n')
    const refused = await gateway.call({ model: 'r' })
    assert.equal(refused.status, 502)
    await until('the new one counts', async () => (await gateway.admin('/admin/config')).last_reload?.why === 'secrets')
    assert.deepEqual(
      (await gateway.admin('/admin/keys')).keys.map(({ name, state }: any) => [name, state]),
      [['key-1', 'ready']],
    )
    await answer(gateway)
    assert.equal(await gateway.metric('llm_key_state', 'key="key-1"'), 0)
    assert.doesNotMatch(JSON.stringify(gateway.logs()), /(old|new)-key-of-p/)
    assert.doesNotMatch(JSON.stringify(await gateway.admin('/admin/config')), /(old|new)-key-of-p/)
  } finally {
    await gateway.close()
  }
})

test('30 changes under load, with streams: no call fails', () => {
  const yaml = (round: number) => `${LISTEN}
simulators: [{name: a, answer: "one two three four five"}, {name: b${round % 3}, speaks: anthropic, token_delay: 20ms, answer: "one two three four five"}]
providers:
  a: {type: openai-compatible, base_url: "simulator:a/v1", timeouts: {connect: ${2 + (round % 2)}s}}
  b: {type: anthropic, keys: [key-${round}], base_url: "simulator:b${round % 3}"}
routes:
  r: {choose: weighted, targets: [a/m, {target: b/m, weight: ${1 + (round % 5)}}], deadline: ${60 + round}s}
`
  return during(yaml(0), async gateway => {
    let isOver = false
    let calls = 0
    const failures: string[] = []
    async function caller(stream: boolean): Promise<void> {
      while (!isOver) {
        calls++
        const response = await gateway.call({ model: 'r', stream })
        if (stream) {
          const { text, done } = await readStream(response)
          if (text !== 'one two three four five' || !done) failures.push(`a stream: ${text}`)
        } else {
          const text = await response.text()
          if (response.status !== 200) failures.push(text)
        }
      }
    }
    const callers = [...Array.from({ length: 6 }, () => caller(true)), ...Array.from({ length: 4 }, () => caller(false))]
    for (let round = 1; round <= 30; round++) {
      await gateway.write(yaml(round))
      const { result, problems } = await gateway.admin('/admin/reload', 'POST')
      assert.equal(result, 'applied', JSON.stringify(problems))
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    isOver = true
    await Promise.all(callers)
    assert.deepEqual(failures, [])
    assert.ok(calls > 300, `${calls} calls`)
    assert.equal(await gateway.metric('llm_requests_total', 'status="200"'), calls)
    assert.ok((await gateway.metric('llm_config_reloads_total', '"applied"')) >= 30)
    // Only what counts now is left: nothing answers at the addresses of before.
    const { providers } = (await gateway.admin('/admin/config')).config
    assert.equal(providers.b.base_url, 'simulator:b0')
  })
})
