/** The results of a run as two tables: what became of the calls, and how the upstream calls add up. */
import type { Result } from './storm.ts'

type Cells = readonly (string | number)[]

/** @param results by the row's name; the first is the one that the others are compared with */
export function callsTable(results: ReadonlyMap<string, Result>): string {
  const [first] = results.values()
  const added = (result: Result, part: number) => {
    const ms = quantile(result.answeredMs, part)
    return (result === first ? ms : ms - quantile(first!.answeredMs, part)).toFixed(0)
  }
  return table([
    [
      'fault',
      'calls',
      'whole',
      'recovered',
      'lacking',
      'broken',
      'refused',
      'left',
      'truncated',
      'repeated',
      'unsettled',
      '+p50 ms',
      '+p99 ms',
    ],
    ...[...results].map(([name, result]) => {
      const { calls, whole, recovered, lacking, broken, refused, left, truncated, repeated, unsettled } = result
      const cells = [calls, whole, recovered, lacking, broken, refused, left, truncated, repeated, unsettled]
      return [name, ...cells, added(result, 0.5), added(result, 0.99)]
    }),
  ])
}

export function booksTable(results: ReadonlyMap<string, Result>): string {
  return table([
    ['fault', 'attempts settled', '− never sent', '+ sent again', '− lost', '= read by simulators', 'connections refused'],
    ...[...results].map(([name, result]) => {
      const { attempts, unsent, resent, lost, read, refusedConnections } = result
      return [name, attempts, unsent, resent, lost, read, refusedConnections]
    }),
  ])
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

/** The first column to the left, numbers to the right. */
function table(lines: readonly Cells[]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map(cells => String(cells[column]).length)))
  const padded = (cell: string | number, column: number) =>
    column === 0 ? String(cell).padEnd(widths[column]!) : String(cell).padStart(widths[column]!)
  return lines.map(cells => `${cells.map(padded).join('  ')}\n`).join('')
}
