/*
 * One try: key, circuit, request, and the answer up to its first content. A try that fails is a value. Whatever way it ends, it ends
 * once: the timer is stopped, the connection let go, the key given back, and circuit and key learn what the fault table says.
 */
import type { Outcome, PassedOver, Step, Target } from '../core/attempt.ts'
import type { Piece, Usage } from '../core/chat.ts'
import { Fault, faultOf, rowOf } from '../core/fault.ts'
import { tryParse } from '../core/json.ts'
import type { Permit } from '../resilience/circuit.ts'
import type { HeldKey } from '../resilience/keys.ts'
import { type Exchange, exchange, type Head } from '../upstream/exchange.ts'
import { sseFramer } from '../upstream/framing.ts'
import { committed, gathered, mediaType, single, streamedPieces, wholePiece } from './answer.ts'
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
      // Some providers repeat the key that they refuse.
      ...(detail !== undefined && { detail: key.value === '' ? detail : detail.replaceAll(key.value, '[key]') }),
      ...(status !== undefined && { status }),
      ...(attempting.usage() !== undefined && { usage: attempting.usage()! }),
    })
    return { kind: 'failed', fault }
  }
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
  let isOver = false

  const times = watch(clock, target.timeouts, journey.deadlineTicks, journey.tried.size === 0, stop)
  const onGone = () => stop(faultOf(journey.signal.reason))
  journey.signal.addEventListener('abort', onGone, { once: true })
  gateway.ledger.inFlight(target, 1)

  /** Ends it from our side. What waits for the upstream rejects; if nothing does, the attempt is over here and now. */
  function stop(fault: Fault): void {
    running?.abort(fault)
    over(fault)
  }

  function over(fault?: Fault): void {
    if (isOver) return
    isOver = true
    times.stop()
    journey.signal.removeEventListener('abort', onGone)
    // Its rest, if there is any, is of no use to anybody.
    if (fault !== undefined) running?.abort(fault)
    gateway.ledger.inFlight(target, -1)
    const tokens = totalTokens(usage)
    key.release({ ...(fault === undefined ? { accepted: true } : { fault }), ...(tokens !== undefined && { tokens }) })
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
    if (journey.signal.aborted) throw journey.signal.reason
    journey.tried.add(target)
    const request = provider.encode(call, target)
    journey.leftOut = request.leftOut ?? []
    const signed = provider.sign === undefined ? undefined : await provider.sign(request, target, key.value)
    running = exchange(gateway.pools, {
      origin: target.origin,
      path: request.path,
      headers: requestHeaders(target, key, request.headers, signed),
      body: request.body,
      connectMs: target.timeouts.connectMs,
    })
    const head = await waited(running.head)
    if (head.status < 200 || head.status > 299) throw await refusal(running, head)
    const encoding = head.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') {
      throw new Fault('upstream-garbled', { detail: `content-encoding ${String(encoding)}, though identity was asked for` })
    }
    const pieces = mediaType(head.headers) === 'text/event-stream' ? await streamed(running) : await whole(running, head)
    return settling(pieces)
  }

  async function streamed(from: Exchange): Promise<AsyncIterator<Piece, void>> {
    const next = streamedPieces({
      read: () => waited(from.read()),
      framer: sseFramer(),
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
    const first = await waited(from.read())
    times.begun()
    const rest = first === undefined ? Buffer.alloc(0) : await waited(restAfter(first, from))
    if (mediaType(head.headers) === 'text/html') throw new Fault('upstream-garbled', { detail: 'an HTML page' })
    return single(noted(wholePiece(provider, rest, relayed && !call.stream))!)
  }

  async function restAfter(first: Buffer, from: Exchange): Promise<Buffer> {
    const chunks = [first]
    let bytes = first.length
    for (;;) {
      const chunk = await from.read()
      if (chunk === undefined) return chunks.length === 1 ? first : Buffer.concat(chunks)
      times.waiting()
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES)
        throw new Fault('upstream-garbled', { detail: `an answer of more than ${MAX_ANSWER_BYTES} bytes` })
    }
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

/** After a stream's own terminator: the end of the body is read so that the connection can be used again, but not for long. */
function letGo(from: Exchange): void {
  const enough = new Fault('upstream-garbled', { detail: 'more data after the end of the stream' })
  from.rest(MAX_REFUSAL_BYTES).catch(() => from.abort(enough))
}

function totalTokens(usage: Usage | undefined): number | undefined {
  if (usage === undefined) return undefined
  return (usage.input ?? 0) + (usage.cached ?? 0) + (usage.cacheWrite ?? 0) + (usage.output ?? 0) + (usage.reasoning ?? 0)
}
