/** Closes a journey, once: what it owes, metrics and one log line. What each attempt showed is written down as it happens. */
import type { AttemptRecord, Ending, RecoveryKind, Target } from '../core/attempt.ts'
import type { Usage } from '../core/chat.ts'
import type { Clock } from '../core/clock.ts'
import { type Fault, mayQuote } from '../core/fault.ts'
import { together } from '../core/round.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { costUsd } from '../usage/price.ts'
import type { Journey } from './gateway.ts'
import type { Recent } from './recent.ts'
import { allSeries, KINDS } from './series.ts'
import { labelOf } from './targets.ts'

export interface Ledger {
  attempted(journey: Journey, attempt: AttemptRecord): void
  /** An event of this target's stream made no sense and was left out. */
  malformed(target: Target): void
  inFlight(target: Target, by: 1 | -1): void
  /** A second attempt was made beside a slow one: which of them answered first, if any did. */
  hedged(journey: Journey, result: 'won' | 'lost' | 'failed'): void
  /** A target was asked to go on with a broken answer. */
  recovered(journey: Journey, kind: RecoveryKind, result: 'recovered' | 'differs' | 'failed'): void
  /** The first ending of a journey counts; any later one is passed by. */
  close(journey: Journey, ending: Ending): void
}

/** A journey that is over, as long as nothing of it has been written down. */
interface Closed {
  readonly journey: Journey
  readonly ending: Ending
  readonly ms: number
  /** For upstreams. */
  readonly waitedMs: number
}

const NONE = 'none'

const NO_ERRORS: ReadonlySet<string> = new Set(['answered', 'cancelled', 'client-gone'])

/** What all attempts of a call cost together, as far as it is known; undefined when nothing of it is. */
export function costOf({ attempts }: Journey): number | undefined {
  let sum: number | undefined
  for (const { target, usage } of attempts) {
    const cost = costUsd(target.abilities.price, usage)
    if (cost !== undefined) sum = (sum ?? 0) + cost
  }
  return sum
}

/**
 * @param settle pays what a journey owes its client's limits and its providers' caps
 * @param recent is given what the log line says
 */
