/*
 * How fast targets are, from what this replica has seen of them. Choosers ask for it, and whoever must decide when a first token is late.
 *
 * Time to first content is kept as a peak-EWMA: a slow answer counts in full at once, and quicker ones make up for it only as time
 * passes. Time passes for a target that nobody asks, too: its estimate sinks towards nothing, so that a slow one gets a call now and then
 * and can show that it has recovered. The share that is left after t is e^(−t/τ).
 *
 * A failure is no answer, and how soon it came says nothing good: it is a penalty on top of the estimate, as if the target had taken that
 * much longer, and it sinks in the same way. Were it mixed into the estimate, a target that refuses within a millisecond, or in the five
 * seconds that a refusal counts for, would look better than one whose whole answers take twenty.
 *
 * Streams and whole answers are kept apart: the first content of a whole answer comes when all of it has been generated.
 */
import type { Clock } from '../core/clock.ts'
import { type Fault, rowOf } from '../core/fault.ts'
import { lately } from './lately.ts'

export type AnswerKind = 'stream' | 'whole'

/** What is known of one target. Taken from `begun` and handed back to what follows in the same attempt; nobody else looks inside. */
export interface Pace {
  inFlight: number
  penaltyMs: number
  penaltyTicks: number
  tokensPerSecond: number | undefined
  stream: Firsts | undefined
  whole: Firsts | undefined
}

/** Times to first content of one kind of answer. */
interface Firsts {
  estimateMs: number
  estimateTicks: number
  /** A ring of the latest ones. It grows as answers come: of most targets that callers make up, none ever does. */
  readonly latestMs: number[]
  count: number
  /** Worked out when it is asked for, and again after the next answer. */
  medianMs: number | undefined
  triedTicks: number
}

export interface Paces {
  /** An attempt goes out. */
  begun(target: string, kind: AnswerKind): Pace
  /** Its first content has come, after so many milliseconds. */
  answered(pace: Pace, kind: AnswerKind, firstContentMs: number): void
  /** Its stream has come to a good end: so many tokens (0: it told none) in so many milliseconds after the first content. A client that reads slowly makes it slower. */
  streamed(pace: Pace, tokens: number, ms: number): void
  /**
   * It is over, and only now no longer in flight.
   * @param silentMs how long there had been no content when the fault ended it; 0 when there had been some
   * @param isOutrun whether another target's answer ended it: then nobody failed, but it would have taken longer than this
   */
  over(pace: Pace, fault: Fault | undefined, silentMs: number, isOutrun?: boolean): void

  /** Calls of this replica that the target is busy with. */
  inFlight(target: string): number
  /** The peak-EWMA of time to first content, without penalties; undefined where no answer of the kind has come. */
  answerMs(target: string, kind: AnswerKind): number | undefined
  /**
   * What it costs a call to go there, to be compared with what others cost: the time to first content, penalties included, times the
   * calls that would be in flight then.
   * @param otherwiseMs what is assumed where no answer of the kind has come
   */
  costMs(target: string, kind: AnswerKind, otherwiseMs: number): number
  /** Whether nothing is known, good or bad, and nobody is about to find out: the next call may. */
  wantsTrial(target: string, kind: AnswerKind): boolean
  /** The median of the latest times to first content; undefined where there have been less than 20. */
  medianMs(target: string, kind: AnswerKind): number | undefined
  /** A moving average over the streams of the target; undefined where none has told its tokens. */
  tokensPerSecond(target: string): number | undefined
}

/** τ: after so long, e⁻¹ = 37 % of an estimate is left. */
const TAU_MS = 10_000
/** What a failure counts for that says nothing of when to come back. */
const UNTOLD_PENALTY_MS = 5_000
/** A penalty that has sunk so low is over. */
const FORGIVEN_MS = 50
const LATEST = 64
const FEWEST_FOR_MEDIAN = 20
/** While a target stays unknown, one call in this time is spent on it. */
const TRIAL_EVERY_MS = 10_000
/** The latest stream's part of the average speed. */
const SPEED_WEIGHT = 1 / 8
/** A stream that came all at once says nothing about speed. */
const SHORTEST_STREAM_MS = 50
/** Callers can make targets up: at least so many are remembered. */
const FEWEST_REMEMBERED = 2_500

