/*
 * The series of metrics in which each call counts something. Their labels are names that hardly ever change, so a series is looked up once
 * for each pair of target and outcome, and for each route, client and target that come together, and kept. It is there from the first time
 * that something is counted in it, and no sooner.
 */
import type { Target } from '../core/attempt.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tally, Timing } from '../telemetry/tallies.ts'
import { labelOf } from './targets.ts'

/** Tries of a target that had the same outcome. */
export interface TriesSeries {
  readonly count: Tally
  /** Undefined for what was passed over. */
  readonly seconds: Timing | undefined
}

export const KINDS = ['input', 'cached', 'output', 'reasoning'] as const

/** Calls of one client over one route that came to the same target. */
export interface CallSeries {
  answered(stream: boolean): Tally
  tokens(kind: (typeof KINDS)[number]): Tally
  cost(): Tally
}

/** Answers of one target over one route. */
export interface TimesSeries {
  readonly latency: Timing
  readonly firstToken: Timing
}

export interface AllSeries {
  inFlight(target: Target): Tally
  tries(target: Target, outcome: string): TriesSeries
  calls(route: string, client: string, target: Target): CallSeries
  times(route: string, target: Target): TimesSeries
  overhead(route: string): Timing
}

export function allSeries(metrics: Metrics): AllSeries {
  const ofTarget = keptWeakly((target: Target) => {
    const label = labelOf(target)
    return {
      inFlight: once(() => metrics.tally('llm_in_flight', [label])),
      tries: kept((outcome: string) => tries(target, outcome)),
      calls: kept((route: string) => kept((client: string) => calls(route, client, label))),
      times: kept((route: string) => ({
        latency: metrics.timing('llm_latency_seconds', [route, label]),
        firstToken: metrics.timing('llm_first_token_seconds', [route, label]),
      })),
    }
  })
  const overhead = kept((route: string) => metrics.timing('llm_overhead_seconds', [route]))

  function tries({ providerName, label }: Target, outcome: string): TriesSeries {
    return {
      count: metrics.tally('llm_attempts_total', [providerName, label, outcome]),
      seconds: outcome.startsWith('passed-over:')
        ? undefined
        : metrics.timing('llm_attempt_seconds', [providerName, label, outcome]),
    }
  }

  function calls(route: string, client: string, label: string): CallSeries {
    const answered = kept((stream: boolean) => metrics.tally('llm_requests_total', [route, client, label, '200', String(stream)]))
    const tokens = kept((kind: string) => metrics.tally('llm_tokens_total', [route, client, label, kind]))
    return { answered, tokens, cost: once(() => metrics.tally('llm_cost_usd_total', [route, client, label])) }
  }

  return {
    inFlight: target => ofTarget(target).inFlight(),
    tries: (target, outcome) => ofTarget(target).tries(outcome),
    calls: (route, client, target) => ofTarget(target).calls(route)(client),
    times: (route, target) => ofTarget(target).times(route),
    overhead,
  }
}

/** What `make` makes, when it is asked for first. */
function once<Made>(make: () => Made): () => Made {
  let made: Made | undefined
  return () => {
    made ??= make()
    return made
  }
}

interface Cache<Key, Made> {
  get(key: Key): Made | undefined
  set(key: Key, made: Made): unknown
}

/** What `make` makes, once for each key. */
const kept = <Key extends string | boolean, Made>(make: (key: Key) => Made) => keptIn(new Map<Key, Made>(), make)

/** The same for objects that may go. */
const keptWeakly = <Key extends object, Made>(make: (key: Key) => Made) => keptIn(new WeakMap<Key, Made>(), make)

function keptIn<Key, Made>(all: Cache<Key, Made>, make: (key: Key) => Made): (key: Key) => Made {
  return key => {
    let made = all.get(key)
    if (made === undefined) {
      made = make(key)
      all.set(key, made)
    }
    return made
  }
}
