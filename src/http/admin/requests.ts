/** The last calls of this process, the newest first. */
import type { FastifyInstance } from 'fastify'
import type { Assembled } from '../../gateway/assemble.ts'
import type { RecentCall, RecentFilter } from '../../gateway/recent.ts'
import { bad, notFound } from './asked.ts'

export function addRequests(app: FastifyInstance, current: () => Assembled): void {
  app.get('/admin/requests', async request => {
    const calls = current().recent.list(filterIn(request.query as Record<string, string | string[] | undefined>))
    return { requests: calls.map(shown) }
  })
  app.get('/admin/requests/:id', async request => {
    const { id } = request.params as { id: string }
    const call = current().recent.find(id)
    if (call === undefined) throw notFound('There is no such call among the last 1,000 of this process.')
    return shown(call)
  })
}

function filterIn(query: Readonly<Record<string, string | string[] | undefined>>): RecentFilter {
  for (const name of Object.keys(query)) {
    if (!FILTERS.has(name)) throw bad(`Calls can be asked for by ${[...FILTERS].join(', ')}.`, name)
  }
  const { 'failed-over': failedOver, route, client, status } = query
  if (failedOver !== undefined && failedOver !== 'true' && failedOver !== 'false')
    throw bad('"failed-over" must be "true" or "false".', 'failed-over')
  if (status !== undefined && !/^\d{3}$/.test(String(status))) throw bad('"status" must be a status such as 503.', 'status')
  return {
    failedOver: failedOver === undefined ? undefined : failedOver === 'true',
    route: route === undefined ? undefined : String(route),
    client: client === undefined ? undefined : String(client),
    status: status === undefined ? undefined : Number(status),
  }
}

const FILTERS: ReadonlySet<string> = new Set(['failed-over', 'route', 'client', 'status'])

function shown({ record, atMs, failedOver }: RecentCall) {
  const { id, ...others } = record
  return { id, at: new Date(atMs).toISOString(), failed_over: failedOver, ...others }
}
