/*
 * The listener for operators. Nothing answers without the token but /metrics, /health and /ready; without a token configured, nothing
 * else answers at all.
 */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { parseDuration } from '../config/units.ts'
import type { Level, Target } from '../core/attempt.ts'
import { Fault } from '../core/fault.ts'
import { asObject } from '../core/json.ts'
import { chat } from '../dialects/chat/chat.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Route } from '../gateway/routes.ts'
import type { Spending } from '../gateway/spending.ts'
import type { SpendStatus } from '../limits/spend.ts'
import type { KeyState } from '../resilience/keys.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { addHealth, type Readiness } from './health.ts'
import { httpFault, noSuchUrl, refuseSocket } from './refusals.ts'

export interface AdminOptions {
  readonly gateway: Gateway
  readonly targets: readonly Target[]
  readonly providerNames: readonly string[]
  readonly spending: Spending
  readonly metrics: Metrics
  readonly readiness: Readiness
  /** Undefined: the pages that need one refuse. */
  readonly token: string | undefined
}

const MAX_BODY_BYTES = 64 * 1024

export function adminServer(options: AdminOptions): FastifyInstance {
  const { gateway, targets, providerNames, spending, metrics, readiness, token } = options
  const app = Fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: 20_000,
    http: { headersTimeout: 10_000, requestTimeout: 20_000, connectionsCheckingInterval: 1_000 },
    forceCloseConnections: true,
    clientErrorHandler: (error, socket) => refuseSocket(chat, error, socket, false),
  })
  app.setErrorHandler((error, _, reply) => refuse(reply, httpFault(error, MAX_BODY_BYTES)))
  app.setNotFoundHandler((request, reply) => refuse(reply, noSuchUrl(request.method, request.url)))

  addHealth(app, readiness)
  app.get('/metrics', async (request, reply) => {
    const { text, contentType } = await metrics.scrape(request.headers.accept)
    return reply.header('content-type', contentType).send(text)
  })

  app.register(async guarded => {
    guarded.addHook('onRequest', async request => checkToken(request.headers.authorization, token))

    guarded.get('/admin/circuits', async () => ({
      circuits: targets.map(({ id }) => {
        const opensAtMs = gateway.circuits.opensAtMs(id)
        return {
          target: id,
          state: gateway.circuits.state(id),
          forced: gateway.circuits.forced(id),
          ...(Number.isFinite(opensAtMs) && opensAtMs > 0 && { until: new Date(opensAtMs).toISOString() }),
        }
      }),
    }))
    guarded.post('/admin/circuits/*', async request => {
      const id = (request.params as { '*': string })['*']
      const state = asObject(request.body)?.state
      if (!targets.some(target => target.id === id)) throw notFound(`There is no target "${id}".`)
      if (state !== 'open' && state !== 'closed' && state !== 'auto')
        throw bad('"state" must be "open", "closed" or "auto".', 'state')
      gateway.circuits.force(id, state)
      return { target: id, state: gateway.circuits.state(id), forced: gateway.circuits.forced(id) }
    })

    guarded.get('/admin/routes/*', async request => levelOf(routeIn(request.params)))
    guarded.put('/admin/routes/*', async request => {
      const route = routeIn(request.params)
      const body = asObject(request.body)
      const offered: readonly Level[] = ['normal', ...route.rungs.map(({ level }) => level)]
      const level = offered.find(one => one === body?.level)
      if (level === undefined) throw bad(`"level" must be one that this route has: ${offered.join(', ')}.`, 'level')
      const forMs = durationIn(body?.for)
      if (forMs === 0) throw bad('"for" must be longer than nothing; leave it out for a level without an end.', 'for')
      gateway.levels.set(route.name, level, forMs)
      return levelOf(route)
    })
    guarded.get('/admin/spend', async () => {
      const { providers, budgets, others } = await spending.report()
      return {
        providers: providers.map(one => ({ provider: one.name, ...spent(one), capped: gateway.spend.isCapped(one.name) })),
        clients: [
          ...budgets.map(({ client, usd, per, period, remainingUsd, usedUsd, renewsAtMs }) => ({
            client,
            per,
            period,
            usd: usedUsd,
            budget_usd: usd,
            remaining_usd: remainingUsd,
            renews: new Date(renewsAtMs).toISOString(),
          })),
          ...others.map(one => ({ client: one.name, ...spent(one) })),
        ],
      }
    })

    guarded.get('/admin/keys', async () => ({
      keys: providerNames.flatMap(provider =>
        gateway.keys.status(provider).map(({ name, state, untilMs, inFlight }) => ({
          provider,
          name,
          state,
          in_flight: inFlight,
          ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }),
        })),
      ),
    }))
    guarded.post('/admin/keys/:provider/:name', async request => {
      const { provider, name } = request.params as { provider: string; name: string }
      const body = asObject(request.body)
      const state = KEY_WORDS.get(body?.state)
      if (state === undefined) throw bad('"state" must be "ready", "rest" or "retire".', 'state')
      const forMs = durationIn(body?.for)
      if (!gateway.keys.set(provider, name, state, forMs))
        throw notFound(`There is no key "${name}" of a provider "${provider}".`)
      return { provider, name, state }
    })
  })
  return app

  /** Route names hold slashes and stars; what follows the last slash says what is asked of them. */
  function routeIn(params: unknown): Route {
    const path = (params as { '*': string })['*']
    if (!path.endsWith(LEVEL)) throw notFound(`There is nothing at /admin/routes/${path}; a route has a ${LEVEL}.`)
    const name = path.slice(0, -LEVEL.length)
    const route = gateway.routes.named(name)
    if (route === undefined) throw notFound(`There is no route "${name}".`)
    return route
  }

  function levelOf({ name, rungs }: Route) {
    const untilMs = gateway.levels.untilMs(name)
    return {
      route: name,
      level: gateway.levels.of(name),
      ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }),
      levels: ['normal', ...rungs.map(({ level }) => level)],
    }
  }
}

