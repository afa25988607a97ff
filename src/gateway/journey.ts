/*
 * The gateway, from top to bottom: identify → parse → route → admit → plan → attempt, attempt, … → pieces → settle. Each step needs
 * what the one before it made, so it is straight-line code. A refusal is a Fault thrown from anywhere below; it is answered at one
 * place, here.
 */
import { randomUUID } from 'node:crypto'
import type { Outcome, Plan, Target } from '../core/attempt.ts'
import type { Piece } from '../core/chat.ts'
import type { Dialect } from '../core/dialect.ts'
import { faultOf } from '../core/fault.ts'
import type { Stop } from '../core/stop.ts'
import { estimatedTokens } from '../usage/estimate.ts'
import { admit } from './admission.ts'
import { attempt } from './attempt.ts'
import { told } from './ending.ts'
import type { Gateway, Journey } from './gateway.ts'
import { answerHeaders, refusalHeaders } from './headers.ts'
import { planFor } from './routes.ts'
import { decide, exhausted, goesOn, lastResort, notTried } from './steps.ts'

/** What goes back to the client: a body, or a stream of bytes with a sign of life to send while it is silent. */
export interface Reply {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly stream?: AsyncIterator<Uint8Array, void>
  readonly heartbeat?: { readonly everyMs: number; readonly bytes: Uint8Array }
}

/** A call has reached us: nothing of it is known but its head. */
export function arrive(gateway: Gateway, requestId: string | undefined, stop: Stop): Journey {
  return {
    id: requestId ?? randomUUID(),
    startedAtMs: gateway.clock.now(),
    startedTicks: gateway.clock.ticks(),
    stop,
    client: undefined,
    call: undefined,
    route: undefined,
    deadlineTicks: Number.POSITIVE_INFINITY,
    tokens: 0,
    permit: undefined,
    limitHeaders: undefined,
    attempts: [],
    last: undefined,
    tried: new Set(),
    retryAtMs: undefined,
    contextOver: undefined,
    tookExtra: false,
    answeredBy: undefined,
    firstTokenMs: undefined,
    usage: undefined,
    leftOut: [],
    malformed: 0,
    upstreamMs: 0,
    ending: undefined,
  }
}

/** Who calls? Asked before the body is read. Throws a Fault (unauthorized). */
export function identify(gateway: Gateway, journey: Journey, authorization: string | undefined): void {
  journey.client = gateway.clients.identify(authorization)
}

/** A call with its body, to its answer or its refusal. Never rejects. */
export async function serve(gateway: Gateway, dialect: Dialect, journey: Journey, body: Buffer): Promise<Reply> {
  try {
    const client = journey.client!
    const call = dialect.parse(body)
    journey.call = call
    const [route, carried] = gateway.routes.find(call.model, client)
    journey.route = route
    journey.deadlineTicks = journey.startedTicks + route.deadlineMs
    journey.tokens = estimatedTokens(call)
    if (client.limits !== undefined) await admit(gateway, journey, client.limits, carried)
    route.allowance.called()

    const { circuits, random, keys } = gateway
    const retriesOf = (target: Target) => Math.max(target.retry.attempts, keys.size(target.providerName) - 1)
    const plan = planFor(route, carried, call, client, circuits.ramp, random, retriesOf)
    const pieces = await firstAnswer(gateway, journey, plan)

    const writer = dialect.writer(call, gateway.clock.now())
    const stream = told(gateway, journey, writer, pieces)
    if (!call.stream) {
      const whole = await stream.whole()
      return { status: 200, headers: answerHeaders(gateway, journey), body: whole }
    }
    const { heartbeatMs } = route
    const heartbeat = heartbeatMs === undefined ? {} : { heartbeat: { everyMs: heartbeatMs, bytes: writer.heartbeat() } }
    return { status: 200, headers: answerHeaders(gateway, journey), stream, ...heartbeat }
  } catch (thrown) {
    return refuse(gateway, dialect, journey, thrown)
  }
}

/** The pieces of the first step of the plan that answers. Throws the Fault that the client is to be told when none does. */
async function firstAnswer(gateway: Gateway, journey: Journey, plan: Plan): Promise<AsyncIterator<Piece, void>> {
  for (const step of plan) {
    const decided = decide(gateway, journey, step)
    const decision = typeof decided === 'string' ? decided : await decided
    if (decision === 'skip') continue
    if (decision !== 'go') {
      gateway.ledger.attempted(journey, { target: step.target, outcome: `passed-over:${decision}`, ms: 0 })
      continue
    }
    const pieces = outcomeOf(gateway, journey, step.target, await attempt(gateway, journey, step))
    if (pieces !== undefined) return pieces
  }
  const target = lastResort(gateway, journey)
  if (target !== undefined) {
    const pieces = outcomeOf(gateway, journey, target, await attempt(gateway, journey, { target, again: 0 }, true))
    if (pieces !== undefined) return pieces
  }
  throw exhausted(gateway, journey)
}

/** The pieces, if there are any; nothing, if the next step is to be tried; throws, if none may be. */
function outcomeOf(gateway: Gateway, journey: Journey, target: Target, outcome: Outcome): AsyncIterator<Piece, void> | undefined {
  if (outcome.kind === 'answered') return outcome.pieces
  if (outcome.kind === 'passed-over') notTried(journey, outcome.retryAtMs)
  else if (!goesOn(gateway, journey, target, outcome.fault)) throw outcome.fault
  return undefined
}

/** The one place where a call is refused. */
export function refuse(gateway: Gateway, dialect: Dialect, journey: Journey, thrown: unknown): Reply {
  const fault = faultOf(thrown)
  gateway.ledger.close(journey, fault.kind === 'client-gone' ? { kind: 'abandoned' } : { kind: 'refused', fault })
  return { status: fault.status, headers: refusalHeaders(gateway, journey, fault), body: dialect.refusal(fault) }
}
