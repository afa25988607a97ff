/*
 * The listener for clients: one table of dialects, the list of models, and the two questions of load balancers. A call's answer is
 * written to the raw response; Fastify routes, reads the body within its limits, and keeps slow senders out.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Dialect } from '../core/dialect.ts'
import { Fault } from '../core/fault.ts'
import { type Stopper, stopper } from '../core/stop.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Assembled } from '../gateway/assemble.ts'
import type { Gateway, Journey } from '../gateway/gateway.ts'
import { arrive, identify, type Reply, refuse, serve } from '../gateway/journey.ts'
import { addTwins } from './admin/twins.ts'
import { addHealth, type Readiness } from './health.ts'
import { draining, httpFault, noSuchUrl, packed, refuseSocket } from './refusals.ts'
import { send } from './send.ts'

export interface ServerOptions {
  readonly maxBodyBytes: number
  readonly readiness: Readiness
  /** Times for slow senders; the defaults are for production, tests have less patience. */
  readonly slowSenders?: { readonly headersMs: number; readonly requestMs: number; readonly checkEveryMs: number }
}

export interface ClientServer {
  readonly app: FastifyInstance
  /** Requests that have not been answered to the end, or whose clients have not taken all of it yet. */
  active(): number
  /** Whether a call that began with this gateway is not over yet. */
  uses(gateway: Gateway): boolean
  /** Closes connections over which nothing is asked at present. */
  closeIdle(): void
  /** Ends every call under way: streams with an error event, others with a refusal. */
  endAll(): void
}

/** One line per dialect: where its calls come in. */
const CALLS: readonly (readonly [path: string, dialect: Dialect])[] = [['/v1/chat/completions', chat]]

const SLOW_SENDERS = { headersMs: 10_000, requestMs: 60_000, checkEveryMs: 1_000 }
const MAX_HEADER_BYTES = 16 * 1024
/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 75_000
const REQUEST_ID = /^[\w.:-]{1,128}$/
/** Idle clients that stay connected between their calls cost a descriptor each; beyond this many new ones are turned away. */
const MAX_CONNECTIONS = 20_000

/** A request in our hands, from its head to the end of its answer. */
interface UnderWay {
  /** The one that it began with, whatever is configured meanwhile. */
  readonly gateway: Gateway
  readonly journey: Journey
  readonly raw: ServerResponse
  readonly stopper: Stopper
  /** Its place in the list of all. */
  readonly place: number
}

declare module 'fastify' {
  interface FastifyRequest {
    underWay: UnderWay | undefined
  }
}

/**
 * All requests under way. Not a Map: at thousands of changes a second a Map grows new tables all the time, and an old one that the
 * garbage collector has not come to yet keeps alive all that went through the new ones. Places in an array leave nothing behind.
 */
function places() {
  const taken: (UnderWay | undefined)[] = []
  const free: number[] = []
  return {
    take(make: (place: number) => UnderWay): UnderWay {
      const place = free.pop() ?? taken.length
      const made = make(place)
      taken[place] = made
      return made
    },
    leave(place: number) {
      taken[place] = undefined
      free.push(place)
    },
    all: () => taken.filter(each => each !== undefined),
  }
}