const LEVEL = '/level'
const LONGEST_MS = 365 * 24 * 3_600_000

/** Milliseconds; undefined when there is none. */
function durationIn(value: unknown): number | undefined {
  const ms = value === undefined ? undefined : parseDuration(String(value))
  if (value !== undefined && ms === undefined) throw bad('"for" must be a duration such as "10m".', 'for')
  if (ms !== undefined && ms > LONGEST_MS) throw bad('"for" must not be longer than 365d; leave it out for no end.', 'for')
  return ms
}

/** What was spent, and of what: of a cap, or of nothing that ends. */
function spent({ per, period, usd, capUsd, renewsAtMs }: SpendStatus) {
  return {
    per,
    period,
    usd,
    ...(capUsd !== undefined && { cap_usd: capUsd, remaining_usd: Math.max(0, capUsd - usd) }),
    renews: new Date(renewsAtMs).toISOString(),
  }
}

const KEY_WORDS: ReadonlyMap<unknown, KeyState> = new Map([
  ['ready', 'ready'],
  ['rest', 'resting'],
  ['retire', 'retired'],
])

const bad = (message: string, param: string) => new Fault('bad-request', { message, param, code: 'invalid_value' })
const notFound = (message: string) => new Fault('unknown-route', { message, code: 'not_found' })

/** Throws a Fault unless the header shows the token; digests are compared, so that its length does not show either. */
function checkToken(authorization: string | undefined, token: string | undefined): void {
  if (token === undefined) {
    const message = 'The admin API is off. Set admin.token to switch it on.'
    throw new Fault('unauthorized', { status: 403, type: 'permission_error', code: 'admin_token_not_set', message })
  }
  const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
  const digest = (text: string) => createHash('sha256').update(text).digest()
  if (!timingSafeEqual(digest(shown), digest(token))) {
    throw new Fault('unauthorized', { message: 'The admin API asks for its token: "Authorization: Bearer <admin.token>".' })
  }
}

function refuse(reply: import('fastify').FastifyReply, fault: Fault) {
  return reply
    .code(fault.status)
    .header('content-type', 'application/json; charset=utf-8')
    .header('x-request-id', randomUUID())
    .header('x-should-retry', 'false')
    .send(Buffer.from(chat.refusal(fault)))
}
