/*
 * One try: key, circuit, request, and the answer up to its first content. A try that fails is a value. Whatever way it ends, it ends
 * once: the timer is stopped, the connection let go, the key given back, and circuit and key learn what the fault table says.
 */
import type { Outcome, PassedOver, Step, Target } from '../core/attempt.ts'
import { type Piece, totalTokens, type Usage } from '../core/chat.ts'
import { Fault, faultOf, rowOf } from '../core/fault.ts'
import { tryParse } from '../core/json.ts'
import type { UpstreamRequest } from '../core/provider.ts'
import type { Permit } from '../resilience/circuit.ts'
import type { HeldKey } from '../resilience/keys.ts'
import { type Exchange, exchange, type Head } from '../upstream/exchange.ts'
import { type Framing, framingOf } from '../upstream/framers.ts'
import { committed, gathered, introduced, mediaType, single, streamedPieces, wholePiece } from './answer.ts'
import type { Gateway, Journey } from './gateway.ts'
import { requestHeaders } from './request-headers.ts'
import { watch } from './watch.ts'

const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_REFUSAL_BYTES = 256 * 1024
/** How much of a refusal is kept as text, for rules that look at messages. */
const REFUSAL_TEXT = 4_000

/** @param lastResort the target's circuit is open, and it is tried all the same */
export async function attempt(gateway: Gateway, journey: Journey, step: Step, lastResort = false): Promise<Outcome> {
  const { target } = step
  const startedTicks = gateway.clock.ticks()
  const pass = (reason: PassedOver, retryAtMs?: number): Outcome => {
    gateway.ledger.attempted(journey, { target, outcome: `passed-over:${reason}`, ms: 0 })
    return { kind: 'passed-over', reason, ...(retryAtMs !== undefined && { retryAtMs }) }
  }

  // The key before the circuit: a probe must not be wasted on a target that no key can ask.
  const chosen = gateway.keys.choose(target.providerName, journey.tokens)
  const held = chosen instanceof Promise ? await chosen : chosen
  if (!('key' in held)) return pass('no-key', held.retryAtMs)
  const { key } = held
  const asked = lastResort ? gateway.circuits.admitAsLastResort(target.id) : gateway.circuits.admit(target.id)
  const admission = asked instanceof Promise ? await asked : asked
  if (!('permit' in admission)) {
    key.release({})
    return pass('circuit-open', admission.retryAtMs)
  }

  const attempting = begin(gateway, journey, target, key, admission.permit)
  try {
    const pieces = await attempting.run()
    const ms = gateway.clock.ticks() - startedTicks
    journey.answeredBy = target
    journey.firstTokenMs = gateway.clock.ticks() - journey.startedTicks
    gateway.ledger.attempted(journey, { target, key: key.name, outcome: 'answered', ms })
    return { kind: 'answered', pieces }
  } catch (thrown) {
    const fault = faultOf(thrown)
    attempting.over(fault)
    const { detail, upstreamStatus: status } = fault.details
    const ms = gateway.clock.ticks() - startedTicks
    gateway.ledger.attempted(journey, {
      target,
      key: key.name,
      outcome: fault.kind,
      ms,
      ...(detail !== undefined && { detail: withoutKey(detail, key) }),
      ...(status !== undefined && { status }),
      ...(attempting.usage() !== undefined && { usage: attempting.usage()! }),
    })
    return { kind: 'failed', fault }
  }
}

/** Shorter ones are words that stand for credentials kept elsewhere, and no secrets. */
const SHORTEST_SECRET = 8

/** Some providers repeat the key that they refuse. */
function withoutKey(detail: string, { value }: HeldKey): string {
  return value.length < SHORTEST_SECRET ? detail : detail.replaceAll(value, '[key]')
}

interface Sent {
  readonly from: Exchange
  readonly head: Head
  readonly signed: Readonly<Record<string, string>> | undefined
}

interface Attempting {
  /** Sends, and reads up to the commit point. */
  run(): Promise<AsyncIterator<Piece, void>>
  /** What the answer has told of its usage so far. */
  usage(): Usage | undefined
  /** The end of it, once: with the fault that ended it, or none. */
  over(fault?: Fault): void
}

