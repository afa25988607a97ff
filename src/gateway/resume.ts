/*
 * An answer broke off after the client had been given a part of it. The next targets of the plan are asked for it again, each in the ways
 * that the route allows, until one says what continues what the client has; where there is no other, the same target is asked once more.
 */
import type { Answer, Plan, RecoveryKind, Step, Target } from '../core/attempt.ts'
import type { ChatCall, ChatEvent, Pieces, Usage } from '../core/chat.ts'
import { Fault } from '../core/fault.ts'
import { beginningOf, type Continuation, continuation, type Given, type Had } from '../resilience/recovery.ts'
import { tokensOf } from '../usage/estimate.ts'
import { following, promised } from './answer.ts'
import { attempt } from './attempt.ts'
import type { Gateway, Journey } from './gateway.ts'
import { trailOf } from './headers.ts'
import { reducedCall } from './reduced-call.ts'
import { decide, goesOn } from './steps.ts'

const ABOUT_THE_BEGINNING: ReadonlySet<string> = new Set(['upstream-refused-call', 'upstream-garbled'])

const KINDS: Readonly<Record<string, readonly RecoveryKind[]>> = { splice: ['splice'], prefill: ['prefill', 'splice'] }

/** Whether anybody could have to know what the client was given: asked once per call. */
export function mayResume({ call, route }: Journey): boolean {
  return call!.stream && route!.recover in KINDS
}

/**
 * @param broken the answer that ended with `fault`
 * @returns what continues it; undefined when nothing does
 */
export async function resumed(
  gateway: Gateway,
  journey: Journey,
  given: Given,
  broken: Answer,
  fault: Fault,
): Promise<Answer | undefined> {
  const { target, level } = broken
  // A rung has answered another call than the one that others would be asked.
  if (target === undefined || level !== undefined || journey.stop.fault !== undefined) return undefined
  if (!goesOn(gateway, journey, target, fault) || !given.isContinuable()) return undefined
  const had = given.soFar()
  /** Those that could do nothing with the call: they are not asked in another way. */
  const hopeless = new Set<Target>()
  const others = othersOf(journey)
  for (const kind of KINDS[journey.route!.recover]!) {
    let asked = false
    for (const other of others) {
      if (hopeless.has(other)) continue
      const found = await resumedBy(gateway, journey, had, other, kind, hopeless)
      if (found === 'not asked') continue
      asked = true
      if (found !== undefined) return found
    }
    if (asked || journey.askedAgain || hopeless.has(target)) continue
    const found = await resumedBy(gateway, journey, had, target, kind, hopeless)
    if (found === 'not asked') continue
    journey.askedAgain = kind === 'splice'
    if (found !== undefined) return found
  }
  return undefined
}

/** The targets that the plan has not come to yet; no rungs, which answer another call. */
function othersOf({ plan, at, tried }: Journey): readonly Target[] {
  const isOpen = (step: Plan[number]): step is Step =>
    'target' in step &&
    step.rung === undefined &&
    step.again === 0 &&
    step.passedOver === undefined &&
    !tried.includes(step.target)
  return plan
    .slice(at)
    .filter(isOpen)
    .map(step => step.target)
}

