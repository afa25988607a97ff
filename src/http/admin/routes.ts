/** Routes: the level at which each stands, and the plan that a call would get. */
import type { FastifyInstance } from 'fastify'
import type { Level } from '../../core/attempt.ts'
import { asObject } from '../../core/json.ts'
import { chat } from '../../dialects/chat/chat.ts'
import type { Assembled } from '../../gateway/assemble.ts'
import { ANYBODY, type Client } from '../../gateway/clients.ts'
import { type Explained, type ExplainedStep, explain } from '../../gateway/explain.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Route } from '../../gateway/routes.ts'
import { bad, durationIn, momentAs, notFound, starOf } from './asked.ts'

const LEVEL = '/level'

export function addRoutes(app: FastifyInstance, current: () => Assembled): void {
  app.get('/admin/routes/*', async request => {
    const { gateway } = current()
    return levelOf(gateway, routeIn(gateway, request.params))
  })
  app.put('/admin/routes/*', async request => {
    const { gateway } = current()
    const route = routeIn(gateway, request.params)
    const body = asObject(request.body)
    const offered: readonly Level[] = ['normal', ...route.rungs.map(({ level }) => level)]
    const level = offered.find(one => one === body?.level)
    if (level === undefined) throw bad(`"level" must be one that this route has: ${offered.join(', ')}.`, 'level')
    const forMs = durationIn(body?.for)
    if (forMs === 0) throw bad('"for" must be longer than nothing; leave it out for a level without an end.', 'for')
    gateway.levels.set(route.name, level, forMs)
    return levelOf(gateway, route)
  })

  const bodyLimit = current().config.server.max_body
  app.post('/admin/explain', { bodyLimit }, async request => {
    const { gateway } = current()
    const { client: name } = request.query as { client?: string | string[] }
    // The same reading as that of a call: what is wrong with it is told in the same words.
    const call = chat.parse(Buffer.from(JSON.stringify(request.body)))
    const client = name === undefined ? ANYBODY : clientNamed(gateway, String(name))
    return { client: client.name, ...shownPlan(explain(gateway, call, client, request.headers)), ...budgetOf(client) }
  })
}

/** Route names hold slashes and stars; what follows the last slash says what is asked of them. */
function routeIn(gateway: Gateway, params: unknown): Route {
  const path = starOf(params)
  if (!path.endsWith(LEVEL)) throw notFound(`There is nothing at /admin/routes/${path}; a route has a ${LEVEL}.`)
  const name = path.slice(0, -LEVEL.length)
  const route = gateway.routes.named(name)
  if (route === undefined) throw notFound(`There is no route "${name}".`)
  return route
}

function levelOf({ levels }: Gateway, { name, rungs }: Route) {
  return {
    route: name,
    level: levels.of(name),
    ...momentAs('until', levels.untilMs(name)),
    levels: ['normal', ...rungs.map(({ level }) => level)],
  }
}

function clientNamed(gateway: Gateway, name: string): Client {
  const client = gateway.clients.named(name)
  if (client === undefined) throw bad(`There is no client "${name}".`, 'client')
  return client
}

function shownPlan({ route, level, inputTokens, steps }: Explained) {
  return { route: route.name, level, deadline_ms: route.deadlineMs, input_tokens: inputTokens, plan: steps.map(shownStep) }
}

function shownStep(step: ExplainedStep) {
  if (!('target' in step)) return step
  const { target, level, tries, passedOver, because, standing } = step
  return {
    target: target.id,
    level,
    ...(passedOver === undefined ? { tries } : { passed_over: passedOver, because: because ?? null }),
    circuit: { state: standing.circuit, forced: standing.isForced, ...momentAs('until', standing.opensAtMs) },
    keys: { all: standing.keys, usable: standing.usableKeys },
    spend_capped: standing.isCapped,
    ...(standing.unwell !== undefined && { unwell: standing.unwell }),
  }
}

function budgetOf({ limits }: Client) {
  const budget = limits?.budget()
  if (budget === undefined) return {}
  return {
    budget: { usd: budget.usd, per: budget.per, remaining_usd: budget.remainingUsd, ...momentAs('renews', budget.renewsAtMs) },
  }
}
