/*
 * The gateway, from top to bottom: identify → parse → route → admit → recall → plan → attempt, attempt, … → pieces → settle. Each step needs
 * what the one before it made, so it is straight-line code. A refusal is a Fault thrown from anywhere below; it is answered at one place,
 * here.
 */
import { randomUUID } from 'node:crypto'
import type { Plan } from '../core/attempt.ts'
import type { Dialect } from '../core/dialect.ts'
import { faultOf, withoutSecrets } from '../core/fault.ts'
import type { Stop } from '../core/stop.ts'
import type { TraceHeaders } from '../telemetry/traceparent.ts'
import { estimatedTokens } from '../usage/estimate.ts'
import { admit } from './admission.ts'
import type { ClientHeaders } from './choosers.ts'
import { type Told, told } from './ending.ts'
import type { Gateway, Journey } from './gateway.ts'
import { answerHeaders, refusalHeaders } from './headers.ts'
import { recalled } from './recall.ts'
import { planOf } from './routes.ts'
import { transcript } from './transcript.ts'
import { firstAnswer } from './walk.ts'

/** What goes back to the client: a body, or a stream of bytes with a sign of life to send while it is silent. */
export interface Reply {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly stream?: Pick<Told, 'flow'>
  readonly heartbeat?: { readonly everyMs: number; readonly bytes: Uint8Array }
}

const NO_PLAN: Plan = []
const NO_TRACE: TraceHeaders = {}
const NOTHING: readonly string[] = []

/** A call has reached us: nothing of it is known but its head. */
export function arrive(gateway: Gateway, requestId: string | undefined, stop: Stop, headers: TraceHeaders = NO_TRACE): Journey {
  const startedAtMs = gateway.clock.now()
  const startedTicks = gateway.clock.ticks()
  return {
    id: requestId ?? randomUUID(),
    startedAtMs,
    startedTicks,
    stop,
    trace: gateway.traces?.begin(headers, startedAtMs, startedTicks),
    transcript: undefined,
    client: undefined,
    call: undefined,
    route: undefined,
    cacheControl: undefined,
    level: 'normal',
    cached: undefined,
    deadlineTicks: Number.POSITIVE_INFINITY,
    tokens: 0,
    plan: NO_PLAN,
    at: 0,
    permit: undefined,
    limitHeaders: undefined,
    attempts: [],
    last: undefined,
    tried: [],
    retryAtMs: undefined,
    contextOver: undefined,
    tookExtra: false,
    hedged: false,
    askedAgain: false,
    answeredBy: undefined,
    shownTarget: undefined,
    firstTokenMs: undefined,
    usage: undefined,
    leftOut: NOTHING,
    malformed: 0,
    upstreamMs: 0,
    waits: 0,
    waitsSince: 0,
    ending: undefined,
  }
}

/** Who calls? Asked before the body is read. Throws a Fault (unauthorized). */
export function identify(gateway: Gateway, journey: Journey, authorization: string | undefined): void {
  journey.client = gateway.clients.identify(authorization)
}

/** A call with its headers and body, to its answer or its refusal. Never rejects. */
export async function serve(
  gateway: Gateway,
  dialect: Dialect,
  journey: Journey,
  headers: ClientHeaders,
  body: Buffer,
): Promise<Reply> {
  try {
    const client = journey.client!
    if (gateway.bodies !== 'never') journey.transcript = transcript(gateway.bodies, body, gateway.redact)
    const call = dialect.parse(body)
    journey.call = call
    const [route, carried] = gateway.routes.find(call.model, client)
    journey.route = route
    journey.deadlineTicks = journey.startedTicks + route.deadlineMs
    journey.tokens = estimatedTokens(call)
    if (client.limits !== undefined) await admit(gateway, journey, client.limits, carried)
    route.allowance.called()
    route.hedge?.share.called()

    if (route.rungs.length > 0) journey.level = gateway.levels.of(route.name)

    const walk = () => {
      journey.plan = planOf(gateway, journey, carried, headers)
      return firstAnswer(gateway, journey)
    }
    const answer = await (route.cache === undefined ? walk() : recalled(gateway, journey, route.cache, walk))
    journey.answeredBy = answer.target
    journey.level = answer.level ?? journey.level
    journey.leftOut = answer.leftOut
    journey.firstTokenMs = gateway.clock.ticks() - journey.startedTicks

    const writer = dialect.writer(call, gateway.clock.now())
    const stream = told(gateway, journey, writer, answer)
    if (!call.stream) {
      const whole = stream.whole()
      return { status: 200, headers: answerHeaders(gateway, journey), body: whole }
    }
    const { heartbeatMs } = route
    const heartbeat = heartbeatMs === undefined ? {} : { heartbeat: { everyMs: heartbeatMs, bytes: writer.heartbeat() } }
    return { status: 200, headers: answerHeaders(gateway, journey), stream, ...heartbeat }
  } catch (thrown) {
    return refuse(gateway, dialect, journey, thrown)
  }
}

/** The one place where a call is refused. */
export function refuse(gateway: Gateway, dialect: Dialect, journey: Journey, thrown: unknown): Reply {
  const fault = withoutSecrets(faultOf(thrown), gateway.redact)
  gateway.ledger.close(journey, fault.kind === 'client-gone' ? { kind: 'abandoned' } : { kind: 'refused', fault })
  return { status: fault.status, headers: refusalHeaders(gateway, journey, fault), body: dialect.refusal(fault) }
}