export function paces(clock: Clock): Paces {
  const known = lately<Pace>(FEWEST_REMEMBERED)
  const sorted = new Float64Array(LATEST)

  const left = (ms: number, sinceTicks: number) => ms * Math.exp((sinceTicks - clock.ticks()) / TAU_MS)

  function penaltyMs(pace: Pace): number {
    if (pace.penaltyMs === 0) return 0
    const ms = left(pace.penaltyMs, pace.penaltyTicks)
    return ms < FORGIVEN_MS ? 0 : ms
  }

  function estimateMs(firsts: Firsts | undefined): number | undefined {
    return firsts === undefined || firsts.count === 0 ? undefined : left(firsts.estimateMs, firsts.estimateTicks)
  }

  return {
    begun(target, kind) {
      const pace = known.use(target, unknown)
      pace.inFlight++
      pace[kind] ??= noFirsts()
      pace[kind].triedTicks = clock.ticks()
      return pace
    },
    answered(pace, kind, firstContentMs) {
      const firsts = pace[kind]!
      const isPeak = firsts.count === 0 || firstContentMs > firsts.estimateMs
      const kept = isPeak ? 0 : left(1, firsts.estimateTicks)
      firsts.estimateMs = firsts.estimateMs * kept + firstContentMs * (1 - kept)
      firsts.estimateTicks = clock.ticks()
      firsts.latestMs[firsts.count % LATEST] = firstContentMs
      firsts.count++
      firsts.medianMs = undefined
    },
    streamed(pace, tokens, ms) {
      if (tokens === 0 || ms < SHORTEST_STREAM_MS) return
      const speed = (1_000 * tokens) / ms
      pace.tokensPerSecond =
        pace.tokensPerSecond === undefined ? speed : pace.tokensPerSecond + (speed - pace.tokensPerSecond) * SPEED_WEIGHT
    },
    over(pace, fault, silentMs, isOutrun = false) {
      pace.inFlight--
      if (fault === undefined || !(isOutrun || isTheTargetsDoing(fault))) return
      const ms = isOutrun ? silentMs : Math.max(fault.details.retryAfterMs ?? UNTOLD_PENALTY_MS, silentMs)
      pace.penaltyMs = Math.max(penaltyMs(pace), ms)
      pace.penaltyTicks = clock.ticks()
    },

    inFlight: target => known.get(target)?.inFlight ?? 0,
    answerMs: (target, kind) => estimateMs(known.get(target)?.[kind]),
    costMs(target, kind, otherwiseMs) {
      const pace = known.get(target)
      if (pace === undefined) return otherwiseMs
      return ((estimateMs(pace[kind]) ?? otherwiseMs) + penaltyMs(pace)) * (pace.inFlight + 1)
    },
    wantsTrial(target, kind) {
      const pace = known.get(target)
      const firsts = pace?.[kind]
      if (pace === undefined || firsts === undefined) return pace === undefined || penaltyMs(pace) === 0
      return firsts.count === 0 && clock.ticks() - firsts.triedTicks >= TRIAL_EVERY_MS && penaltyMs(pace) === 0
    },
    medianMs(target, kind) {
      const firsts = known.get(target)?.[kind]
      if (firsts === undefined || firsts.count < FEWEST_FOR_MEDIAN) return undefined
      if (firsts.medianMs === undefined) {
        const { length } = firsts.latestMs
        sorted.fill(Number.POSITIVE_INFINITY)
        sorted.set(firsts.latestMs)
        sorted.sort()
        firsts.medianMs = (sorted[(length - 1) >> 1]! + sorted[length >> 1]!) / 2
      }
      return firsts.medianMs
    },
    tokensPerSecond: target => known.get(target)?.tokensPerSecond,
  }
}

/** What circuit or key learn from, the target has to answer for. */
function isTheTargetsDoing({ kind, details }: Fault): boolean {
  const { circuit, key } = rowOf(kind)
  return (circuit || key !== 'none') && !details.blameless
}

const unknown = (): Pace => ({
  inFlight: 0,
  penaltyMs: 0,
  penaltyTicks: 0,
  tokensPerSecond: undefined,
  stream: undefined,
  whole: undefined,
})

const noFirsts = (): Firsts => ({
  estimateMs: 0,
  estimateTicks: 0,
  latestMs: [],
  count: 0,
  medianMs: undefined,
  triedTicks: 0,
})
