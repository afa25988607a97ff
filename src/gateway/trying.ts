/*
 * A try under way: its request, and the answer up to its first content and on to its end. Whatever way it ends, it ends once: the timer is
 * stopped, the connection let go, the key given back, circuit and key learn what the fault table says, and what it used is written down.
 */
import type { Answer, AttemptRecord, Step } from '../core/attempt.ts'
import { answerTokens, type ChatCall, type Piece, type Pieces, totalTokens, type Usage } from '../core/chat.ts'
import { Fault, faultOf, rowOf } from '../core/fault.ts'
import { tryParse } from '../core/json.ts'
import type { UpstreamRequest } from '../core/provider.ts'
import type { Stop } from '../core/stop.ts'
import type { Permit } from '../resilience/circuit.ts'
import type { HeldKey } from '../resilience/keys.ts'
import { type Answered, type Exchange, exchange, type Head, type Reader } from '../upstream/exchange.ts'
import { type Framing, framingOf } from '../upstream/framers.ts'
import { usageSoFar } from '../usage/estimate.ts'
import { committed, following, gathered, introduced, mediaType, streamedPieces, wholePiece } from './answer.ts'
import type { Gateway, Journey } from './gateway.ts'
import { kindOf, lateAfterMs } from './late.ts'
import { requestHeaders } from './request-headers.ts'
import { watch } from './watch.ts'

const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_REFUSAL_BYTES = 256 * 1024
/** How much of a refusal is kept as text, for rules that look at messages. */
const REFUSAL_TEXT = 4_000

/** Ends an attempt whose answer is of no use any more, though the client still waits for one. */
export const UNWANTED = new Fault('client-gone', { detail: 'another answer is used' })

export interface Trying {
  /** Sends, and reads up to the commit point. */
  run(): Promise<Answer>
  /** Whether its first content came later than the route likes. */
  wasSlow(): boolean
  /** Where its usage belongs, once it is known. */
  recorded(record: AttemptRecord): void
  /** The end of it, once: with the fault that ended it, or none. */
  over(fault?: Fault): void
}

