/*
 * The listener for clients: calls, the list of models, and the two questions of load balancers. Calls go past Fastify, which routes the
 * rest; slow senders are kept out for both by the server under them.
 */
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Fault } from '../core/fault.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Assembled } from '../gateway/assemble.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { addTwins } from './admin/twins.ts'
import { calls } from './calls.ts'
import { addHealth, type Readiness } from './health.ts'
import type { Overload } from './overload.ts'
import { draining, httpFault, noSuchUrl, refuseSocket } from './refusals.ts'
import { requests, type UnderWay } from './requests.ts'
import { type Turns, turns } from './turns.ts'

export interface ServerOptions {
  readonly maxBodyBytes: number
  readonly readiness: Readiness
  /** Undefined: every call is taken. */
  readonly overload?: Overload
  /** Times for slow senders; the defaults are for production, tests have less patience. */
  readonly slowSenders?: { readonly headersMs: number; readonly requestMs: number; readonly checkEveryMs: number }
  /** Those that `overload` goes by; its own when left out. */
  readonly turns?: Turns
}

export interface ClientServer {
  readonly app: FastifyInstance
  /** Serves a connection that somebody else has accepted. */
  take(socket: Socket): void
  /** Requests that have not been answered to the end, or whose clients have not taken all of it yet. */
  active(): number
  /** How many requests there have been, those that Fastify answers by itself left out. */
  begun(): number
  /** Whether a call that began with this gateway is not over yet. */
  uses(gateway: Gateway): boolean
  /** Closes connections over which nothing is asked at present. */
  closeIdle(): void
  /** Ends every call under way: streams with an error event, others with a refusal. */
  endAll(): void
}

const SLOW_SENDERS = { headersMs: 10_000, requestMs: 60_000, checkEveryMs: 1_000 }
const MAX_HEADER_BYTES = 16 * 1024
/** Longer than load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 75_000
/** Idle clients that stay connected between their calls cost a descriptor each; beyond this many new ones are turned away. */
const MAX_CONNECTIONS = 20_000

declare module 'fastify' {
  interface FastifyRequest {
    underWay: UnderWay | undefined
  }
}

/** @param current what counts for a call that comes now */
export function clientServer(
  current: () => Assembled,
  { maxBodyBytes, readiness, overload, slowSenders = SLOW_SENDERS, turns: line = turns(current().gateway.clock) }: ServerOptions,
): ClientServer {
  const gateway = () => current().gateway
  const inHand = requests(gateway, readiness)
  const takeCall = calls(inHand, maxBodyBytes, line, overload)
  const startedS = Math.floor(gateway().clock.now() / 1000)
  const app = Fastify({
    serverFactory(route) {
      const server = createServer(
        {
          headersTimeout: slowSenders.headersMs,
          requestTimeout: slowSenders.requestMs,
          connectionsCheckingInterval: slowSenders.checkEveryMs,
          maxHeaderSize: MAX_HEADER_BYTES,
          keepAliveTimeout: KEEP_ALIVE_MS,
        },
        (request, response) => {
          if (!takeCall(request, response)) route(request, response)
        },
      )
      server.on('checkContinue', (request, response) => server.emit('request', request, response))
      server.maxConnections = MAX_CONNECTIONS
      return server
    },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => refuseSocket(chat, error, socket, isAnswering(socket)),
    frameworkErrors: (error, request, reply) => void refuse(request, reply, httpFault(error, maxBodyBytes)),
  })
  app.decorateRequest('underWay', undefined)
  app.removeAllContentTypeParsers()

  const isAnswering = (socket: Socket) => inHand.all().some(({ raw }) => raw.socket === socket && raw.headersSent)

  function underWayOf(request: FastifyRequest, reply: FastifyReply): UnderWay {
    request.underWay ??= inHand.begin(request.raw, reply.raw)
    return request.underWay
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, fault: Fault): void {
    reply.hijack()
    inHand.refuse(underWayOf(request, reply), fault)
  }

  app.setErrorHandler((error, request, reply) => refuse(request, reply, httpFault(error, maxBodyBytes)))
  app.setNotFoundHandler((request, reply) => refuse(request, reply, noSuchUrl(request.method, request.url)))

  app.addHook('onRequest', (_, reply, done) => {
    if (!readiness.keepsConnections()) reply.header('connection', 'close')
    done()
  })
  addHealth(app, readiness)
  addTwins(app, current, readiness)
  app.register(async models => {
    models.addHook('onRequest', (request, reply, done) => {
      try {
        inHand.identify(underWayOf(request, reply))
        done()
      } catch (thrown) {
        done(thrown as Error)
      }
    })
    const shown = (id: string) => ({ id, object: 'model', created: startedS, owned_by: 'understudy' })
    models.get('/v1/models', async (request, reply) => {
      const { gateway, journey } = underWayOf(request, reply)
      reply.header('x-request-id', journey.id)
      return { object: 'list', data: gateway.routes.visibleTo(journey.client!).map(shown) }
    })
    models.get('/v1/models/*', async (request, reply) => {
      const { gateway, journey } = underWayOf(request, reply)
      const model = (request.params as { '*': string })['*']
      gateway.routes.find(model, journey.client!)
      reply.header('x-request-id', journey.id)
      return shown(model)
    })
  })

  let taken = 0
  function take(socket: Socket): void {
    // A server that listens begins to keep count of its connections, and to look for slow senders, when it says so.
    if (!app.server.listening && taken === 0) app.server.emit('listening')
    if (taken >= MAX_CONNECTIONS) return void socket.destroy()
    taken++
    socket.once('close', () => taken--)
    socket.setNoDelay(true)
    app.server.emit('connection', socket)
  }

  return {
    app,
    take,
    begun: inHand.begun,
    active: inHand.size,
    uses: one => inHand.all().some(each => each.gateway === one),
    closeIdle: () => app.server.closeIdleConnections(),
    endAll() {
      for (const { stopper } of inHand.all()) stopper.stop(draining())
    },
  }
}
