/** Circuits, keys and targets: how they stand, and an operator's word on them. */
import type { FastifyInstance } from 'fastify'
import { asObject } from '../../core/json.ts'
import type { Assembled } from '../../gateway/assemble.ts'
import type { KeyState } from '../../resilience/keys.ts'
import { bad, durationIn, notFound, starOf } from './asked.ts'
import { circuitsView, circuitView, keysView, targetsView } from './views.ts'

const KEY_WORDS: ReadonlyMap<unknown, KeyState> = new Map([
  ['ready', 'ready'],
  ['rest', 'resting'],
  ['retire', 'retired'],
])

export function addStates(app: FastifyInstance, current: () => Assembled): void {
  app.get('/admin/targets', async () => targetsView(current()))
  app.get('/admin/circuits', async () => circuitsView(current()))
  app.post('/admin/circuits/*', async request => {
    const { gateway, targets } = current()
    const id = starOf(request.params)
    const state = asObject(request.body)?.state
    const target = targets.find(one => one.id === id)
    if (target === undefined) throw notFound(`There is no target "${id}".`)
    if (state !== 'open' && state !== 'closed' && state !== 'auto')
      throw bad('"state" must be "open", "closed" or "auto".', 'state')
    gateway.circuits.force(id, state)
    return circuitView(gateway, target)
  })

  app.get('/admin/keys', async () => keysView(current()))
  app.post('/admin/keys/:provider/:name', async request => {
    const { provider, name } = request.params as { provider: string; name: string }
    const body = asObject(request.body)
    const state = KEY_WORDS.get(body?.state)
    if (state === undefined) throw bad('"state" must be "ready", "rest" or "retire".', 'state')
    const forMs = durationIn(body?.for)
    if (!current().gateway.keys.set(provider, name, state, forMs))
      throw notFound(`There is no key "${name}" of a provider "${provider}".`)
    return { provider, name, state }
  })
}
