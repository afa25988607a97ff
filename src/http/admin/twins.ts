/** Two pages of the admin API on the listener for clients, for those that hold the admin token. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Assembled } from '../../gateway/assemble.ts'
import type { Readiness } from '../health.ts'
import { checkToken } from '../token.ts'
import { circuitsView, healthView } from './views.ts'

export function addTwins(app: FastifyInstance, current: () => Assembled, readiness: Readiness): void {
  app.register(async guarded => {
    guarded.addHook('onRequest', async (request, reply) => {
      checkToken(request.headers.authorization, current().config.admin.token?.reveal())
      reply.header('x-request-id', randomUUID())
    })
    guarded.get('/v1/health', async () => healthView(current(), readiness.ready()))
    guarded.get('/v1/circuits', async () => circuitsView(current()))
  })
}
