/** Circuits, targets, keys and routes as operators see them; on both listeners the same. */
import type { RouteConfig } from '../../config/schema.ts'
import type { Target } from '../../core/attempt.ts'
import type { Assembled } from '../../gateway/assemble.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import { standingOf } from '../../gateway/standing.ts'
import { momentAs } from './asked.ts'

export function circuitView(gateway: Gateway, { id, providerName }: Pick<Target, 'id' | 'providerName'>) {
  const { circuit, isForced, opensAtMs } = standingOf(gateway, providerName, id)
  return { target: id, state: circuit, forced: isForced, ...momentAs('until', opensAtMs) }
}

export const circuitsView = ({ gateway, targets }: Assembled) => ({ circuits: targets.map(one => circuitView(gateway, one)) })

export const keysView = ({ gateway, providerNames }: Assembled) => ({
  keys: providerNames.flatMap(provider =>
    gateway.keys.status(provider).map(({ name, state, untilMs, inFlight }) => ({
      provider,
      name,
      state,
      in_flight: inFlight,
      ...momentAs('until', untilMs),
    })),
  ),
})

const rounded = (value: number | undefined) => (value === undefined ? null : Math.round(value * 10) / 10)

/** What is not known is null. */
export function targetsView({ gateway, targets, config }: Assembled) {
  const { paces } = gateway
  return {
    targets: targets.map(({ id, providerName, model, abilities, tags }) => {
      const { circuit, isForced, opensAtMs, keys, usableKeys, isCapped, unwell, passedOver } = standingOf(
        gateway,
        providerName,
        id,
      )
      const { context, maxOutput, supports, price, prefill } = abilities
      return {
        target: id,
        provider: providerName,
        model,
        type: config.providers[providerName]!.type,
        usable: passedOver === undefined,
        passed_over: passedOver ?? null,
        circuit: { state: circuit, forced: isForced, ...momentAs('until', opensAtMs) },
        keys: { all: keys, usable: usableKeys },
        spend_capped: isCapped,
        unwell: unwell ?? null,
        in_flight: paces.inFlight(id),
        first_token_ms: {
          stream: { median: rounded(paces.medianMs(id, 'stream')), recent: rounded(paces.answerMs(id, 'stream')) },
          whole: { median: rounded(paces.medianMs(id, 'whole')), recent: rounded(paces.answerMs(id, 'whole')) },
        },
        tokens_per_second: rounded(paces.tokensPerSecond(id)),
        abilities: {
          context: context ?? null,
          max_output: maxOutput ?? null,
          supports: supports === undefined ? null : [...supports],
          prefill: prefill === true,
        },
        price: price ?? null,
        tags: [...tags],
      }
    }),
  }
}

/** Whether there is somebody to answer: `ok`, `degraded` where some of a route's targets would be passed over, `down` where all would. */
export function healthView(assembled: Assembled, isReady: boolean) {
  const routes = Object.entries(assembled.config.routes).map(([name, route]) => routeView(assembled, name, route))
  const worst = (['down', 'degraded'] as const).find(status => routes.some(route => route.status === status))
  return { status: worst ?? 'ok', ready: isReady, routes }
}

function routeView({ gateway }: Assembled, route: string, { targets, fallbacks }: RouteConfig) {
  const standing = [...targets.map(({ target }) => target), ...fallbacks].map(target => {
    const { passedOver, unwell } = standingOf(gateway, target.slice(0, target.indexOf('/')), target)
    const why = { ...(passedOver !== undefined && { passed_over: passedOver }), ...(unwell !== undefined && { unwell }) }
    return { target, usable: passedOver === undefined, ...why }
  })
  const usable = standing.filter(one => one.usable).length
  const status = usable === standing.length ? 'ok' : usable === 0 ? 'down' : 'degraded'
  return { route, status, level: gateway.levels.of(route), targets: standing }
}
