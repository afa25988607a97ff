/*
 * The listener for operators. Nothing answers without the token but /metrics, /health and /ready; without a token configured, nothing
 * else answers at all. Each page has a file of its own in the folder of the same name.
 */
import type { Server } from 'node:http'
import Fastify, { type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import { chat } from '../dialects/chat/chat.ts'
import type { Assembled } from '../gateway/assemble.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { addConfiguration, type ConfigurationPages } from './admin/configuration.ts'
import { addDashboard } from './admin/dashboard.ts'
import { addRequests } from './admin/requests.ts'
import { addRoutes } from './admin/routes.ts'
import { addSpend } from './admin/spend.ts'
import { addStates } from './admin/states.ts'
import { healthView } from './admin/views.ts'
import { addHealth, type Readiness } from './health.ts'
import { httpFault, noSuchUrl, refuseAdmin, refuseSocket } from './refusals.ts'
import { checkToken } from './token.ts'

export interface AdminOptions {
  /** What counts now. Without a token in its configuration the pages that need one refuse. */
  readonly current: () => Assembled
  readonly metrics: Metrics
  readonly readiness: Readiness
  readonly pages: ConfigurationPages
}

export const MAX_BODY_BYTES = 64 * 1024

/** Operators are few, and none of them is slow. */
export const LISTENER = {
  requestTimeout: 20_000,
  http: { headersTimeout: 10_000, requestTimeout: 20_000, connectionsCheckingInterval: 1_000 },
  forceCloseConnections: true,
  clientErrorHandler: (error, socket) => refuseSocket(chat, error, socket, false),
} satisfies FastifyHttpOptions<Server>

export function adminServer({ current, metrics, readiness, pages }: AdminOptions): FastifyInstance {
  const app = Fastify({ bodyLimit: MAX_BODY_BYTES, ...LISTENER })
  // Whatever is shown, a script that repeats a key included, holds no secret.
  app.addHook('onSend', async (_, __, payload) => (typeof payload === 'string' ? current().gateway.redact(payload) : payload))
  app.setErrorHandler((error, request, reply) =>
    refuseAdmin(reply, httpFault(error, request.routeOptions.bodyLimit ?? MAX_BODY_BYTES)),
  )
  app.setNotFoundHandler((request, reply) => refuseAdmin(reply, noSuchUrl(request.method, request.url)))

  addHealth(app, readiness)
  app.get('/metrics', async (request, reply) => {
    const { text, contentType } = await metrics.scrape(request.headers.accept)
    return reply.header('content-type', contentType).send(text)
  })
  addDashboard(app, current)

  app.register(async guarded => {
    guarded.addHook('onRequest', async request =>
      checkToken(request.headers.authorization, current().config.admin.token?.reveal()),
    )
    guarded.get('/admin/health', async () => healthView(current(), readiness.ready()))
    addStates(guarded, current)
    addRoutes(guarded, current)
    addRequests(guarded, current)
    addSpend(guarded, current)
    addConfiguration(guarded, pages)
  })
  return app
}