async function resumedBy(
  gateway: Gateway,
  journey: Journey,
  had: Had,
  target: Target,
  kind: RecoveryKind,
  hopeless: Set<Target>,
): Promise<Answer | undefined | 'not asked'> {
  if (journey.stop.fault !== undefined) return undefined
  const call = callFor(journey, had, target, kind)
  if (call === undefined) return 'not asked'
  const step: Step = { target, again: 0 }
  const decision = await decide(gateway, journey, step)
  if (decision !== 'go') {
    hopeless.add(target)
    if (decision !== 'skip') gateway.ledger.attempted(journey, { target, outcome: `passed-over:${decision}`, ms: 0 })
    return 'not asked'
  }
  const outcome = await attempt({ gateway, journey, step, call, stop: journey.stop, role: kind })
  if (outcome.kind === 'passed-over') {
    hopeless.add(target)
    return 'not asked'
  }
  let result: 'recovered' | 'differs' | 'failed' = 'failed'
  try {
    if (outcome.kind === 'failed') throw outcome.fault
    const follows = continuation(kind, had, target.provider.prefill === 'echoed')
    const shown = gateway.headersShown === 'full' ? { trail: trailOf(journey) } : {}
    const pieces = await matched(outcome.answer, follows, usageFor(kind, had), { type: 'answer-recovered', kind, ...shown })
    result = pieces === undefined ? 'differs' : 'recovered'
    return pieces && { ...outcome.answer, pieces }
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    goesOn(gateway, journey, target, thrown)
    // Who does not take a beginning, or has nothing to say after it, may still take the call.
    if (kind !== 'prefill' || !ABOUT_THE_BEGINNING.has(thrown.kind)) hopeless.add(target)
    return undefined
  } finally {
    gateway.ledger.recovered(journey, kind, result)
  }
}

/** The call as this target is to get it; undefined where it cannot be asked in this way. */
function callFor({ call, malformed }: Journey, had: Had, target: Target, kind: RecoveryKind): ChatCall | undefined {
  if (kind === 'splice') return call
  const beginning = beginningOf(had.text)
  const { provider, abilities } = target
  // A beginning that an event is missing from is none to go on with.
  if (malformed > 0 || beginning === '' || provider.prefill === undefined || abilities.prefill !== true) return undefined
  const rest = withRest(call!, had.text.length)
  const begun = { ...rest, body: rest.body, prefill: beginning }
  return provider.refuses(begun, target) === undefined ? begun : undefined
}

/** The call with what is left of its limit, where it names one: what the client has counts, though another model has said it. */
function withRest(call: ChatCall, characters: number): ChatCall {
  const limit = call.shape.max_completion_tokens ?? call.shape.max_tokens
  if (typeof limit !== 'number') return call
  return reducedCall(call, { maxTokens: Math.max(1, limit - tokensOf(characters)), drop: [] }).call
}

/** What an answer that was handed its beginning used, as if it had said the beginning, too: that is what the client got. */
function usageFor(kind: RecoveryKind, had: Had): (usage: Usage) => Usage {
  if (kind === 'splice') return usage => usage
  const begun = tokensOf(had.text.length)
  return usage => ({
    ...usage,
    ...(usage.input !== undefined && { input: Math.max(0, usage.input - begun) }),
    ...(usage.output !== undefined && { output: usage.output + begun }),
  })
}

/** The pieces of the answer that follow what the client has, as they come; undefined when they say something else. */
async function matched(
  answer: Answer,
  follows: Continuation,
  counted: (usage: Usage) => Usage,
  told: ChatEvent,
): Promise<Pieces | undefined> {
  const recounted = (event: ChatEvent): ChatEvent =>
    event.type === 'usage' ? { type: 'usage', usage: counted(event.usage) } : event
  const first: ChatEvent[] = [told]
  for (;;) {
    const piece = await promised(answer.pieces)
    const events = piece && follows.take(piece.events)
    if (events === undefined) {
      answer.drop()
      return undefined
    }
    first.push(...events.map(recounted))
    if (follows.isMatched() || events.some(({ type }) => type === 'finish')) break
  }
  const rest: Pieces = {
    next: taker =>
      answer.pieces.next({
        fail: thrown => taker.fail(thrown),
        take(piece) {
          const events = piece && follows.take(piece.events)
          if (piece === undefined) return taker.take(undefined)
          if (events !== undefined) return taker.take({ events: events.map(recounted) })
          answer.drop()
          taker.fail(new Fault('upstream-garbled', { detail: 'the answer that went on became another one' }))
        },
      }),
  }
  return following([{ events: first }], rest)
}
