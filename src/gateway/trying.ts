/*
 * A try under way: its request, and the answer up to its first content and on to its end. Whatever way it ends, it ends once: the timer is
 * stopped, the connection let go, the key given back, circuit and key learn what the fault table says, and what it used is written down.
 */
import type { Answer, AttemptRecord, Outcome, ReducedStep, Role, Target } from '../core/attempt.ts'
import { answerTokens, type ChatCall, type Piece, type Pieces, totalTokens, type Usage } from '../core/chat.ts'
import { Fault, faultOf, rowOf } from '../core/fault.ts'
import { tryParse } from '../core/json.ts'
import type { UpstreamRequest } from '../core/provider.ts'
import type { Stop, StopListener } from '../core/stop.ts'
import type { Permit } from '../resilience/circuit.ts'
import type { HeldKey } from '../resilience/keys.ts'
import type { AnswerKind, Pace } from '../resilience/pace.ts'
import type { AttemptTrace } from '../telemetry/traces.ts'
import { type Answered, type Exchange, exchange, type Head, type Reader } from '../upstream/exchange.ts'
import { type Framing, framingOf } from '../upstream/framers.ts'
import { usageSoFar } from '../usage/estimate.ts'
import { committed, following, gathered, introduced, mediaType, type StreamSource, streamedPieces, wholePiece } from './answer.ts'
import type { Asking } from './attempt.ts'
import type { Gateway, Journey } from './gateway.ts'
import { kindOf, lateAfterMs } from './late.ts'
import { requestHeaders } from './request-headers.ts'
import { type Watch, watch } from './watch.ts'

const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_REFUSAL_BYTES = 256 * 1024
/** How much of a refusal is kept as text, for rules that look at messages. */
const REFUSAL_TEXT = 4_000

/** Ends an attempt whose answer is of no use any more, though the client still waits for one. */
export const UNWANTED = new Fault('client-gone', { detail: 'another answer is used' })

/** Asks, up to the commit point. Never rejects. */
export function outcomeOf(asking: Asking, key: HeldKey, permit: Permit): Promise<Outcome> {
  return new Trying(asking, key, permit).outcome()
}

/** One object for each try, and not two dozen functions that share its variables: there is one for every call. */
class Trying implements StreamSource {
  private readonly gateway: Gateway
  private readonly journey: Journey
  private readonly target: Target
  private readonly rung: ReducedStep | undefined
  private readonly call: ChatCall
  private readonly outside: Stop
  private readonly role: Role | undefined
  private readonly key: HeldKey
  private readonly permit: Permit
  private readonly relayed: boolean
  private readonly times: Watch
  private readonly kind: AnswerKind
  private readonly pace: Pace
  private readonly traced: AttemptTrace | undefined
  private readonly begunTicks: number
  private contentTicks: number | undefined
  private isSlow = false
  private record: AttemptRecord | undefined
  /** As the provider told it. */
  private usage: Usage | undefined
  /** Characters of the answer so far. */
  private said = 0
  private running: Exchange | undefined
  private signed: Readonly<Record<string, string>> | undefined
  /** Of the answer under way: whether it is a refusal, what it is declared as, and how it is framed where it is a stream. */
  private isRefused = false
  private type = ''
  private framing: Framing | undefined
  private earlierSends = 0
  private isWaiting = false
  private isOver = false
  private fault: Fault | undefined
  private onStop: ((fault: Fault) => void) | undefined
  private readonly stop: StopListener = fault => {
    this.running?.abort(fault)
    this.onStop?.(fault)
    this.over(fault)
  }

  constructor({ gateway, journey, step: { target, rung }, call, stop, role }: Asking, key: HeldKey, permit: Permit) {
    this.gateway = gateway
    this.journey = journey
    this.target = target
    this.rung = rung
    this.call = call
    this.outside = stop
    this.role = role
    this.key = key
    this.permit = permit
    this.relayed = target.provider.dialect === journey.call!.dialect
    this.kind = kindOf(call)
    const { clock } = gateway
    this.begunTicks = clock.ticks()
    const isFirst = journey.tried.length === 0
    this.times = watch(clock, this.begunTicks, target.timeouts, journey.deadlineTicks, isFirst, this.stop)
    stop.hear(this.stop)
    this.pace = gateway.paces.begun(target.id, this.kind)
    this.traced = journey.trace?.attempt(target, call)
    gateway.ledger.inFlight(target, 1)
  }

