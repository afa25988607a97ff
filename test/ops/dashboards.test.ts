/* The dashboards as files: what Grafana would make of them. What they show is tested in under-faults.test.ts. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { METRICS } from '../../src/telemetry/metrics.ts'
import { metricsIn, unknownIn } from './metric-names.ts'
import { DASHBOARDS, dashboards } from './panels.ts'

const PANELS = new Set(['row', 'timeseries', 'stat', 'table', 'bargauge'])

const all = dashboards()
const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

describe('the files of the dashboards', () => {
  it('are named for their uids, which nobody else has', () => {
    assert.ok(all.length >= 3)
    for (const { file, uid } of all) assert.equal(file, `${uid}.json`)
  })

  it('are where the provisioning says', () => {
    const { providers } = parse(read('grafana/provisioning/dashboards/understudy.yml'))
    const compose = parse(read('docker-compose.yml'))
    const mounted = compose.services.grafana.volumes.map((volume: string) => volume.split(':'))
    const [here] = mounted.find(([, there]: string[]) => there === providers[0].options.path)
    assert.equal(join(fileURLToPath(new URL('../..', import.meta.url)), here), DASHBOARDS)
    const home = compose.services.grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH
    assert.ok(existsSync(join(DASHBOARDS, home.slice(providers[0].options.path.length + 1))))
  })

  for (const dashboard of all) {
    describe(dashboard.title, () => {
      const { panels } = dashboard

      it('is of a schema that Grafana 12 and 13 read, with panels of today', () => {
        assert.equal(dashboard.schemaVersion, 41)
        for (const { type, title } of panels) assert.ok(PANELS.has(type), `${title}: ${type}`)
      })

      it('has panels with ids of their own, titles of their own, and units', () => {
        assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
        assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length)
        for (const { type, title, fieldConfig } of panels) {
          if (type !== 'row') assert.ok(fieldConfig?.defaults.unit, `${title} has a unit`)
        }
      })

      it('has panels that lie in its 24 columns and not on each other', () => {
        const taken = new Map<string, string>()
        for (const { title, gridPos } of panels) {
          assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title)
          for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
            for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
              assert.equal(taken.get(`${x},${y}`), undefined, `${title} lies on another`)
              taken.set(`${x},${y}`, title)
            }
          }
        }
      })

      it('asks the Prometheus that is chosen above it, and nobody else', () => {
        const sources: string[] = []
        JSON.stringify(dashboard, (key, value) => {
          if (key === 'datasource') sources.push(JSON.stringify(value))
          return value
        })
        assert.ok(sources.length > panels.length)
        const chosen = '$' + '{datasource}'
        assert.deepEqual([...new Set(sources)], [JSON.stringify({ type: 'prometheus', uid: chosen })])
      })

      it('leads only to dashboards that there are', () => {
        const urls = all.map(({ uid }) => `/d/${uid}`)
        for (const { url } of dashboard.links) assert.ok(urls.includes(url), url)
      })

      it('names only metrics and labels that there are', () => {
        for (const { title, targets = [] } of panels) {
          for (const { expr } of targets) assert.deepEqual(unknownIn(expr), [], title)
        }
      })
    })
  }

  it('show every metric of the gateway somewhere', () => {
    const asked = new Set(
      all.flatMap(({ panels }) => panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr)))),
    )
    assert.deepEqual(
      Object.keys(METRICS).filter(name => !asked.has(name)),
      [],
    )
  })
})