/** @param current what counts for a call that comes now */
export function clientServer(
  current: () => Assembled,
  { maxBodyBytes, readiness, slowSenders = SLOW_SENDERS }: ServerOptions,
): ClientServer {
  const underWay = places()
  const startedS = Math.floor(current().gateway.clock.now() / 1000)
  const app = Fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout: slowSenders.requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: {
      headersTimeout: slowSenders.headersMs,
      requestTimeout: slowSenders.requestMs,
      connectionsCheckingInterval: slowSenders.checkEveryMs,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => refuseSocket(chat, error, socket, isAnswering(socket)),
    frameworkErrors: (error, request, reply) => void answer(request, reply, httpFault(error, maxBodyBytes)),
  })
  app.decorateRequest('underWay', undefined)
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response))
  app.server.maxConnections = MAX_CONNECTIONS
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  const isAnswering = (socket: Socket) => underWay.all().some(({ raw }) => raw.socket === socket && raw.headersSent)

  /** The journey of a request begins with its head. */
  function journeyOf(request: FastifyRequest, reply: FastifyReply): UnderWay {
    if (request.underWay !== undefined) return request.underWay
    const shown = request.headers['x-request-id']
    const requestId = typeof shown === 'string' && REQUEST_ID.test(shown) ? shown : undefined
    const stop = stopper()
    const { raw } = reply
    const { gateway } = current()
    const begun = underWay.take(place => ({ gateway, journey: arrive(gateway, requestId, stop), raw, stopper: stop, place }))
    request.underWay = begun
    // Not request.signal, which aborts as soon as the body of a POST has been read.
    raw.once('close', () => {
      underWay.leave(begun.place)
      if (!raw.writableFinished) stop.stop(new Fault('client-gone'))
    })
    return begun
  }

  /** Refuses before there is a call, and does not wait for the rest of the body. */
  function answer(request: FastifyRequest, reply: FastifyReply, fault: Fault): void {
    const { gateway, journey } = journeyOf(request, reply)
    finish(request, reply, refuse(gateway, chat, journey, fault), !request.raw.complete)
  }

  function finish(request: FastifyRequest, reply: FastifyReply, answered: Reply, close: boolean): void {
    reply.hijack()
    const { raw } = reply
    const { gateway, stopper } = request.underWay!
    if (close || !readiness.ready()) raw.setHeader('connection', 'close')
    if (close) raw.once('finish', () => request.raw.destroy())
    const gone = () => stopper.stop(new Fault('client-gone'))
    send(raw, answered, gateway.clock, gone).catch(() => raw.destroy())
  }

  app.setErrorHandler((error, request, reply) => answer(request, reply, httpFault(error, maxBodyBytes)))
  app.setNotFoundHandler((request, reply) => answer(request, reply, noSuchUrl(request.method, request.url)))

  addHealth(app, readiness)
  addTwins(app, current, readiness)
  app.register(async calls => {
    // Who calls is asked before the body is read, for every route in here.
    calls.addHook('onRequest', (request, reply, done) => {
      const { gateway, journey } = journeyOf(request, reply)
      try {
        if (!readiness.ready()) throw draining()
        identify(gateway, journey, request.headers.authorization)
        if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') throw packed()
        // Only who may call is asked for the rest of the body.
        if (request.headers.expect !== undefined) reply.raw.writeContinue()
        done()
      } catch (thrown) {
        done(thrown as Error)
      }
    })
    for (const [path, dialect] of CALLS) {
      calls.post(path, (request, reply) => {
        const { gateway, journey } = journeyOf(request, reply)
        journey.cacheControl = request.headers['cache-control']
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        void serve(gateway, dialect, journey, request.headers, body).then(answered => finish(request, reply, answered, false))
        reply.hijack()
      })
    }
    const shown = (id: string) => ({ id, object: 'model', created: startedS, owned_by: 'understudy' })
    calls.get('/v1/models', async (request, reply) => {
      const { gateway, journey } = journeyOf(request, reply)
      reply.header('x-request-id', journey.id)
      return { object: 'list', data: gateway.routes.visibleTo(journey.client!).map(shown) }
    })
    calls.get('/v1/models/*', async (request, reply) => {
      const { gateway, journey } = journeyOf(request, reply)
      const model = (request.params as { '*': string })['*']
      gateway.routes.find(model, journey.client!)
      reply.header('x-request-id', journey.id)
      return shown(model)
    })
  })

  return {
    app,
    active: () => underWay.all().length,
    uses: gateway => underWay.all().some(each => each.gateway === gateway),
    closeIdle: () => app.server.closeIdleConnections(),
    endAll() {
      for (const { stopper } of underWay.all()) stopper.stop(draining())
    },
  }
}