  async outcome(): Promise<Outcome> {
    const { target, key, role } = this
    try {
      if (this.outside.fault !== undefined) throw this.outside.fault
      if (!this.journey.tried.includes(target)) this.journey.tried.push(target)
      const request = target.provider.encode(this.call, target, key.value)
      if (target.provider.sign !== undefined) await this.sign(request)
      let answered = await this.send(request)
      this.heard()
      if (!isGood(answered)) {
        await this.renew(request, this.refusal(answered))
        answered = await this.send(request)
        this.heard()
        if (!isGood(answered)) throw this.refusal(answered)
      }
      throwIfPacked(answered)
      const pieces = answered.body === undefined ? await this.streamed() : this.whole(answered.body)
      const record: AttemptRecord = {
        target,
        key: key.name,
        outcome: 'answered',
        ms: this.gateway.clock.ticks() - this.begunTicks,
        ...(role !== undefined && { role }),
        ...(this.isSlow && { slow: true }),
      }
      this.recorded(record)
      return { kind: 'answered', answer: this.answer(pieces, request.leftOut ?? NOTHING) }
    } catch (thrown) {
      this.heard()
      const fault = faultOf(thrown)
      this.over(fault)
      const { detail, upstreamStatus: status } = fault.details
      this.recorded({
        target,
        key: key.name,
        outcome: fault === UNWANTED ? 'cancelled' : fault.kind,
        ms: this.gateway.clock.ticks() - this.begunTicks,
        ...(role !== undefined && { role }),
        ...(detail !== undefined && fault !== UNWANTED && { detail: this.gateway.redact(detail) }),
        ...(status !== undefined && { status }),
      })
      return { kind: 'failed', fault }
    }
  }

  private answer(pieces: Pieces, leftOut: readonly string[]): Answer {
    const { target, rung } = this
    const drop = () => this.stop(UNWANTED)
    if (rung === undefined) return { target, pieces, leftOut, drop }
    return { target, pieces, level: rung.level, leftOut: [...rung.leftOut, ...leftOut], drop }
  }

  /** Asks. What comes is, of a stream, the head; of anything else all of it. Until it comes, or does not, we wait for the upstream. */
  private send(request: UpstreamRequest): Promise<Answered> {
    const { target, traced } = this
    const headers = requestHeaders(target, this.key, request.headers, this.signed)
    this.earlierSends += this.running?.sends() ?? 0
    this.running = exchange(this.gateway.pools, {
      origin: target.origin,
      path: request.path,
      headers: traced === undefined ? headers : [...headers, ...traced.headers],
      body: request.body,
      connectMs: target.timeouts.connectMs,
      atOnce: head => this.atOnce(head),
      onChunk: () => this.heardSome(),
    })
    this.waiting()
    return this.running.head
  }

  /** Refusals and whole answers are read at once. */
  private atOnce(head: Head): number | undefined {
    this.isRefused = !isGood(head)
    if (this.isRefused) return MAX_REFUSAL_BYTES
    this.type = mediaType(head.headers)
    this.framing = framingOf(this.target.provider.framing, this.type)
    return this.framing === undefined ? MAX_ANSWER_BYTES : undefined
  }

  private async sign(request: UpstreamRequest): Promise<void> {
    this.waiting()
    this.signed = await this.unlessStopped(this.target.provider.sign!(request, this.target, this.key.value))
    this.heard()
  }

  /** Signs once more where that can help. Throws what was refused where it can not. */
  private async renew(request: UpstreamRequest, refused: Fault): Promise<void> {
    if (this.signed === undefined || !this.target.provider.renews?.(this.key.value, this.signed, refused)) throw refused
    await this.sign(request)
  }

