/*
 * What Prometheus sees. Names and labels are a contract with the dashboards and alerts of those who run this; label values come from the
 * configuration only, so that no caller can make them grow.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** From 1 ms to 5 min. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300]

/** Every metric of ours: its name, what it tells, its labels. The README's table is tested against this. */
export const METRICS = {
  llm_requests_total: ['counter', 'calls answered or refused', ['route', 'client', 'target', 'status', 'stream']],
  llm_attempts_total: [
    'counter',
    'tries, by outcome: answered, a fault, or passed-over:reason',
    ['provider', 'model', 'outcome'],
  ],
  llm_errors_total: ['counter', 'faults of upstreams', ['provider', 'model', 'fault']],
  llm_failover_total: ['counter', 'moves from one target to the next', ['route', 'from', 'to', 'reason']],
  llm_latency_seconds: ['histogram', 'from the call to the end of its answer', ['route', 'target']],
  llm_first_token_seconds: ['histogram', 'from the call to the first content', ['route', 'target']],
  llm_attempt_seconds: ['histogram', 'from the start of a try to its outcome', ['provider', 'model', 'outcome']],
  llm_overhead_seconds: [
    'histogram',
    "the gateway's own part of a call: all but waiting for upstreams, JSON included",
    ['route'],
  ],
  llm_tokens_total: ['counter', 'tokens, each counted in one kind only', ['route', 'client', 'target', 'kind']],
  llm_cost_usd_total: ['counter', 'what attempts cost, failed ones included, where price and usage are known', ['route', 'client', 'target']],
  llm_unpriced_requests_total: ['counter', 'answered calls whose price or usage is unknown', ['target']],
  llm_circuit_state: ['gauge', '0 closed, 1 half-open, 2 open', ['provider', 'model']],
  llm_circuit_transitions_total: ['counter', 'changes of a circuit', ['provider', 'model', 'to']],
  llm_key_state: ['gauge', '0 ready, 1 resting, 2 retired', ['provider', 'key']],
  llm_in_flight: ['gauge', 'tries under way', ['target']],
  llm_stream_endings_total: ['counter', 'how streams ended: complete, recovered, broken, abandoned', ['route', 'ending']],
  llm_build_info: ['gauge', 'always 1', ['version']],
} as const satisfies Record<string, readonly ['counter' | 'gauge' | 'histogram', help: string, labels: readonly string[]]>

type Name = keyof typeof METRICS
type OfKind<Kind> = { [N in Name]: (typeof METRICS)[N][0] extends Kind ? N : never }[Name]
/** Label values in the order of the metric's labels. */
type Values<N extends Name> = Strings<(typeof METRICS)[N][2]>
type Strings<Tuple extends readonly unknown[]> = { readonly [At in keyof Tuple]: string }

export interface Metrics {
  count<N extends OfKind<'counter'>>(name: N, values: Values<N>, by?: number): void
  observe<N extends OfKind<'histogram'>>(name: N, values: Values<N>, seconds: number): void
  change<N extends OfKind<'gauge'>>(name: N, values: Values<N>, by: number): void
  set<N extends OfKind<'gauge'>>(name: N, values: Values<N>, to: number): void
  /** Called before every scrape: for states that are asked for rather than told. */
  beforeScrape(run: () => void): void
  /** The exposition text and its content type. */
  scrape(): Promise<{ readonly text: string; readonly contentType: string }>
}

export function metrics(version: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const all = new Map<string, Counter | Gauge | Histogram>()
  for (const [name, [kind, help, labelNames]] of Object.entries(METRICS)) {
    const settings = { name, help, labelNames: [...labelNames], registers: [registry] }
    if (kind === 'counter') all.set(name, new Counter(settings))
    else if (kind === 'gauge') all.set(name, new Gauge(settings))
    else all.set(name, new Histogram({ ...settings, buckets: SECONDS }))
  }
  const before: (() => void)[] = []
  const of = <Kind>(name: Name) => all.get(name) as Kind
  of<Gauge>('llm_build_info').set({ version }, 1)

  return {
    count: (name, values, by = 1) =>
      of<Counter>(name)
        .labels(...(values as unknown as string[]))
        .inc(by),
    observe: (name, values, seconds) =>
      of<Histogram>(name)
        .labels(...(values as unknown as string[]))
        .observe(seconds),
    change: (name, values, by) =>
      of<Gauge>(name)
        .labels(...(values as unknown as string[]))
        .inc(by),
    set: (name, values, to) =>
      of<Gauge>(name)
        .labels(...(values as unknown as string[]))
        .set(to),
    beforeScrape: run => before.push(run),
    async scrape() {
      for (const run of before) run()
      return { text: await registry.metrics(), contentType: registry.contentType }
    },
  }
}
