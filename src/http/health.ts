/** The two questions that load balancers and orchestrators ask, on both listeners: does it live, and shall it get calls. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'

export interface Readiness {
  ready(): boolean
  /** Whether a connection may stay open after its answer. */
  keepsConnections(): boolean
  /** From now on: not ready. */
  drain(): void
  /** From now on every answer is the last one over its connection; somebody else gets the new ones. */
  leave(): void
}

export function readiness(): Readiness {
  let state: 'ready' | 'leaving' | 'draining' = 'ready'
  return {
    ready: () => state !== 'draining',
    keepsConnections: () => state === 'ready',
    drain() {
      state = 'draining'
    },
    leave() {
      if (state === 'ready') state = 'leaving'
    },
  }
}

export function addHealth(app: FastifyInstance, state: Pick<Readiness, 'ready'>): void {
  app.get('/health', async (_, reply) => reply.header('x-request-id', randomUUID()).send({ status: 'ok' }))
  app.get('/ready', async (_, reply) => {
    const ready = state.ready()
    return reply
      .code(ready ? 200 : 503)
      .header('x-request-id', randomUUID())
      .send({ status: ready ? 'ready' : 'draining' })
  })
}
