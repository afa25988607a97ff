/* Several workers behind one listener, as processes, with a real Redis between them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { callLoad } from '../support/call-load.ts'
import { noRedis, type RedisServer, startRedis } from '../support/redis-server.ts'
import { readStream, until } from '../support/running.ts'
import { during, LISTEN, MAIN, type Started } from '../support/started.ts'

const TEXT = 'one two three four five'
const PER_SECOND = 80

/** Over a connection of its own, so that the workers get them in turns. */
const apart = { connection: 'close' }

async function workersOf({ child }: Started): Promise<readonly number[]> {
  const text = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
  return text.trim().split(' ').map(Number)
}

describe('workers', { skip: noRedis }, () => {
  let redis: RedisServer
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis?.stop())
  let gateways = 0

  const yaml = (server = '', simulator = 'token_delay: 20ms') => `
${LISTEN.replace('{listen: "127.0.0.1:0"}', `{listen: "127.0.0.1:0", workers: 2${server}}`)}
state: {redis: "${redis.url}", prefix: test-${++gateways}}
simulators: [{name: s, answer: ${TEXT}, ${simulator}}, {name: other, answer: ${TEXT}}]
providers:
  p: {type: openai-compatible, base_url: "simulator:s/v1", retry: {attempts: 0}, circuit: {failures: 3, open: 5m}}
  other: {type: openai-compatible, base_url: "simulator:other/v1"}
routes: {r: {targets: [p/m], fallbacks: [other/m]}}
`

  test('two share a port, a circuit, one set of metrics and one log', () =>
    during(yaml('', 'script: [{status: 500}]'), async gateway => {
      assert.equal((await workersOf(gateway)).length, 2)
      const calls = 40
      for (let call = 0; call < calls; call++) {
        const response = await gateway.call({ model: 'r' }, apart)
        assert.equal(response.status, 200, await response.text())
      }
      assert.equal(await gateway.metric('llm_requests_total'), calls)
      const failed = await gateway.metric('llm_errors_total', 'provider="p"')
      // Each opens it after three failures of its own, or hears that it is open.
      assert.ok(failed >= 3 && failed <= 6, `${failed} failures`)
      assert.equal(await gateway.metric('llm_attempts_total', 'passed-over:circuit-open'), calls - failed)
      assert.equal(await gateway.metric('llm_circuit_state', 'provider="p"'), 2)
      assert.equal(await gateway.metric('llm_in_flight'), 0)
      const { requests } = await gateway.admin('/admin/requests')
      assert.equal(requests.length, calls)
      assert.equal((await gateway.admin(`/admin/requests/${requests[0].id}`)).id, requests[0].id)
      await until('all is logged', () => gateway.logs().filter(({ msg }) => msg === 'call').length === calls)

      // What operators order holds for both.
      await gateway.admin('/admin/circuits/other/m', 'POST', { state: 'open' })
      await gateway.admin('/admin/circuits/p/m', 'POST', { state: 'open' })
      for (let call = 0; call < 4; call++) assert.equal((await gateway.call({ model: 'r' }, apart)).status, 503)
      const open = await fetch(`${gateway.adminUrl}/admin/circuits`)
      assert.equal(open.status, 401)
      assert.equal((await fetch(`${gateway.adminUrl}/ready`)).status, 200)
      const examples = await fetch(`${gateway.adminUrl}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
      assert.match(await examples.text(), /# EOF\n$/)
    }))

  test('the reading of a new file reaches both, and a bad one neither', () =>
    during(yaml(), async gateway => {
      await gateway.write(
        yaml()
          .replaceAll(`answer: ${TEXT}`, 'answer: something else')
          .replace(/test-\d+/, `test-${gateways - 1}`),
      )
      const told = await gateway.admin('/admin/reload', 'POST')
      assert.equal(told.result, 'applied')
      const said = async () => {
        const answers = await Promise.all([1, 2, 3, 4].map(() => gateway.call({ model: 'r' }, apart)))
        return Promise.all(answers.map(async answer => ((await answer.json()) as any).choices[0].message.content))
      }
      assert.deepEqual(new Set(await said()), new Set(['something else']))
      await gateway.write('routes: [')
      assert.equal((await gateway.admin('/admin/reload', 'POST')).result, 'refused')
      const pids = await workersOf(gateway)
      gateway.child.kill('SIGHUP')
      await until('it is refused', async () => (await gateway.metric('llm_config_reloads_total', 'refused')) >= 4)
      assert.deepEqual(await workersOf(gateway), pids)
      assert.deepEqual(new Set(await said()), new Set(['something else']))
    }))

  test('one that is killed under load takes only its own calls with it, and another takes its place', () =>
    during(yaml(), async gateway => {
      const load = callLoad({ url: gateway.url, perSecond: PER_SECOND, text: TEXT })
      await until('there is load', () => load.begun() > PER_SECOND, 10_000)
      const [first, second] = await workersOf(gateway)
      const underWay = load.underWay()
      process.kill(first!, 'SIGKILL')
      await until('another is ready', () => gateway.logs().some(({ msg }) => msg === 'worker ready'), 20_000)
      const begun = load.begun()
      await until('it works', () => load.begun() > begun + PER_SECOND, 10_000)
      const { failed, answered, asked } = await load.stop()
      assert.ok(failed.length <= underWay, `${failed.length} failed, ${underWay} were under way: ${failed}`)
      assert.equal(answered + failed.length, load.begun())
      assert.deepEqual(asked, {})
      const pids = await workersOf(gateway)
      assert.equal(pids.length, 2)
      assert.ok(pids.includes(second!) && !pids.includes(first!))
    }))

  test('all that are killed at once are replaced, and who calls meanwhile waits for them', () =>
    during(yaml(), async gateway => {
      for (const pid of await workersOf(gateway)) process.kill(pid, 'SIGKILL')
      await until('they are gone', async () => (await fetch(`${gateway.adminUrl}/ready`)).status === 503)
      const response = await gateway.call({ model: 'r' }, apart)
      assert.equal(response.status, 200)
    }))

  test('SIGHUP exchanges the workers for what they have for life, under load, and no call fails', () =>
    during(yaml(', max_body: 1MB'), async gateway => {
      const load = callLoad({ url: gateway.url, perSecond: PER_SECOND, text: TEXT })
      await until('there is load', () => load.begun() > PER_SECOND, 10_000)
      const old = await workersOf(gateway)
      await gateway.write((await readFile(gateway.file, 'utf8')).replace('max_body: 1MB', 'max_body: 2MB'))
      gateway.child.kill('SIGHUP')
      await until('all are new', async () => !(await workersOf(gateway)).some(pid => old.includes(pid)), 30_000)
      const { failed, asked, crossed, answered } = await load.stop()
      assert.deepEqual([failed, asked], [[], {}])
      assert.ok(crossed <= 2, `${crossed} crossed`)
      assert.equal((await workersOf(gateway)).length, 2)
      const { needs_restart: needsRestart, config } = await gateway.admin('/admin/config')
      assert.deepEqual([needsRestart, config.server.max_body], [[], 2 * 1024 * 1024])
      // What those counted that are gone is still counted.
      assert.equal(await gateway.metric('llm_requests_total'), answered + crossed)
    }))

  test('a file that would leave them without Redis changes nothing', () =>
    during(yaml(', max_body: 1MB'), async gateway => {
      const old = await workersOf(gateway)
      const text = await readFile(gateway.file, 'utf8')
      await gateway.write(text.replace('max_body: 1MB', 'max_body: 2MB').replace(/redis: "[^"]+"/, 'file: /nowhere/at/all'))
      gateway.child.kill('SIGHUP')
      await until('it is refused', async () => (await gateway.metric('llm_config_reloads_total', 'refused')) >= 2)
      assert.deepEqual(await workersOf(gateway), old)
      assert.equal((await gateway.call({ model: 'r' }, apart)).status, 200)
    }))

  test('SIGTERM lets streams come to their end, refuses what is new, and ends all with 0', () =>
    during(yaml('', 'token_delay: 200ms'), async gateway => {
      const open = await Promise.all([1, 2, 3, 4].map(() => gateway.call({ model: 'r', stream: true }, apart)))
      const pids = await workersOf(gateway)
      gateway.child.kill('SIGTERM')
      await until('it drains', async () => (await fetch(`${gateway.adminUrl}/ready`)).status === 503)
      const refused = await gateway.call({ model: 'r' }, apart)
      assert.deepEqual([refused.status, refused.headers.get('x-should-retry')], [503, 'true'])
      for (const { text, done } of await Promise.all(open.map(readStream))) assert.deepEqual([text, done], [TEXT, true])
      assert.equal(await gateway.ended, 0)
      for (const pid of pids) assert.throws(() => process.kill(pid, 0))
      assert.equal(gateway.logs().filter(({ msg }) => msg === 'call').length, 5)
    }))

  test('one that ends before it is ready, for whatever reason, ends all with an error', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'understudy-test-'))
    const file = join(folder, 'understudy.yaml')
    await writeFile(file, yaml())
    const endings = { 'process.exit(0)': 70, "process.kill(process.pid, 'SIGKILL')": 70, 'process.exit(3)': 3 }
    for (const [ending, expected] of Object.entries(endings)) {
      const loaded = `data:text/javascript,if (process.argv[1].endsWith('worker.ts')) ${ending}`
      const child = spawn(process.execPath, ['--import', loaded, MAIN, 'serve', '--config', file], {
        env: { PATH: process.env.PATH },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let out = ''
      child.stdout.on('data', chunk => (out += chunk))
      const code = await new Promise(resolve => child.once('close', resolve))
      assert.equal(code, expected, ending)
      assert.match(out, /"msg":"worker (ended|not ready)"/, ending)
    }
    await rm(folder, { recursive: true })
  })

  test('a second signal means now, and a primary that is killed leaves nobody behind', async () => {
    await during(yaml(', drain: 1m', 'script: [{stall_after: 2}]'), async gateway => {
      const open = await gateway.call({ model: 'r', stream: true }, apart)
      gateway.child.kill('SIGTERM')
      await until('it drains', async () => (await fetch(`${gateway.adminUrl}/ready`)).status === 503)
      gateway.child.kill('SIGTERM')
      assert.equal((await readStream(open)).error?.code, 'draining')
      assert.equal(await gateway.ended, 0)
    })
    await during(yaml(), async gateway => {
      const pids = await workersOf(gateway)
      gateway.child.kill('SIGKILL')
      await gateway.ended
      const isThere = (pid: number) => {
        try {
          return process.kill(pid, 0)
        } catch {
          return false
        }
      }
      await until('they are gone', () => !pids.some(isThere), 10_000)
    })
  })
})
