/*
 * Requests in our hands, from their heads to the ends of their answers: those that Fastify routes and the calls that come past it. A
 * journey begins with the head of a request, whoever reads the rest; what is answered is written to the raw response.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from '../core/fault.ts'
import { type Stopper, stopper } from '../core/stop.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Gateway, Journey } from '../gateway/gateway.ts'
import { arrive, identify, type Reply, refuse } from '../gateway/journey.ts'
import type { Readiness } from './health.ts'
import { draining } from './refusals.ts'
import { send } from './send.ts'

/** One of them. */
export interface UnderWay {
  /** The one that it began with, whatever is configured meanwhile. */
  readonly gateway: Gateway
  readonly journey: Journey
  readonly request: IncomingMessage
  readonly raw: ServerResponse
  readonly stopper: Stopper
  /** Of its body, as far as it has come. */
  bytes: number
}

export interface Requests {
  /** The head of a request has come. */
  begin(request: IncomingMessage, raw: ServerResponse): UnderWay
  /** Who asks, and whether anything new is begun here. Throws a Fault. */
  identify(underWay: UnderWay): void
  answer(underWay: UnderWay, reply: Reply): void
  /** Refuses before there is a call, and does not wait for the rest of the body. */
  refuse(underWay: UnderWay, fault: Fault): void
  all(): readonly UnderWay[]
  /** How many there are. */
  size(): number
  /** More of a body has come. */
  holds(underWay: UnderWay, bytes: number): void
  /** Of the bodies of all that there are. */
  bytes(): number
  /** How many there have been. */
  begun(): number
}

const REQUEST_ID = /^[\w.:-]{1,128}$/

/** @param current what counts for a request that comes now */
export function requests(current: () => Gateway, readiness: Readiness): Requests {
  const kept = places<UnderWay>()
  let count = 0
  let allBytes = 0

  function answer({ gateway, raw, stopper }: UnderWay, reply: Reply): void {
    if (!readiness.keepsConnections()) raw.setHeader('connection', 'close')
    const gone = () => stopper.stop(new Fault('client-gone'))
    const destroy = () => void raw.destroy()
    try {
      send(raw, reply, gateway.clock, gone)?.catch(destroy)
    } catch {
      destroy()
    }
  }

  return {
    begin(request, raw) {
      count++
      const shown = request.headers['x-request-id']
      const requestId = typeof shown === 'string' && REQUEST_ID.test(shown) ? shown : undefined
      const stop = stopper()
      const gateway = current()
      const journey = arrive(gateway, requestId, stop, request.headers)
      const begun = { gateway, journey, request, raw, stopper: stop, bytes: 0 }
      const place = kept.take(begun)
      // Not Fastify's request.signal, which aborts as soon as the body of a POST has been read.
      raw.on('close', () => {
        kept.leave(place)
        allBytes -= begun.bytes
        if (!raw.writableFinished) stop.stop(new Fault('client-gone'))
      })
      return begun
    },
    identify({ gateway, journey, request }) {
      if (!readiness.ready()) throw draining()
      identify(gateway, journey, request.headers.authorization)
    },
    answer,
    refuse(underWay, fault) {
      const { gateway, journey, request, raw } = underWay
      const reply = refuse(gateway, chat, journey, fault)
      if (!request.complete) {
        raw.setHeader('connection', 'close')
        raw.once('finish', () => request.destroy())
      }
      answer(underWay, reply)
    },
    all: kept.all,
    size: kept.size,
    holds(underWay, bytes) {
      underWay.bytes += bytes
      allBytes += bytes
    },
    bytes: () => allBytes,
    begun: () => count,
  }
}

/**
 * A set that is cheap to change. Not a Map: at thousands of changes a second a Map grows new tables all the time, and an old one that the
 * garbage collector has not come to yet keeps alive all that went through the new ones. Places in an array leave nothing behind.
 */
function places<Each>() {
  const taken: (Each | undefined)[] = []
  const free: number[] = []
  return {
    /** @returns its place */
    take(each: Each): number {
      const place = free.pop() ?? taken.length
      taken[place] = each
      return place
    },
    leave(place: number) {
      taken[place] = undefined
      free.push(place)
    },
    all: () => taken.filter(each => each !== undefined),
    size: () => taken.length - free.length,
  }
}