function begin(gateway: Gateway, journey: Journey, target: Target, key: HeldKey, permit: Permit): Attempting {
  const { clock } = gateway
  const { provider } = target
  const call = journey.call!
  const relayed = provider.dialect === call.dialect
  let usage: Usage | undefined
  let running: Exchange | undefined
  let onStop: (fault: Fault) => void = () => {}
  let isOver = false

  const times = watch(clock, target.timeouts, journey.deadlineTicks, journey.tried.size === 0, stop)
  const unheard = journey.stop.heard(stop)
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
    times.stop()
    unheard()
    // Its rest, if there is any, is of no use to anybody.
    if (fault !== undefined) running?.abort(fault)
    gateway.ledger.inFlight(target, -1)
    key.release({ fault, accepted: fault === undefined, tokens: usage && totalTokens(usage) })
    if (fault === undefined) gateway.circuits.report(permit, true)
    else if (rowOf(fault.kind).circuit && !fault.details.blameless) gateway.circuits.report(permit, false)
    else gateway.circuits.release(permit)
  }

  async function waited<Value>(promise: Promise<Value>): Promise<Value> {
    const since = clock.ticks()
    times.waiting()
    try {
      return await promise
    } finally {
      times.heard()
      journey.upstreamMs += clock.ticks() - since
    }
  }

  async function run(): Promise<AsyncIterator<Piece, void>> {
    if (journey.stop.fault !== undefined) throw journey.stop.fault
    journey.tried.add(target)
    const request = provider.encode(call, target, key.value)
    journey.leftOut = request.leftOut ?? []
    let { from, head, signed } = await sent(request)
    if (!isGood(head)) {
      const refused = await refusal(from, head)
      if (signed === undefined || !provider.renews?.(key.value, signed, refused)) throw refused
      ;({ from, head } = await sent(request))
      if (!isGood(head)) throw await refusal(from, head)
    }
    const encoding = head.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') {
      throw new Fault('upstream-garbled', { detail: `content-encoding ${String(encoding)}, though identity was asked for` })
    }
    const framing = framingOf(provider.framing, mediaType(head.headers))
    const pieces = framing === undefined ? await whole(from, head) : await streamed(from, framing)
    return settling(relayed ? pieces : introduced(pieces, target.model))
  }

  async function sent(request: UpstreamRequest): Promise<Sent> {
    const signed =
      provider.sign === undefined ? undefined : await waited(unlessStopped(provider.sign(request, target, key.value)))
    const from = exchange(gateway.pools, {
      origin: target.origin,
      path: request.path,
      headers: requestHeaders(target, key, request.headers, signed),
      body: request.body,
      connectMs: target.timeouts.connectMs,
    })
    running = from
    return { from, head: await waited(from.head), signed }
  }

  /** A signature may have to be fetched from somewhere, and nothing of ours can end that. */
  function unlessStopped<Value>(promise: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      onStop = reject
      promise.then(resolve, reject)
    })
  }

  async function streamed(from: Exchange, framing: Framing): Promise<AsyncIterator<Piece, void>> {
    const next = streamedPieces({
      read: () => waited(from.read()),
      framer: await framing.make(),
      decoder: provider.decoder(),
      relayed: relayed && call.stream,
      onMalformed: () => {
        journey.malformed++
        gateway.ledger.malformed(target)
      },
      onDone: () => letGo(from),
    })
    const pieces = await committed(async () => noted(await next()))
    times.begun()
    return call.stream ? pieces : single(await gathered(pieces))
  }

  async function whole(from: Exchange, head: Head): Promise<AsyncIterator<Piece, void>> {
    const bytes = await waited(from.rest(MAX_ANSWER_BYTES, heardSome))
    if (mediaType(head.headers) === 'text/html') throw new Fault('upstream-garbled', { detail: 'an HTML page' })
    return single(noted(wholePiece(provider, bytes, relayed && !call.stream))!)
  }

  /** The first bytes are the beginning of the answer, and the silence is counted anew after any. */
  function heardSome(): void {
    times.begun()
    times.waiting()
  }

  async function refusal(from: Exchange, head: Head): Promise<Fault> {
    const body = await waited(from.rest(MAX_REFUSAL_BYTES))
    const text = body.toString('utf8')
    return provider.classify({
      status: head.status,
      headers: head.headers,
      body: tryParse(text),
      text: text.slice(0, REFUSAL_TEXT),
      receivedMs: clock.now(),
    })
  }

  function noted(piece: Piece | undefined): Piece | undefined {
    for (const event of piece?.events ?? []) if (event.type === 'usage') usage = event.usage
    return piece
  }

  /** The end of the attempt comes with the end of its pieces. */
  function settling(pieces: AsyncIterator<Piece, void>): AsyncIterator<Piece, void> {
    return {
      async next() {
        try {
          const result = await pieces.next()
          journey.usage = usage
          if (result.done) over()
          return result
        } catch (thrown) {
          const fault = faultOf(thrown)
          over(fault)
          throw fault
        }
      },
    }
  }

  return { run, over, usage: () => usage }
}

function isGood(head: Head): boolean {
  return head.status >= 200 && head.status <= 299
}

/** After a stream's own terminator: the end of the body is read so that the connection can be used again, but not for long. */
function letGo(from: Exchange): void {
  const enough = new Fault('upstream-garbled', { detail: 'more data after the end of the stream' })
  from.rest(MAX_REFUSAL_BYTES).catch(() => from.abort(enough))
}
