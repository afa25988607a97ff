/*
 * Along the plan, to the first answer. Steps are taken one after the other; where the route hedges and the first content is late, the next
 * one is taken beside the one that is slow, once per call, and the first content wins.
 */
import type { Answer, Outcome, Role, StandIn, Step, Target } from '../core/attempt.ts'
import { type Stop, type StopListener, type Stopper, stopper } from '../core/stop.ts'
import { type Asking, attempt } from './attempt.ts'
import type { Gateway, Journey } from './gateway.ts'
import { lateAfterMs } from './late.ts'
import { standIn } from './recall.ts'
import { type Decision, decide, exhausted, goesOn, lastResort, notTried } from './steps.ts'
import { UNWANTED } from './trying.ts'

/** The answer of the first step that gives one. Throws the Fault that the client is to be told when none does. */
export async function firstAnswer(gateway: Gateway, journey: Journey): Promise<Answer> {
  for (;;) {
    const next = nextStep(gateway, journey)
    const step = next instanceof Promise ? await next : next
    if (step === undefined) break
    let answer: Answer | undefined
    if (!('target' in step)) answer = await standIn(gateway, journey, step)
    else {
      const hedgeMs = hedgeAfterMs(gateway, journey, step.target)
      if (hedgeMs !== undefined) answer = await raced(gateway, journey, step, hedgeMs)
      else {
        const outcome = attempt(asking(gateway, journey, step, journey.stop))
        answer = answerOf(gateway, journey, step.target, outcome instanceof Promise ? await outcome : outcome)
      }
    }
    if (answer !== undefined) return answer
  }
  const step = lastResort(gateway, journey)
  if (step !== undefined) {
    const outcome = await attempt(asking(gateway, journey, step, journey.stop, 'last-resort'))
    const answer = answerOf(gateway, journey, step.target, outcome)
    if (answer !== undefined) return answer
  }
  throw exhausted(gateway, journey)
}

/** The next step of the plan that may be taken now; those that may not are written down with their reason. */
function nextStep(gateway: Gateway, journey: Journey): Step | StandIn | undefined | Promise<Step | StandIn | undefined> {
  while (journey.at < journey.plan.length) {
    const step = journey.plan[journey.at++]!
    if (!('target' in step)) return step
    const decision = decide(gateway, journey, step)
    if (decision === 'go') return step
    if (typeof decision !== 'string') return afterwards(gateway, journey, step, decision)
    passOver(gateway, journey, step, decision)
  }
  return undefined
}

/** The step, or another one, when it has been decided. */
async function afterwards(
  gateway: Gateway,
  journey: Journey,
  step: Step,
  decided: Promise<Decision>,
): Promise<Step | StandIn | undefined> {
  const decision = await decided
  if (decision === 'go') return step
  passOver(gateway, journey, step, decision)
  return nextStep(gateway, journey)
}

function passOver(gateway: Gateway, journey: Journey, { target }: Step, decision: Exclude<Decision, 'go'>): void {
  if (decision !== 'skip') gateway.ledger.attempted(journey, { target, outcome: `passed-over:${decision}`, ms: 0 })
}

/** The call as the step is to be asked it. */
function asking(gateway: Gateway, journey: Journey, step: Step, stop: Stop, role?: Role): Asking {
  return { gateway, journey, step, call: step.rung?.call ?? journey.call!, stop, role }
}

/** The answer, if there is one; nothing, if the next step is to be tried; throws, if none may be. */
function answerOf(gateway: Gateway, journey: Journey, target: Target, outcome: Outcome): Answer | undefined {
  if (outcome.kind === 'answered') return outcome.answer
  if (outcome.kind === 'passed-over') notTried(journey, outcome.retryAtMs)
  else if (!goesOn(gateway, journey, target, outcome.fault)) throw outcome.fault
  return undefined
}

/** How long the step under way is waited for before another one is taken beside it; undefined: as long as it takes. */
function hedgeAfterMs(gateway: Gateway, journey: Journey, target: Target): number | undefined {
  const { hedge } = journey.route!
  if (hedge === undefined || journey.hedged) return undefined
  return Math.min(hedge.afterMs, lateAfterMs(gateway, journey, target, journey.call!) ?? Number.POSITIVE_INFINITY)
}

interface Run {
  readonly target: Target
  readonly role: Role | undefined
  readonly stopper: Stopper
  readonly outcome: Promise<Outcome>
}

async function raced(gateway: Gateway, journey: Journey, step: Step, afterMs: number): Promise<Answer | undefined> {
  const first = begun(gateway, journey, step)
  const inTime = await within(gateway, first.outcome, afterMs)
  if (inTime !== undefined) return answerOf(gateway, journey, step.target, inTime)
  const another = await hedgeStep(gateway, journey)
  if (another === undefined) return answerOf(gateway, journey, step.target, await first.outcome)

  const second = begun(gateway, journey, another, 'hedge')
  const [sooner, later] = await firstOf(first, second)
  const answer = await winner(gateway, journey, sooner, later)
  const result = answer === undefined ? 'failed' : answer.target === second.target ? 'won' : 'lost'
  gateway.ledger.hedged(journey, result)
  return answer
}

/**
 * The next target of the plan, where the route and the share of hedges allow it; no rung, as slow is no reason to come down. The steps
 * before it are left for later if there is none.
 */
async function hedgeStep(gateway: Gateway, journey: Journey): Promise<Step | undefined> {
  journey.hedged = true
  const { hedge } = journey.route!
  if (journey.stop.fault !== undefined || !hedge!.share.take()) return undefined
  for (let at = journey.at; at < journey.plan.length; at++) {
    const step = journey.plan[at]!
    if (!('target' in step) || step.rung !== undefined) break
    if (step.again > 0 || (await decide(gateway, journey, step, true)) !== 'go') continue
    journey.at = at + 1
    return step
  }
  hedge!.share.giveBack()
  return undefined
}

function begun(gateway: Gateway, journey: Journey, step: Step, role?: Role): Run {
  const own = stopper()
  const stop: StopListener = fault => own.stop(fault)
  journey.stop.hear(stop)
  const outcome = Promise.resolve(attempt(asking(gateway, journey, step, own, role)))
  // An answer goes on to hear of the journey's end.
  void outcome.then(({ kind }) => kind === 'answered' || journey.stop.unhear(stop))
  return { target: step.target, role, stopper: own, outcome }
}

/** The outcome, if it comes within `ms`. */
function within(gateway: Gateway, outcome: Promise<Outcome>, ms: number): Promise<Outcome | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = gateway.clock.after(ms, () => resolve(undefined))
    outcome.then(resolve, reject).finally(cancel)
  })
}

/** Both, the one whose outcome came first in front. */
function firstOf(one: Run, other: Run): Promise<readonly [Run, Run]> {
  return Promise.race([one.outcome.then(() => [one, other] as const), other.outcome.then(() => [other, one] as const)])
}

async function winner(gateway: Gateway, journey: Journey, sooner: Run, later: Run): Promise<Answer | undefined> {
  const outcome = await sooner.outcome
  if (outcome.kind === 'answered') {
    await cancelled(later)
    return outcome.answer
  }
  try {
    answerOf(gateway, journey, sooner.target, outcome)
  } catch (fault) {
    // What the first target refuses is refused; what the other one refuses, the first may still answer.
    if (sooner.role === undefined) {
      await cancelled(later)
      throw fault
    }
  }
  return answerOf(gateway, journey, later.target, await later.outcome)
}

/** Resolves when it has been written down what became of it. */
async function cancelled(run: Run): Promise<void> {
  run.stopper.stop(UNWANTED)
  await run.outcome
}
