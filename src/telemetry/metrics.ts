/*
 * What Prometheus sees. Names and labels are a contract with the dashboards and alerts of those who run this; label values come from the
 * configuration only, so that no caller can make them grow.
 */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import { exposition, type Snapshot, type Written } from './snapshots.ts'
import {
  type Distribution,
  distribution,
  type Series,
  type Sum,
  series,
  sum,
  type Tally,
  type Timing,
  valuesOf,
} from './tallies.ts'

/** Every metric of ours: its name, what it tells, its labels. The README's table is tested against this. */
export const METRICS = {
  llm_requests_total: ['counter', 'calls answered or refused', ['route', 'client', 'target', 'status', 'stream']],
  llm_attempts_total: [
    'counter',
    'tries, by outcome: answered, a fault, or passed-over:reason',
    ['provider', 'model', 'outcome'],
  ],
  llm_errors_total: [
    'counter',
    'faults of upstreams; slow is a first content later than the route likes',
    ['provider', 'model', 'fault'],
  ],
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
  llm_cost_usd_total: [
    'counter',
    'what attempts cost, failed ones included, where price and usage are known',
    ['route', 'client', 'target'],
  ],
  llm_unpriced_requests_total: ['counter', 'answered calls whose price or usage is unknown', ['target']],
  llm_circuit_state: ['gauge', '0 closed, 1 half-open, 2 open', ['provider', 'model']],
  llm_circuit_transitions_total: ['counter', 'changes of a circuit', ['provider', 'model', 'to']],
  llm_key_state: ['gauge', '0 ready, 1 resting, 2 retired', ['provider', 'key']],
  llm_limited_total: ['counter', 'calls refused by a limit of their client: rpm, tpm, concurrency, budget', ['client', 'limit']],
  llm_budget_remaining_usd: [
    'gauge',
    "what is left of a client's budget; what calls under way have reserved is not left",
    ['client'],
  ],
  llm_spend_usd: [
    'gauge',
    'what a provider cost in the present hour, day or month: of all replicas where it has a cap, else of this one today',
    ['provider', 'period'],
  ],
  llm_in_flight: ['gauge', 'tries under way', ['target']],
  llm_stream_endings_total: ['counter', 'how streams ended: complete, recovered, broken, abandoned', ['route', 'ending']],
  llm_recoveries_total: [
    'counter',
    'targets asked to go on with a broken stream: kind splice or prefill; result recovered, differs or failed',
    ['route', 'kind', 'result'],
  ],
  llm_hedges_total: [
    'counter',
    'second attempts beside a slow one: won, lost (the first answered sooner), or failed (neither answered)',
    ['route', 'result'],
  ],
  llm_cache_total: [
    'counter',
    'calls of routes with a cache: hit, miss, stale (an old answer stood in), off (not asked)',
    ['route', 'result'],
  ],
  llm_degraded_total: ['counter', 'calls answered by a rung of degrade, or by an old answer', ['route', 'level']],
  llm_state_degraded: ['gauge', '1 while Redis is away and the gateway works on from memory, else 0', []],
  llm_config_reloads_total: [
    'counter',
    'changes of the configuration at run time: applied, or refused with the old one kept',
    ['result'],
  ],
  llm_build_info: ['gauge', 'always 1', ['version']],
} as const satisfies Record<string, readonly ['counter' | 'gauge' | 'histogram', help: string, labels: readonly string[]]>

type Name = keyof typeof METRICS
type OfKind<Kind> = { [N in Name]: (typeof METRICS)[N][0] extends Kind ? N : never }[Name]
/** Label values in the order of the metric's labels. */
type Values<N extends Name> = Strings<(typeof METRICS)[N][2]>
type Strings<Tuple extends readonly unknown[]> = { readonly [At in keyof Tuple]: string }

export interface Metrics {
  count<N extends OfKind<'counter'>>(name: N, values: Values<N>, by?: number): void
  /** @param traceId of the trace that shows this one, for who wants to see an example */
  observe<N extends OfKind<'histogram'>>(name: N, values: Values<N>, seconds: number, traceId?: string): void
  change<N extends OfKind<'gauge'>>(name: N, values: Values<N>, by: number): void
  /** Not for series that are going to be forgotten. */
  tally<N extends OfKind<'counter' | 'gauge'>>(name: N, values: Values<N>): Tally
  timing<N extends OfKind<'histogram'>>(name: N, values: Values<N>): Timing
  set<N extends OfKind<'gauge'>>(name: N, values: Values<N>, to: number): void
  /** What it tells is of something that is no more: the series is not there until it is told of again. */
  forget<N extends OfKind<'gauge'>>(name: N, values: Values<N>): void
  /** Called before every scrape: for states that are asked for rather than told. Returns what stops it. */
  beforeScrape(run: () => void): () => void
  /**
   * The exposition text and its content type.
   * @param accept the scraper's header of that name: whoever asks for OpenMetrics gets it, with examples of traces at the histograms
   */
  scrape(accept?: string): Promise<{ readonly text: string; readonly contentType: string }>
  /** The same for who brings those of several processes together. */
  snapshot(): Promise<Snapshot>
}

export function metrics(version: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const sums = new Map<Name, Series<Sum>>()
  const histograms = new Map<Name, Series<Distribution>>()
  for (const [name, [kind, help, labelNames]] of Object.entries(METRICS) as [Name, (typeof METRICS)[Name]][]) {
    const settings = { name, help, labelNames: [...labelNames], registers: [registry] }
    if (kind === 'histogram') {
      const all = series(values => distribution(values))
      histograms.set(name, all)
      // At a scrape a registry asks no more of a metric than this; the distributions are counted here.
      const get = async () => ({ name, help, type: kind, aggregator: 'sum', values: valuesOf(name, labelNames, all.all) })
      registry.registerMetric({ name, type: kind, get } as unknown as Metric)
    } else {
      const metric = kind === 'counter' ? new Counter(settings) : new Gauge(settings)
      sums.set(
        name,
        series(
          values => sum(metric, values),
          values => metric.remove(...values),
        ),
      )
    }
  }
  const before = new Set<() => void>()
  function gather(): void {
    for (const run of before) run()
    for (const { all } of sums.values()) for (const each of all) each.handOn()
  }

  function set<N extends OfKind<'gauge'>>(name: N, values: Values<N>, to: number): void {
    sums.get(name)!.of(values).set(to)
  }
  set('llm_build_info', [version], 1)
  // An alert asks for increases, and what is not there yet cannot increase.
  for (const result of ['applied', 'refused']) sums.get('llm_config_reloads_total')!.of([result])

  return {
    count(name, values, by = 1) {
      sums.get(name)!.of(values).add(by)
    },
    observe: (name, values, seconds, traceId) => histograms.get(name)!.of(values).observe(seconds, traceId),
    change(name, values, by) {
      sums.get(name)!.of(values).add(by)
    },
    tally: (name, values) => sums.get(name)!.of(values),
    timing: (name, values) => histograms.get(name)!.of(values),
    set,
    forget: (name, values) => sums.get(name)!.forget(values),
    beforeScrape(run) {
      before.add(run)
      return () => before.delete(run)
    },
    async scrape(accept = '') {
      gather()
      return exposition(registry.getMetricsAsArray() as unknown as readonly Written[], accept)
    },
    async snapshot() {
      gather()
      return (await registry.getMetricsAsJSON()) as unknown as Snapshot
    },
  }
}