/** @param outside ends it, whoever wants that */
export function begin(
  gateway: Gateway,
  journey: Journey,
  { target, rung }: Step,
  call: ChatCall,
  outside: Stop,
  key: HeldKey,
  permit: Permit,
): Trying {
  const { clock } = gateway
  const { provider } = target
  const relayed = provider.dialect === journey.call!.dialect
  let record: AttemptRecord | undefined
  /** As the provider told it. */
  let usage: Usage | undefined
  /** Characters of the answer so far. */
  let said = 0
  let running: Exchange | undefined
  let signed: Readonly<Record<string, string>> | undefined
  /** Of the answer under way: whether it is a refusal, and how it is framed where it is a stream. */
  let isRefused = false
  let framing: Framing | undefined
  let earlierSends = 0
  let onStop: (fault: Fault) => void = () => {}
  let isOver = false
  let ended: Fault | undefined

  const times = watch(clock, target.timeouts, journey.deadlineTicks, journey.tried.size === 0, stop)
  const unheard = outside.heard(stop)
  const kind = kindOf(call)
  const begunTicks = clock.ticks()
  let contentTicks: number | undefined
  let isSlow = false
  const pace = gateway.paces.begun(target.id, kind)
  const traced = journey.trace?.attempt(target, call)
  gateway.ledger.inFlight(target, 1)

  /** Ends it from our side. What waits for the upstream rejects; if nothing does, the attempt is over here and now. */
  function stop(fault: Fault): void {
    running?.abort(fault)
    onStop(fault)
    over(fault)
  }

  function over(fault?: Fault): void {
    if (isOver) return
    isOver = true
    ended = fault
    times.stop()
    unheard()
    // Its rest, if there is any, is of no use to anybody.
    if (fault !== undefined) running?.abort(fault)
    const endTicks = clock.ticks()
    gateway.paces.over(pace, fault, contentTicks === undefined ? endTicks - begunTicks : 0, fault === UNWANTED)
    if (fault === undefined && call.stream) gateway.paces.streamed(pace, answerTokens(usage), endTicks - contentTicks!)
    gateway.ledger.inFlight(target, -1)
    // An answer that broke off is paid for as far as it came, told or not.
    if (fault !== undefined && said > 0) usage = usageSoFar(call, usage, said)
    key.release({ fault, accepted: fault === undefined, tokens: usage && totalTokens(usage) })
    if (fault === undefined) gateway.circuits.report(permit, true)
    else if (rowOf(fault.kind).circuit && !isBlameless(fault)) gateway.circuits.report(permit, false)
    else gateway.circuits.release(permit)
    writeDown()
  }

  /** Where the beginning was all of the answer, nothing follows it, and most decoders take nothing for no answer. */
  function isBlameless({ kind, details }: Fault): boolean {
    return details.blameless === true || (call.prefill !== undefined && kind === 'upstream-garbled')
  }

  function writeDown(): void {
    if (record === undefined || !isOver) return
    if (usage !== undefined) record.usage = usage
    if (ended !== undefined && ended !== UNWANTED && record.outcome === 'answered') record.broke = ended.kind
    traced?.over(record, contentTicks === undefined ? undefined : contentTicks - begunTicks)
  }

  /** We wait for the upstream, from now until `heard`. */
  function waiting(): void {
    const now = clock.ticks()
    times.waiting(now)
    if (journey.waits++ === 0) journey.waitsSince = now
  }

  function heard(): void {
    times.heard()
    if (--journey.waits === 0) journey.upstreamMs += clock.ticks() - journey.waitsSince
  }

  async function waited<Value>(promise: Promise<Value>): Promise<Value> {
    waiting()
    try {
      return await promise
    } finally {
      heard()
    }
  }

  async function run(): Promise<Answer> {
    if (outside.fault !== undefined) throw outside.fault
    journey.tried.add(target)
    const request = provider.encode(call, target, key.value)
    if (provider.sign !== undefined) await sign(request)
    let answered = await asked(request)
    if (!isGood(answered)) {
      const refused = refusal(answered)
      if (signed === undefined || !provider.renews?.(key.value, signed, refused)) throw refused
      await sign(request)
      answered = await asked(request)
      if (!isGood(answered)) throw refusal(answered)
    }
    const encoding = answered.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') {
      throw new Fault('upstream-garbled', { detail: `content-encoding ${String(encoding)}, though identity was asked for` })
    }
    const pieces = answered.body === undefined ? await streamed(running!, framing!) : whole(answered.body, answered)
    const { leftOut = NOTHING } = request
    const drop = () => stop(UNWANTED)
    if (rung === undefined) return { target, pieces, leftOut, drop }
    return { target, pieces, level: rung.level, leftOut: [...rung.leftOut, ...leftOut], drop }
  }

  /** What the provider answers: of a stream the head, of anything else all of it. */
  function asked(request: UpstreamRequest): Promise<Answered> {
    const headers = requestHeaders(target, key, request.headers, signed)
    earlierSends += running?.sends() ?? 0
    running = exchange(gateway.pools, {
      origin: target.origin,
      path: request.path,
      headers: traced === undefined ? headers : [...headers, ...traced.headers],
      body: request.body,
      connectMs: target.timeouts.connectMs,
      atOnce,
      onChunk: heardSome,
    })
    return waited(running.head)
  }

  /** Refusals and whole answers are read at once. */
  function atOnce(head: Head): number | undefined {
    isRefused = !isGood(head)
    if (isRefused) return MAX_REFUSAL_BYTES
    framing = framingOf(provider.framing, mediaType(head.headers))
    return framing === undefined ? MAX_ANSWER_BYTES : undefined
  }

  async function sign(request: UpstreamRequest): Promise<void> {
    signed = await waited(unlessStopped(provider.sign!(request, target, key.value)))
  }

  /** A signature may have to be fetched from somewhere, and nothing of ours can end that. */
  function unlessStopped<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      onStop = reject
      promise.then(resolve, reject)
    })
  }

  async function streamed(from: Exchange, framing: Framing): Promise<Pieces> {
    const source = {
      read(reader: Reader) {
        waiting()
        from.read(reader)
      },
      heard,
      noted,
      malformed() {
        journey.malformed++
        gateway.ledger.malformed(target)
      },
      over(thrown?: unknown) {
        if (thrown === undefined && !isOver) letGo(from)
        over(thrown === undefined ? undefined : faultOf(thrown))
      },
    }
    const stream = streamedPieces(source, await framing.make(), provider.decoder(), relayed && call.stream)
    const held = await committed(stream, call.prefill !== undefined)
    begun()
    if (!call.stream) {
      const events = (await gathered(held, stream, MAX_ANSWER_BYTES)).flatMap(piece => piece.events)
      return following([begunBy({ events })], undefined)
    }
    if (journey.route!.recover === 'hold') return following(await gathered(held, stream, MAX_ANSWER_BYTES), undefined)
    if (held.length > 0) held[0] = begunBy(held[0]!)
    return following(held, stream)
  }

  function whole(bytes: Buffer, head: Head): Pieces {
    if (mediaType(head.headers) === 'text/html') throw new Fault('upstream-garbled', { detail: 'an HTML page' })
    const piece = wholePiece(provider, bytes, relayed && !call.stream)
    noted(piece)
    begun()
    over()
    return following([begunBy(piece)], undefined)
  }

  /** The commit point. */
  function begun(): void {
    times.begun()
    contentTicks = clock.ticks()
    const ms = contentTicks - begunTicks
    isSlow = ms > (lateAfterMs(gateway, journey, target, call) ?? Number.POSITIVE_INFINITY)
    gateway.paces.answered(pace, kind, ms)
  }

  const begunBy = (first: Piece) => (relayed ? first : introduced(first, target.model))

  /** The first bytes are the beginning of an answer (not of a refusal), and the silence is counted anew after any. */
  function heardSome(): void {
    if (isRefused) return
    times.begun()
    times.waiting(clock.ticks())
  }

  function refusal({ status, headers, body }: Answered): Fault {
    // At once, since what is cut out of it later could hold a part of a secret.
    const text = gateway.redact(body!.toString('utf8'))
    return provider.classify({
      status,
      headers,
      body: tryParse(text),
      text: text.slice(0, REFUSAL_TEXT),
      receivedMs: clock.now(),
    })
  }

  function noted({ events }: Piece): void {
    traced?.saw(events)
    for (const event of events) {
      if (event.type === 'usage') usage = event.usage
      else if ('text' in event) said += event.text.length
      else if (event.type === 'tool-delta') said += event.json.length
    }
  }

  return {
    run,
    over,
    wasSlow: () => isSlow,
    recorded(written) {
      record = written
      const sends = earlierSends + (running?.sends() ?? 0)
      if (sends !== 1) record.sends = sends
      writeDown()
    },
  }
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
