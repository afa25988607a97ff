/*
 * The metrics of several processes as those of one. What is counted is added up, and what a process counted that has ended goes on being
 * part of it: a sum that falls would look like a restart of the whole. What is a state of the moment is of those that are there.
 */
import { type Metric, type OpenMetricsContentType, Registry } from 'prom-client'

/** What a process has counted so far. */
export type Snapshot = readonly Family[]

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: string
  /** How prom-client would bring several of them together. */
  readonly aggregator: string
  readonly values: readonly Value[]
}

interface Value {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly exemplar?: { readonly timestamp: number }
}

type Merge = (one: number, another: number) => number

const added: Merge = (one, another) => one + another

/** Of ours: what all processes know together, and what is a state rather than an amount. */
const MERGED: Readonly<Record<string, Merge>> = {
  llm_circuit_state: Math.max,
  llm_key_state: Math.max,
  llm_state_degraded: Math.max,
  // Each knows it from its last look, and it only becomes less.
  llm_budget_remaining_usd: Math.min,
  llm_build_info: Math.max,
}

/** Of those that every process of Node has. An average of what was slow somewhere would hide it. */
const BY_AGGREGATOR: Readonly<Record<string, Merge>> = {
  average: Math.max,
  first: Math.max,
  max: Math.max,
  min: Math.min,
  // When the oldest of them began.
  omit: Math.min,
}

/** @param isShared whether all processes know together what a provider cost */
export function mergedSnapshot(all: readonly Snapshot[], isShared: (providerName: string) => boolean): Snapshot {
  const families = new Map<string, { readonly family: Family; readonly values: Map<string, Value> }>()
  for (const family of all.flat()) {
    const known = families.get(family.name) ?? { family, values: new Map() }
    families.set(family.name, known)
    for (const value of family.values) {
      // Not known yet; between processes that is null.
      if (!Number.isFinite(value.value)) continue
      const key = `${value.metricName ?? ''} ${JSON.stringify(value.labels)}`
      const before = known.values.get(key)
      known.values.set(key, before === undefined ? value : together(family, before, value, isShared))
    }
  }
  return [...families.values()].map(({ family, values }) => ({ ...family, values: [...values.values()] }))
}

function together({ name, aggregator }: Family, one: Value, another: Value, isShared: (providerName: string) => boolean): Value {
  const merge =
    name === 'llm_spend_usd' && isShared(String(one.labels.provider))
      ? Math.max
      : (MERGED[name] ?? BY_AGGREGATOR[aggregator] ?? added)
  const exemplar = (one.exemplar?.timestamp ?? 0) > (another.exemplar?.timestamp ?? 0) ? one.exemplar : another.exemplar
  return { ...one, value: merge(one.value, another.value), ...(exemplar !== undefined && { exemplar }) }
}

/** What remains of a process that has ended: what it counted. */
export const counted = (snapshot: Snapshot): Snapshot => snapshot.filter(({ type }) => type !== 'gauge')

const OPEN_METRICS = 'application/openmetrics-text'

/**
 * The exposition text and its content type.
 * @param accept the scraper's header of that name: whoever asks for OpenMetrics gets it, with examples of traces at the histograms
 */
export async function exposition(
  families: readonly Written[],
  accept: string,
): Promise<{ readonly text: string; readonly contentType: string }> {
  const isOpen = accept.includes(OPEN_METRICS)
  const registry = new Registry<OpenMetricsContentType>()
  if (isOpen) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const family of families) {
    // There the family of a counter is named without the ending of its series.
    const name = isOpen && family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name
    registry.registerMetric({
      name: family.name,
      type: family.type,
      get: async () => ({ ...(await family.get()), name }),
    } as unknown as Metric)
  }
  return { text: await registry.metrics(), contentType: registry.contentType }
}

/** As much of a metric as a registry asks for. */
export interface Written {
  readonly name: string
  readonly type: string
  get(): Promise<object>
}

/** As {@link exposition} takes it. */
export const written = (snapshot: Snapshot): readonly Written[] =>
  snapshot.map(family => ({ name: family.name, type: family.type, get: async () => family }))
