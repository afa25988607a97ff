/* A gateway to which everything has happened, and what is to be seen of it: every panel shows something, and the alerts know what is wrong. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { noPrometheus } from '../support/prometheus-server.ts'
import { dashboards, filledIn, numbers, shown } from './panels.ts'
import { type Watched, watchedUnderFaults } from './under-faults.ts'

/** What is nothing as long as nothing happens to the gateway itself, and nothing does here. */
const CALM = new Set(['Restarts', 'Redis', 'Reloads of the configuration'])

/** The alerts that have a reason here, were it to last, and what they name. */
const ALARMED: Readonly<Record<string, readonly object[]>> = {
  UnderstudyErrorRate: [{ route: 'broken' }, { route: 'exhausted' }],
  UnderstudyRouteOut: [{ route: 'degraded' }, { route: 'exhausted' }],
  UnderstudyCircuitOpen: [{ provider: 'overloaded', model: 'm' }],
  UnderstudyKeyRetired: [{ provider: 'refused', key: 'key-1' }],
}

const all = dashboards()
const alerts = parse(readFileSync(fileURLToPath(new URL('../../config/alerts.yml', import.meta.url)), 'utf8')).groups[0].rules

describe('a gateway under faults', { skip: noPrometheus }, () => {
  let watched: Watched
  before(async () => {
    watched = await watchedUnderFaults()
  })
  after(() => watched?.close())

  for (const dashboard of all) {
    for (const { title, targets = [] } of dashboard.panels) {
      for (const query of targets) {
        it(`${dashboard.title}: ${title}${targets.length > 1 ? `, ${query.refId}` : ''}`, async () => {
          const seen = numbers(await shown(query, dashboard, watched))
          assert.ok(seen.length > 0, `no data for ${query.expr}`)
          if (!CALM.has(title))
            assert.ok(
              seen.some(value => value !== 0),
              `nothing but 0 for ${query.expr}`,
            )
        })
      }
    }

    for (const { name, definition } of dashboard.templating.list) {
      if (definition === undefined) continue
      it(`${dashboard.title}: the choices of ${name}`, async () => {
        const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(definition)!
        const choices = await watched.prometheus.instant(
          filledIn(`count by (${label}) (${selector})`, dashboard, watched),
          watched.to,
        )
        assert.ok(choices.length > 0)
      })
    }
  }

  it('a choice narrows a panel down', async () => {
    const dashboard = all.find(({ uid }) => uid === 'understudy')!
    const { targets } = dashboard.panels.find(({ title }) => title === 'From where to where')!
    const expr = filledIn(targets![0]!.expr, dashboard, watched, { route: '(chat|spliced)', provider: 'cut' })
    const answer = await watched.prometheus.instant(expr, watched.to)
    assert.deepEqual(
      answer.map(({ labels }) => labels),
      [{ route: 'spliced', from: 'cut/m', to: 'steady/m', reason: 'upstream-truncated' }],
    )
  })

  for (const { alert, expr } of alerts) {
    it(`${alert}: what it has to say`, async () => {
      const answer = await watched.prometheus.instant(expr, watched.to)
      const named = answer.map(({ labels }) => labels)
      if (alert === 'UnderstudyFailoverRate') assert.ok(named.some(({ route }) => route === 'chat'))
      else assert.deepEqual(named.map(sorted).sort(), (ALARMED[alert] ?? []).map(sorted).sort())
    })
  }
})

const sorted = (labels: object) => JSON.stringify(Object.entries(labels).sort())
