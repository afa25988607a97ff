/** What a drill found, as a table, and what was wrong with it. */
import { type Cell, table } from '../config/summary.ts'
import type { Drill, Finding, Scenario } from './drill.ts'

export interface Reported {
  readonly text: string
  /** Whether every call was answered that somebody could have answered. */
  readonly isWell: boolean
}

export function drillReport({ findings, left }: Drill): Reported {
  const wrong = findings.filter(({ answered, calls, hadOthers }) => answered < calls && hadOthers)
  const rows: readonly (readonly Cell[])[] = [
    ['ROUTE', 'BROKEN', 'CALLS', 'ANSWERED', 'ADDED P50', 'ADDED P99', 'SERVED BY', 'CIRCUIT OPEN AFTER', 'BACK AFTER'],
    ...findings.map(row),
  ]
  const parts = [
    'Simulators stand in for every provider. Calls come one after the other; waiting that would show nothing is skipped and counted.',
    table(rows),
    ...wrong.map(
      ({ route, calls, answered, scenario }) =>
        `${route}: ${calls - answered} of ${calls} calls were not answered while ${broken(scenario)}, though another target could have`,
    ),
    ...(left.length > 0 ? [`Not run for want of time: ${left.map(broken).join('; ')}`] : []),
    wrong.length === 0
      ? 'Every call was answered that anybody could have answered.'
      : 'Calls were lost that another target could have answered.',
  ]
  return { text: `${parts.join('\n\n')}\n`, isWell: wrong.length === 0 }
}

function row(finding: Finding): readonly Cell[] {
  const { route, scenario, calls, answered, hadOthers, addedP50Ms, addedP99Ms, served, opened, backMs, servesUsually } = finding
  return [
    route,
    broken(scenario),
    String(calls),
    answered < calls && !hadOthers ? `${answered} (nobody else)` : String(answered),
    length(addedP50Ms),
    length(addedP99Ms),
    served.size === 0 ? '–' : [...served].map(([target, times]) => `${target} ${times}`),
    opened === undefined ? '–' : `${opened.calls} calls, ${length(opened.ms)}`,
    backMs !== undefined ? length(backMs) : servesUsually ? 'not yet' : '–',
  ]
}

const broken = ({ broken, how }: Scenario) => `${broken.join(' + ')} ${how}`

function length(ms: number | undefined): string {
  if (ms === undefined) return '–'
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}
