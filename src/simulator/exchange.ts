/*
 * One request and what it gets. A rule's faults come in the order of time: a connection that ends, silence, an answer that the rule has
 * fixed. Then what the API itself would refuse: a bad key, an unknown path, a call without the right shape. Only then there is an answer,
 * on the course that is left of the rule.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { ScriptRule } from '../config/simulation.ts'
import { type Answer, type Ask, answerTo, type Block, hugeAnswer, hugeToken, type Voice } from './answer.ts'
import { type Body, bodyOf, deliverStream, deliverWhole, garbled, hugeBody, type Line, pause, send, silence } from './delivery.ts'
import { disordered } from './disorder.ts'
import { type Course, courseOf, fixedAnswer, isDisordered, isSuccess } from './faults.ts'
import { resetNow } from './listener.ts'
import { refuses } from './script.ts'
import type { Addressed, Failure, Mention, Turn, Wire } from './wire.ts'

/** A request as it was read. */
export interface Received {
  readonly method: string
  /** Without query and `/v1`. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Undefined where it was not JSON. */
  readonly body: unknown
  /** Whether it was longer than a simulator reads. */
  readonly isTooLong: boolean
  readonly model: string | undefined
  readonly kind: 'call' | 'inquiry' | 'unknown'
  /** What its address tells of a call. */
  readonly at: Addressed
}

export interface Actor {
  readonly wire: Wire
  readonly voice: Voice
  readonly tokenDelayMs: number
  /** Whether a call that ends with the beginning of its answer is refused. */
  readonly refusesPrefill: boolean
}

const HUGE_TEXT_MARK = randomUUID()

/** Carries the request out. Rejects with the reason of the line's signal when that aborts. */
export async function carryOut(
  actor: Actor,
  line: Line,
  received: Received,
  rule: ScriptRule | undefined,
): Promise<'answered' | 'faulted'> {
  const { wire } = actor
  if (rule !== undefined && (refuses(rule) || rule.reset === true)) {
    const { socket } = line.response
    if (socket !== null) resetNow(socket)
    return 'faulted'
  }
  if (rule?.never_answer === true) await silence(line.signal)

  const requestId = wire.newRequestId()
  const model = received.kind === 'unknown' ? undefined : received.model
  const mention: Mention = { model, method: received.method, path: received.path, requestId }
  const refuse = async (failure: Failure, headers = {}): Promise<'faulted'> => {
    await send(
      line,
      failure.status,
      { ...wire.failureHeaders(requestId, failure.status), ...headers },
      wire.failure(failure, mention),
    )
    return 'faulted'
  }

  const course = courseOf(rule, actor.tokenDelayMs, wire.lateFailureStatus)
  const fixed = rule === undefined ? undefined : fixedAnswer(rule)
  if (fixed !== undefined) {
    await pause(course.firstMs, line.signal)
    const own = isSuccess(fixed.status) ? wire.headers(requestId, false) : wire.failureHeaders(requestId, fixed.status)
    await send(line, fixed.status, { ...own, 'content-type': fixed.contentType, ...course.headers }, fixed.body)
    return 'faulted'
  }
  if (!isSuccess(course.status)) {
    await pause(course.firstMs, line.signal)
    return refuse({ status: course.status, retryAfterS: waitIn(course.headers) }, course.headers)
  }

  if (keyOf(received.headers).includes('bad')) return refuse(wire.refusedKey)
  if (received.isTooLong) return refuse({ status: 413 })
  if (received.kind === 'unknown') return refuse({ status: 404 })
  if (received.kind === 'inquiry') {
    await pause(course.firstMs, line.signal)
    await send(line, course.status, { ...wire.headers(requestId, false), ...course.headers }, wire.models())
    return 'answered'
  }
  const ask = wire.read(received.body, received.at)
  if ('status' in ask) return refuse(ask)
  if (ask.prefill !== undefined && actor.refusesPrefill) return refuse(wire.refusedPrefill)
  return answer(actor, line, ask, course, mention)
}

async function answer(actor: Actor, line: Line, ask: Ask, course: Course, mention: Mention): Promise<'answered' | 'faulted'> {
  const { wire, voice } = actor
  const headers = { ...wire.headers(mention.requestId, ask.stream), ...course.headers }
  if (ask.stream) {
    const turn = turnOf(ask, answersTo(ask, voice, course))
    const events = wire.events(turn, course.empty)
    const isOdd = isDisordered(course)
    const failure =
      isOdd || course.failure !== undefined
        ? wire.failureEvent(course.failure ?? { status: wire.lateFailureStatus }, mention)
        : undefined
    const told = isOdd ? disordered(events, course, wire.usageEvent(turn), failure!) : events
    const ending = await deliverStream(line, headers, told, course, failure)
    return course.empty || isOdd ? 'faulted' : ending
  }
  if (course.failure !== undefined) {
    await pause(course.firstMs, line.signal)
    await send(line, course.status, headers, wire.failure(course.failure, mention))
    return 'faulted'
  }
  const ending = await deliverWhole(line, headers, wholeBody(actor, ask, course), course)
  return course.empty || course.garbledAt !== undefined ? 'faulted' : ending
}

function wholeBody({ wire, voice }: Actor, ask: Ask, course: Course): Body {
  const answers = answersTo(ask, voice, course)
  if (course.hugeBytes !== undefined && !course.empty) {
    const marked = answers.map(huge => ({ ...huge, blocks: [{ kind: 'text', tokens: [HUGE_TEXT_MARK] } satisfies Block] }))
    const text = wire.whole(turnOf(ask, marked), false)
    return hugeBody(text, HUGE_TEXT_MARK, hugeToken(voice), answers[0]?.tokens ?? 0)
  }
  const text = wire.whole(turnOf(ask, answers), course.empty)
  if (course.garbledAt !== undefined) return garbled(text)
  return bodyOf(text, course.empty ? 0 : answers.reduce((sum, one) => sum + one.tokens, 0))
}

function answersTo(ask: Ask, voice: Voice, course: Course): readonly Answer[] {
  return Array.from({ length: ask.choices }, () =>
    course.hugeBytes === undefined ? answerTo(ask, voice) : hugeAnswer(course.hugeBytes / ask.choices, voice),
  )
}

function turnOf(ask: Ask, answers: readonly Answer[]): Turn {
  return { ask, answers, createdMs: Date.now() }
}

/** The seconds that a rule's headers tell to wait. */
function waitIn({ 'retry-after-ms': ms, 'retry-after': s }: Course['headers']): number | undefined {
  const seconds = ms === undefined ? Number(s) : Number(ms) / 1_000
  return Number.isFinite(seconds) ? seconds : undefined
}

/** The key that the client shows, in whichever way. */
function keyOf(headers: IncomingHttpHeaders): string {
  const named = headers['x-api-key'] ?? headers['api-key'] ?? headers['x-goog-api-key'] ?? ''
  return `${headers.authorization ?? ''} ${named}`
}
