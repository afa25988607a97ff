/** The two questions that load balancers and orchestrators ask, on both listeners: does it live, and shall it get calls. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

export interface Readiness {
  ready(): boolean
  /** From now on: not ready. */
  drain(): void
}

export function readiness(): Readiness {
  let draining = false
  return {
    ready: () => !draining,
    drain() {
      draining = true
    },
  }
}

export function addHealth(app: FastifyInstance, state: Readiness): void {
  app.get('/health', async (_, reply) => reply.header('x-request-id', randomUUID()).send({ status: 'ok' }))
  app.get('/ready', async (_, reply) => {
    const ready = state.ready()
    return reply
      .code(ready ? 200 : 503)
      .header('x-request-id', randomUUID())
      .send({ status: ready ? 'ready' : 'draining' })
  })
}
