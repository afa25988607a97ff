/** Targets, calls and routes made by hand, for tests of one step of the path. */
import { z } from 'zod'
import type { Target } from '../../src/core/attempt.ts'
import type { ChatCall } from '../../src/core/chat.ts'
import type { Provider } from '../../src/core/provider.ts'
import { chat } from '../../src/dialects/chat/chat.ts'
import { type ChooserParts, choosers } from '../../src/gateway/choosers.ts'
import type { Client } from '../../src/gateway/clients.ts'
import type { Route } from '../../src/gateway/routes.ts'
import { paces } from '../../src/resilience/pace.ts'
import { heldClock } from '../support/clock.ts'

const never = (): never => {
  throw new Error('not in this test')
}

/** A provider that can be asked nothing but whether it refuses a call. */
export function madeProvider(refuses: Provider['refuses'] = () => undefined): Provider {
  return {
    name: 'made',
    baseUrl: undefined,
    options: z.unknown(),
    dialect: 'chat',
    framing: 'sse',
    authorize: never,
    refuses,
    encode: never,
    decode: never,
    decoder: never,
    classify: never,
  }
}

export function madeTarget(id: string, more: Partial<Target> = {}): Target {
  const [providerName, model] = id.split('/') as [string, string]
  return {
    id,
    providerName,
    model,
    label: model,
    provider: madeProvider(),
    options: {},
    origin: 'http://127.0.0.1:1',
    basePath: '',
    query: '',
    headers: {},
    tags: new Set(),
    timeouts: { connectMs: 1_000, firstTokenMs: 30_000, idleMs: 20_000, totalMs: 300_000 },
    retry: { attempts: 1, firstMs: 100, factor: 2, maxMs: 2_000, rateLimitWaitMs: 3_000 },
    abilities: {},
    ...more,
  }
}

export function madeCall(more: object = {}): ChatCall {
  return chat.parse(Buffer.from(JSON.stringify({ model: 'made', messages: [{ role: 'user', content: 'Hello' }], ...more })))
}

export const madeClient = (more: Partial<Client> = {}): Client => ({
  name: 'team',
  routes: undefined,
  require: [],
  tags: {},
  limits: undefined,
  ...more,
})

/** The choosers of a gateway that has seen nothing yet, with every target at its full share of the traffic. */
export const madeChoosers = (more: Partial<ChooserParts> = {}) =>
  choosers({ ramp: () => 1, random: () => 0, paces: paces(heldClock()), ...more })

/** A route to these targets in their order, with as many extra attempts as it likes. */
export function madeRoute(name: string, targets: readonly Target[], more: Partial<Route> = {}): Route {
  return {
    name,
    choose: madeChoosers().order,
    targets: () => targets.map(target => ({ target, weight: 1 })),
    fallbacks: () => [],
    deadlineMs: 120_000,
    require: [],
    faults: new Map(),
    allowance: { called() {}, take: () => true, giveBack() {} },
    heartbeatMs: undefined,
    recover: 'off',
    slowFactor: undefined,
    hedge: undefined,
    cache: undefined,
    rungs: [],
    ...more,
  }
}