  /** A signature may have to be fetched from somewhere, and nothing of ours can end that. */
  private unlessStopped<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.onStop = reject
      promise.then(resolve, reject)
    })
  }

  private async streamed(): Promise<Pieces> {
    const { call, target } = this
    const relayed = this.relayed && call.stream
    const stream = streamedPieces(this, await this.framing!.make(), target.provider.decoder(), relayed)
    const held = await committed(stream, call.prefill !== undefined)
    this.begun()
    if (!call.stream) {
      const events = (await gathered(held, stream, MAX_ANSWER_BYTES)).flatMap(piece => piece.events)
      return following([this.introduced({ events })], undefined)
    }
    if (this.journey.route!.recover === 'hold') return following(await gathered(held, stream, MAX_ANSWER_BYTES), undefined)
    if (held.length > 0) held[0] = this.introduced(held[0]!)
    return following(held, stream)
  }

  private whole(bytes: Buffer): Pieces {
    if (this.type === 'text/html') throw new Fault('upstream-garbled', { detail: 'an HTML page' })
    const piece = wholePiece(this.target.provider, bytes, this.relayed && !this.call.stream)
    this.noted(piece)
    this.begun()
    this.over()
    return following([this.introduced(piece)], undefined)
  }

  private introduced(first: Piece): Piece {
    return this.relayed ? first : introduced(first, this.target.model)
  }

  /** The commit point. */
  private begun(): void {
    const { gateway, journey, target, call } = this
    this.times.begun()
    this.contentTicks = gateway.clock.ticks()
    const ms = this.contentTicks - this.begunTicks
    this.isSlow = ms > (lateAfterMs(gateway, journey, target, call) ?? Number.POSITIVE_INFINITY)
    gateway.paces.answered(this.pace, this.kind, ms)
  }

  /** The first bytes are the beginning of an answer (not of a refusal), and the silence is counted anew after any. */
  private heardSome(): void {
    if (this.isRefused) return
    this.times.begun()
    this.times.waiting(this.gateway.clock.ticks())
  }

  private refusal({ status, headers, body }: Answered): Fault {
    const { gateway, target } = this
    // At once, since what is cut out of it later could hold a part of a secret.
    const text = gateway.redact(body!.toString('utf8'))
    return target.provider.classify({
      status,
      headers,
      body: tryParse(text),
      text: text.slice(0, REFUSAL_TEXT),
      receivedMs: gateway.clock.now(),
    })
  }

  /** We wait for the upstream, from now until `heard`. */
  private waiting(): void {
    const now = this.gateway.clock.ticks()
    this.isWaiting = true
    this.times.waiting(now)
    if (this.journey.waits++ === 0) this.journey.waitsSince = now
  }

  read(reader: Reader): void {
    this.waiting()
    this.running!.read(reader)
  }

  heard(): void {
    if (!this.isWaiting) return
    const { journey } = this
    this.isWaiting = false
    this.times.heard()
    if (--journey.waits === 0) journey.upstreamMs += this.gateway.clock.ticks() - journey.waitsSince
  }

  noted({ events }: Piece): void {
    this.traced?.saw(events)
    for (const event of events) {
      if (event.type === 'usage') this.usage = event.usage
      else if ('text' in event) this.said += event.text.length
      else if (event.type === 'tool-delta') this.said += event.json.length
    }
  }

  malformed(): void {
    this.journey.malformed++
    this.gateway.ledger.malformed(this.target)
  }

  ended(thrown?: unknown): void {
    if (thrown !== undefined) return this.over(faultOf(thrown))
    if (!this.isOver) letGo(this.running!)
    this.over()
  }

  /** The end of it, once: with the fault that ended it, or none. */
  private over(fault?: Fault): void {
    if (this.isOver) return
    this.isOver = true
    this.fault = fault
    const { gateway, target, call, key, permit, pace, contentTicks } = this
    this.times.stop()
    this.outside.unhear(this.stop)
    // Its rest, if there is any, is of no use to anybody.
    if (fault !== undefined) this.running?.abort(fault)
    const endTicks = gateway.clock.ticks()
    gateway.paces.over(pace, fault, contentTicks === undefined ? endTicks - this.begunTicks : 0, fault === UNWANTED)
    if (fault === undefined && call.stream) gateway.paces.streamed(pace, answerTokens(this.usage), endTicks - contentTicks!)
    gateway.ledger.inFlight(target, -1)
    // An answer that broke off is paid for as far as it came, told or not.
    if (fault !== undefined && this.said > 0) this.usage = usageSoFar(call, this.usage, this.said)
    key.release({ fault, accepted: fault === undefined, tokens: this.usage && totalTokens(this.usage) })
    if (fault === undefined) gateway.circuits.report(permit, true)
    else if (rowOf(fault.kind).circuit && !this.isBlameless(fault)) gateway.circuits.report(permit, false)
    else gateway.circuits.release(permit)
    this.writeDown()
  }

  /** Where the beginning was all of the answer, nothing follows it, and most decoders take nothing for no answer. */
  private isBlameless({ kind, details }: Fault): boolean {
    return details.blameless === true || (this.call.prefill !== undefined && kind === 'upstream-garbled')
  }

  /** In the journey; its usage follows once it is known. */
  private recorded(record: AttemptRecord): void {
    this.gateway.ledger.attempted(this.journey, record)
    this.record = record
    const sends = this.earlierSends + (this.running?.sends() ?? 0)
    if (sends !== 1) record.sends = sends
    this.writeDown()
  }

  private writeDown(): void {
    const { record, usage, fault, contentTicks } = this
    if (record === undefined || !this.isOver) return
    if (usage !== undefined) record.usage = usage
    if (fault !== undefined && fault !== UNWANTED && record.outcome === 'answered') record.broke = fault.kind
    this.traced?.over(record, contentTicks === undefined ? undefined : contentTicks - this.begunTicks)
  }
}

function throwIfPacked({ headers }: Head): void {
  const encoding = headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return
  throw new Fault('upstream-garbled', { detail: `content-encoding ${String(encoding)}, though identity was asked for` })
}

const NOTHING: readonly string[] = []

function isGood(head: Head): boolean {
  return head.status >= 200 && head.status <= 299
}

/** After a stream's own terminator: the end of the body is read so that the connection can be used again, but not for long. */
function letGo(from: Exchange): void {
  const enough = new Fault('upstream-garbled', { detail: 'more data after the end of the stream' })
  from.rest(MAX_REFUSAL_BYTES).catch(() => from.abort(enough))
}
