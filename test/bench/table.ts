/** The result as one table: a line for each row, the medians of its runs. */
import type { Loaded } from './load.ts'
import type { Row } from './rows.ts'

/** One window of one of the two. */
export interface Run extends Loaded {
  /** Of the process, per call or event as the row counts. */
  readonly cpuMicros: number
}

/** One run of each, right after one another. */
export interface Pair {
  readonly relay: Run
  readonly gateway: Run
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The gateway's CPU time in relays: of each pair, since the machine's mood changes between pairs. */
export function ratios(pairs: readonly Pair[]): readonly number[] {
  return pairs.map(({ relay, gateway }) => gateway.cpuMicros / relay.cpuMicros)
}

const addedMs = (pairs: readonly Pair[]) => median(pairs.map(({ relay, gateway }) => gateway.p50Ms - relay.p50Ms))

/** @param allowance so many times its limit a row may cost */
export function limitLine({ name, mostRelays, mostAddedMs }: Row, pairs: readonly Pair[], allowance: number) {
  const measured = mostRelays === undefined ? addedMs(pairs) : median(ratios(pairs))
  const most = (mostRelays ?? mostAddedMs!) * allowance
  const isOver = measured > most
  const unit = mostRelays === undefined ? 'ms added' : '× the relay'
  return { isOver, text: `${name}: ${measured.toFixed(2)} ${unit}; at most ${most.toFixed(2)}: ${isOver ? 'over' : 'ok'}` }
}

const HEAD = [
  'row',
  'per',
  'relay µs',
  'gateway µs',
  'ratio',
  '(range)',
  'relay p50/p99 ms',
  'gateway p50/p99 ms',
  'added p50 ms',
  'relay/s',
  'gateway/s',
]

export function table(results: ReadonlyMap<Row, readonly Pair[]>): string {
  const lines = [HEAD, ...[...results].map(([row, pairs]) => line(row, pairs))]
  const widths = HEAD.map((_, column) => Math.max(...lines.map(cells => cells[column]!.length)))
  // Words to the left, numbers to the right.
  const padded = (cell: string, column: number) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))
  return lines.map(cells => `${cells.map(padded).join('  ').trimEnd()}\n`).join('')
}

function line({ name, per }: Row, pairs: readonly Pair[]): readonly string[] {
  const of = (side: 'relay' | 'gateway', value: (run: Run) => number) => median(pairs.map(pair => value(pair[side])))
  const times = (side: 'relay' | 'gateway') => `${of(side, run => run.p50Ms).toFixed(2)}/${of(side, run => run.p99Ms).toFixed(2)}`
  const rate = (side: 'relay' | 'gateway') => of(side, run => (perUnit(per, run) / run.ms) * 1000).toFixed(0)
  const all = ratios(pairs)
  return [
    name,
    per,
    of('relay', run => run.cpuMicros).toFixed(1),
    of('gateway', run => run.cpuMicros).toFixed(1),
    median(all).toFixed(2),
    `${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)}`,
    times('relay'),
    times('gateway'),
    addedMs(pairs).toFixed(2),
    rate('relay'),
    rate('gateway'),
  ]
}

export const perUnit = (per: Row['per'], { calls, events }: Loaded) => (per === 'call' ? calls : events)
