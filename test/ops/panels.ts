/** The dashboards as Grafana reads them, and what their panels show of a Prometheus. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Answered } from '../support/prometheus-server.ts'
import type { Watched } from './under-faults.ts'

export const DASHBOARDS = fileURLToPath(new URL('../../grafana/dashboards', import.meta.url))

export interface Query {
  readonly refId: string
  readonly expr: string
  readonly instant: boolean
  readonly legendFormat: string
  readonly format?: string
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly targets?: readonly Query[]
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
}

export interface Variable {
  readonly name: string
  readonly type: string
  readonly definition?: string
  readonly allValue?: string
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly templating: { readonly list: readonly Variable[] }
  readonly links: readonly { readonly url: string }[]
  readonly panels: readonly Panel[]
}

/** Each with the name of its file. */
export const dashboards = (): readonly (Dashboard & { readonly file: string })[] =>
  readdirSync(DASHBOARDS)
    .sort()
    .map(file => ({ file, ...JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) }))

/** The variables of Grafana's own, as it sets them for scrapes every half second. */
const intervals = ({ from, to }: Watched) => ({ __rate_interval: '4s', __range: `${Math.ceil(to - from) + 1}s` })

/** An expression with its variables put in: `All`, unless a value is chosen. */
export function filledIn(
  expr: string,
  { templating }: Dashboard,
  watched: Watched,
  chosen: Readonly<Record<string, string>> = {},
): string {
  const all = Object.fromEntries(templating.list.map(({ name, allValue }) => [name, allValue]))
  const values: Readonly<Record<string, string | undefined>> = { ...all, ...intervals(watched), ...chosen }
  return expr.replace(/\$(\w+)/g, (whole, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`${whole} is no variable of this dashboard`)
    return value
  })
}

/** What Grafana would draw for a query over the time that was watched, with every variable at `All`. */
export function shown(query: Query, dashboard: Dashboard, watched: Watched): Promise<readonly Answered[]> {
  const { prometheus, from, to } = watched
  const expr = filledIn(query.expr, dashboard, watched)
  return query.instant ? prometheus.instant(expr, to) : prometheus.range(expr, from, to, 0.5)
}

/** The numbers of an answer; PromQL says NaN where it has divided nothing by nothing. */
export const numbers = (answer: readonly Answered[]): readonly number[] =>
  answer.flatMap(({ values }) => values.filter(value => !Number.isNaN(value)))
