/*
 * What is counted between two scrapes. A call counts more than a dozen things, and prom-client puts a key together from names and values for
 * each. So the series of a tuple of label values is looked up here, value by value, and kept; what is added to it is handed on to prom-client
 * at the next scrape, and distributions are not known to it at all.
 */
import type { Counter, Gauge, MetricValueWithName } from 'prom-client'
import { systemClock } from '../core/clock.ts'

/** From 1 ms to 5 min. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300]

/** A counter or a gauge for one tuple of label values, for who counts in it often. */
export interface Tally {
  add(by: number): void
}

/** The same of a histogram. */
export interface Timing {
  /** @param traceId of the trace that shows this one, for who wants to see an example */
  observe(seconds: number, traceId?: string): void
}

export interface Sum extends Tally {
  set(to: number): void
  handOn(): void
}

export function sum(metric: Counter | Gauge, values: readonly string[]): Sum {
  const handle = metric.labels(...values)
  // It is there from its first mention, even when what is added is nothing.
  handle.inc(0)
  /** Added since the last scrape. */
  let pending = 0
  return {
    add(by) {
      pending += by
    },
    set(to) {
      pending = 0
      ;(handle as ReturnType<Gauge['labels']>).set(to)
    },
    handOn() {
      if (pending !== 0) handle.inc(pending)
      pending = 0
    },
  }
}

export interface Distribution extends Timing {
  readonly values: readonly string[]
  /** Observations up to each bound and above the one before it; the last place is for those above them all. */
  readonly counts: Float64Array
  /** Of all that was observed. */
  sum(): number
  /** By bucket: the latest observation that a trace shows. */
  readonly examples: (Example | undefined)[]
}

interface Example {
  readonly labelSet: { readonly trace_id: string }
  readonly value: number
  /** Seconds since 1970. */
  readonly timestamp: number
}

export function distribution(values: readonly string[]): Distribution {
  const counts = new Float64Array(SECONDS.length + 1)
  const examples: (Example | undefined)[] = []
  // A number that changes at every call: in an array it changes in place.
  const sum = new Float64Array(1)
  return {
    values: [...values],
    counts,
    examples,
    sum: () => sum[0]!,
    observe(seconds, traceId) {
      let at = 0
      while (at < SECONDS.length && seconds > SECONDS[at]!) at++
      counts[at]!++
      sum[0]! += seconds
      if (traceId === undefined) return
      examples[at] = { labelSet: { trace_id: traceId }, value: seconds, timestamp: systemClock.now() / 1000 }
    },
  }
}

/** As Prometheus counts: each bucket holds those below it, too. */
export function valuesOf(
  name: string,
  labelNames: readonly string[],
  all: readonly Distribution[],
): MetricValueWithName<string>[] {
  return all.flatMap(({ values, counts, sum, examples }) => {
    const labels = Object.fromEntries(labelNames.map((label, at) => [label, values[at]!]))
    let count = 0
    const buckets = [...SECONDS, '+Inf'].map((le, at) => {
      count += counts[at]!
      const exemplar = examples[at]
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count, ...(exemplar && { exemplar }) }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum() },
      { metricName: `${name}_count`, labels, value: count },
    ]
  })
}

/** What is kept for each tuple of label values. */
export interface Series<Kept> {
  of(values: readonly string[]): Kept
  forget(values: readonly string[]): void
  readonly all: readonly Kept[]
}

interface Branch<Kept> {
  kept: Kept | undefined
  readonly next: Map<string, Branch<Kept>>
}

export function series<Kept>(
  make: (values: readonly string[]) => Kept,
  forgotten: (values: string[]) => void = () => {},
): Series<Kept> {
  const root: Branch<Kept> = { kept: undefined, next: new Map() }
  const all: Kept[] = []
  return {
    all,
    of(values) {
      let branch = root
      for (const value of values) {
        let next = branch.next.get(value)
        if (next === undefined) {
          next = { kept: undefined, next: new Map() }
          branch.next.set(value, next)
        }
        branch = next
      }
      if (branch.kept === undefined) {
        branch.kept = make(values)
        all.push(branch.kept)
      }
      return branch.kept
    },
    forget(values) {
      const branch = values.reduce<Branch<Kept> | undefined>((at, value) => at?.next.get(value), root)
      if (branch?.kept === undefined) return
      all.splice(all.indexOf(branch.kept), 1)
      branch.kept = undefined
      forgotten([...values])
    },
  }
}