export function ledger(clock: Clock, metrics: Metrics, log: Log, settle: (journey: Journey) => void, recent: Recent): Ledger {
  const series = allSeries(metrics)

  function attempted(journey: Journey, attempt: AttemptRecord): void {
    journey.attempts.push(attempt)
    const { target, outcome, ms } = attempt
    const { providerName, label } = target
    const { count, seconds } = series.tries(target, outcome)
    count.add(1)
    if (seconds === undefined)
      return journey.trace?.event('understudy.passed_over', { target: target.id, reason: outcome.slice('passed-over:'.length) })
    seconds.observe(ms / 1000)
    // Late is no fault: it hurts nobody's circuit or key. But who looks for what is wrong with a target looks here.
    if (attempt.slow) metrics.count('llm_errors_total', [providerName, label, 'slow'])
    if (!NO_ERRORS.has(outcome)) metrics.count('llm_errors_total', [providerName, label, outcome])
  }

  function close(journey: Journey, ending: Ending): void {
    if (journey.ending !== undefined) return
    journey.ending = ending
    settle(journey)
    closed({ journey, ending, ms: clock.ticks() - journey.startedTicks, waitedMs: waitedMs(journey) })
  }

  /** The client has its answer, and need not wait for what is written down of it. */
  const closed = together(process.nextTick, (one: Closed) => {
    try {
      writeDown(one)
    } catch (error) {
      log.error('call not written down', { id: one.journey.id, detail: (error as Error).message })
    }
  })

  function writeDown({ journey, ending, ms, waitedMs }: Closed): void {
    const status = statusOf(ending)
    const failedOver = count(journey, ending, status, ms, waitedMs)
    write(journey, ending, status, ms, failedOver)
    if (journey.trace === undefined) return
    const told = {
      requestId: journey.id,
      status,
      ending,
      route: journey.route?.name,
      client: journey.client?.name,
      tags: journey.client?.tags,
      model: journey.call?.model,
      stream: journey.call?.stream,
      target: journey.shownTarget ?? journey.answeredBy?.id,
      level: journey.level,
      cache: journey.cached,
      attempts: journey.attempts.length,
      costUsd: shownCost(journey),
    }
    journey.trace.end(told, ms)
  }

  /** @returns whether it has moved from one target to another */
  function count(journey: Journey, ending: Ending, status: number, ms: number, waitedMs: number): boolean {
    const { answeredBy } = journey
    const route = journey.route?.name ?? NONE
    const client = journey.client?.name ?? NONE
    const stream = journey.call?.stream === true
    if (answeredBy !== undefined && status === 200) series.calls(route, client, answeredBy).answered(stream).add(1)
    else {
      const target = answeredBy === undefined ? NONE : labelOf(answeredBy)
      metrics.count('llm_requests_total', [route, client, target, String(status), String(stream)])
    }
    const failedOver = countFailovers(journey, route)
    if (journey.route !== undefined) series.overhead(route).observe(Math.max(0, ms - waitedMs) / 1000)
    for (const attempt of journey.attempts) countPaid(journey, attempt)
    if (journey.cached !== undefined) metrics.count('llm_cache_total', [route, journey.cached])
    if (stream && wasAnswered(journey)) metrics.count('llm_stream_endings_total', [route, ending.kind])
    if (journey.level !== 'normal' && wasAnswered(journey)) metrics.count('llm_degraded_total', [route, journey.level])
    if (answeredBy === undefined) return failedOver
    const traceId = journey.trace?.id
    const { latency, firstToken } = series.times(route, answeredBy)
    latency.observe(ms / 1000, traceId)
    firstToken.observe(journey.firstTokenMs! / 1000, traceId)
    return failedOver
  }

  /** Every attempt that was paid for counts, whatever became of it. */
  function countPaid(journey: Journey, { target, outcome, usage, broke }: AttemptRecord): void {
    if (broke !== undefined && broke !== 'client-gone')
      metrics.count('llm_errors_total', [target.providerName, target.label, broke])
    if (usage !== undefined) countUsage(journey, target, usage)
    if (outcome === 'answered' && costUsd(target.abilities.price, usage) === undefined)
      metrics.count('llm_unpriced_requests_total', [labelOf(target)])
  }

  function waitedMs({ upstreamMs, waits, waitsSince }: Journey): number {
    return waits > 0 ? upstreamMs + clock.ticks() - waitsSince : upstreamMs
  }

  /** Tokens and cost of one attempt, whether it answered or failed after it had told them. */
  function countUsage(journey: Journey, target: Target, usage: Usage): void {
    const route = journey.route?.name ?? NONE
    const client = journey.client?.name ?? NONE
    const calls = series.calls(route, client, target)
    for (const kind of KINDS) {
      const tokens = usage[kind]
      if (tokens !== undefined && tokens > 0) calls.tokens(kind).add(tokens)
    }
    const cost = costUsd(target.abilities.price, usage)
    if (cost !== undefined) calls.cost().add(cost)
  }

  /** From one target to the next that was tried because of it; a second attempt beside a slow one is none. @returns whether there was one */
  function countFailovers({ attempts }: Journey, route: string): boolean {
    let moved = false
    let from: AttemptRecord | undefined
    for (const to of attempts) {
      if (to.outcome === 'cancelled') continue
      const reason = from?.broke ?? from?.outcome ?? 'answered'
      if (reason !== 'answered' && from!.target !== to.target && to.role !== 'hedge' && !to.outcome.startsWith('passed-over:')) {
        metrics.count('llm_failover_total', [route, labelOf(from!.target), labelOf(to.target), reason])
        moved = true
      }
      from = to
    }
    return moved
  }

  function write(journey: Journey, ending: Ending, status: number, ms: number, failedOver: boolean): void {
    const { usage, call, answeredBy, shownTarget } = journey
    const fault = 'fault' in ending ? ending.fault : undefined
    const bodies = journey.transcript?.shownAt(ending)
    const quoted = bodies !== undefined
    const fields = {
      id: journey.id,
      traceId: journey.trace?.id,
      status,
      ending: ending.kind,
      route: journey.route?.name,
      client: journey.client?.name,
      tags: journey.client?.tags,
      target: shownTarget ?? answeredBy?.id,
      cache: journey.cached,
      rung: journey.level === 'normal' ? undefined : journey.level,
      stream: call?.stream,
      ms: rounded(ms),
      firstTokenMs: journey.firstTokenMs === undefined ? undefined : rounded(journey.firstTokenMs),
      fault: fault?.kind,
      detail: fault === undefined || (mayQuote(fault.kind) && !quoted) ? undefined : fault.details.detail,
      usage,
      costUsd: shownCost(journey),
      leftOut: journey.leftOut.length > 0 ? journey.leftOut : undefined,
      malformed: journey.malformed > 0 ? journey.malformed : undefined,
      attempts: journey.attempts.map(attempt => written(attempt, quoted)),
      prompt: bodies?.prompt,
      answer: bodies?.answer,
    }
    const json = JSON.stringify(fields)
    const kept = bodies === undefined ? json : JSON.stringify({ ...fields, prompt: undefined, answer: undefined })
    recent.keep(kept, journey.startedAtMs, failedOver)
    log.line(isOurs(fault) ? 'error' : ending.kind === 'broken' || status >= 500 ? 'warn' : 'info', 'call', json)
  }

  return {
    attempted,
    malformed: ({ providerName, label }) => metrics.count('llm_errors_total', [providerName, label, 'upstream-garbled']),
    hedged({ route, trace }, result) {
      metrics.count('llm_hedges_total', [route!.name, result])
      trace?.event('understudy.hedge', { result })
    },
    recovered({ route, trace }, kind, result) {
      metrics.count('llm_recoveries_total', [route!.name, kind, result])
      trace?.event('understudy.recovery', { kind, result })
    },
    inFlight: (target, by) => series.inFlight(target).add(by),
    close,
  }
}

const wasAnswered = ({ answeredBy, shownTarget }: Journey) => answeredBy !== undefined || shownTarget !== undefined

function statusOf(ending: Ending): number {
  if (ending.kind === 'refused') return ending.fault.status
  return ending.kind === 'abandoned' ? 499 : 200
}

const isOurs = (fault: Fault | undefined) => fault?.kind === 'internal'
const rounded = (ms: number) => Math.round(ms * 10) / 10

/** What was not asked of anybody cost nothing. */
const shownCost = (journey: Journey) => (journey.shownTarget === undefined ? costOf(journey) : 0)

/** @param quoted whether what may quote the call is shown as well */
function written({ target, key, outcome, ms, role, slow, detail, status, sends, broke }: AttemptRecord, quoted: boolean): object {
  const isShown = quoted || !mayQuote(outcome)
  return {
    target: target.id,
    key,
    outcome,
    ms: rounded(ms),
    role,
    slow,
    status,
    sends,
    broke,
    detail: isShown ? detail : undefined,
  }
}
