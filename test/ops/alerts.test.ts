/* The alerts: sound, firing when they should, each with its runbook; and what the runbooks tell to type is there. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { noPrometheus } from '../support/prometheus-server.ts'
import { running } from '../support/running.ts'
import { unknownIn } from './metric-names.ts'

const execute = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8')

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

const GATEWAY = `
admin: { token: operator }
simulators: [{ name: s }]
providers: { p: { type: openai-compatible, base_url: "simulator:s/v1", keys: [key-of-p] } }
routes: { r: [p/m] }
`

const alerts: readonly Alert[] = parse(read('config/alerts.yml')).groups.flatMap(({ rules }: { rules: Alert[] }) => rules)

const text = read('docs/runbooks.md')

/** By heading: what stands below it. */
const sections = new Map(
  text
    .split(/^## /m)
    .slice(1)
    .map(section => [section.slice(0, section.indexOf('\n')), section]),
)
const runbooks = new Map([...sections].filter(([heading]) => heading.startsWith('Understudy')))

describe('the alerts', () => {
  for (const { alert, expr, labels, annotations } of alerts) {
    it(`${alert} says how bad it is, what it is, and where its runbook is`, () => {
      assert.ok(['critical', 'warning'].includes(labels.severity!), labels.severity)
      assert.ok(annotations.summary!.length > 20)
      assert.equal(annotations.runbook, `docs/runbooks.md#${alert.toLowerCase()}`)
    })

    it(`${alert} names only metrics and labels that there are`, () => {
      assert.deepEqual(unknownIn(expr), [])
    })
  }

  it('have a runbook each, and no runbook is without its alert', () => {
    assert.ok(alerts.length >= 12)
    assert.deepEqual(
      [...runbooks.keys()],
      alerts.map(({ alert }) => alert),
    )
  })

  it('are each made to fire by a test, and kept still by the same or another', () => {
    const cases = parse(read('test/ops/alerts.test.yml')).tests.flatMap((one: any) => one.alert_rule_test)
    for (const { alert } of alerts) {
      assert.ok(
        cases.some(({ alertname, exp_alerts }: any) => alertname === alert && exp_alerts.length > 0),
        alert,
      )
    }
  })

  it('hold for promtool, and so does the configuration of Prometheus', { skip: noPrometheus }, async () => {
    await execute('promtool', ['check', 'config', 'config/prometheus.yml'], { cwd: ROOT })
    await execute('promtool', ['check', 'rules', 'config/alerts.yml'], { cwd: ROOT })
  })

  it('fire when they should, and only then', { skip: noPrometheus }, async () => {
    const { stdout } = await execute('promtool', ['test', 'rules', 'test/ops/alerts.test.yml'], { cwd: ROOT })
    assert.match(stdout, /SUCCESS/)
  })
})

describe('the runbooks', () => {
  for (const [heading, section] of runbooks) {
    it(`${heading} says what it means, what to look at and what to do`, () => {
      const parts = [...section.matchAll(/^### (.+)$/gm)].map(([, part]) => part)
      assert.deepEqual(parts, ['What it means', 'What to look at', 'What to do'])
      assert.match(section, /```sh\n/)
      assert.match(section, /```promql\n/)
    })

    it(`${heading} asks for metrics and labels that there are`, () => {
      const queries = [...section.matchAll(/```promql\n([^`]*)```/g)].map(([, query]) => query!)
      for (const query of queries) assert.deepEqual(unknownIn(query), [])
    })
  }

  it('have queries that Prometheus understands', { skip: noPrometheus }, async () => {
    const queries = [...text.matchAll(/```promql\n([^`]*)```/g)].flatMap(([, block]) => block!.trim().split('\n'))
    assert.ok(queries.length > 20)
    const folder = await mkdtemp(join(tmpdir(), 'understudy-runbooks-'))
    try {
      // promtool checks what stands in a rule.
      const rules = queries.map((expr, at) => ({ record: `query_${at}`, expr }))
      await writeFile(join(folder, 'rules.yml'), JSON.stringify({ groups: [{ name: 'runbooks', rules }] }))
      const { stdout } = await execute('promtool', ['check', 'rules', join(folder, 'rules.yml')])
      assert.match(stdout, new RegExp(`${queries.length} rules found`))
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('ask the admin API for what it has', async () => {
    const gateway = await running(GATEWAY)
    try {
      const asked = [...text.matchAll(/admin (?:-X (\w+) )?"?\$ADMIN(\/[^\s"?`]*)[^\s`]*( -d)?/g)].map(
        ([, method, path, body]) => `${method ?? (body === undefined ? 'GET' : 'POST')} ${path}`,
      )
      assert.ok(asked.length > 10)
      const missing: string[] = []
      for (const one of new Set(asked)) {
        const [method, path] = one.split(' ') as [string, string]
        const real = path.replace('PROVIDER/MODEL', 'p/m').replace('PROVIDER/KEY', 'p/key-1').replace('ROUTE', 'r')
        const headers = { authorization: 'Bearer operator', 'content-type': 'application/json' }
        const { status } = await fetch(gateway.adminUrl + real, { method, headers, ...(method !== 'GET' && { body: '{}' }) })
        if (status === 404) missing.push(one)
      }
      assert.deepEqual(missing, [])
    } finally {
      await gateway.close()
    }
  })
})
