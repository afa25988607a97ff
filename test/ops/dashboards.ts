/** Prints each dashboard's panels with what they show of a gateway under faults: `npm run dashboards`. */
import { type Answered, noPrometheus } from '../support/prometheus-server.ts'
import { dashboards, numbers, type Query, shown } from './panels.ts'
import { watchedUnderFaults } from './under-faults.ts'

/** Series of one query that are printed; the rest are counted. */
const MOST = 8

const rounded = (value: number) => String(Number(value.toPrecision(4)))

/** A series by its legend, or by its labels where it has none. */
function named({ legendFormat }: Query, { labels }: Answered): string {
  if (legendFormat.includes('{{')) return legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '')
  if (legendFormat !== '__auto') return legendFormat
  return Object.values(labels).join(' ')
}

/** What is drawn of a series: for an instant its value, else from its least to its most. */
function drawn(series: Answered): string {
  const values = numbers([series])
  if (values.length === 0) return 'nothing'
  const [least, most] = [Math.min(...values), Math.max(...values)].map(rounded)
  return least === most ? least! : `${least} … ${most}`
}

if (noPrometheus) throw new Error(noPrometheus)
const lines: string[] = []
const watched = await watchedUnderFaults()
try {
  for (const dashboard of dashboards()) {
    lines.push('', dashboard.title)
    for (const panel of dashboard.panels) {
      if (panel.type === 'row') lines.push('', `  ${panel.title}`)
      for (const query of panel.targets ?? []) {
        const answer = await shown(query, dashboard, watched)
        lines.push(`    ${panel.title} (${panel.fieldConfig?.defaults.unit})${answer.length === 0 ? ': no data' : ''}`)
        for (const series of answer.slice(0, MOST)) lines.push(`      ${drawn(series)}  ${named(query, series)}`.trimEnd())
        if (answer.length > MOST) lines.push(`      and ${answer.length - MOST} more`)
      }
    }
  }
} finally {
  await watched.close()
}
process.stdout.write(`${lines.join('\n')}\n`)
