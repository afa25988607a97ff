/*
 * The configuration's providers as targets. What the configuration names is made once, when it loads. A route with a star lets callers
 * name models, so those targets are made when they are asked for, the least lately used of them are forgotten, and metrics call all of
 * them `other`.
 */

import type { ProviderConfig } from '../config/schema.ts'
import type { Abilities, Price, Target } from '../core/attempt.ts'
import type { Provider } from '../core/provider.ts'
import { knownAbilities } from '../usage/known.ts'

export interface Targets {
  /** `provider/model`, both known to exist in the configuration. */
  named(id: string): Target
  /** A model whose name a caller brought. */
  carried(providerName: string, model: string): Target
  /** All that the configuration names. */
  all(): readonly Target[]
  /** One of this provider, whichever: for what they all share. */
  ofProvider(name: string): Target
  /** Where the providers and their status pages live, and how long a connection to each may take. */
  origins(): readonly { readonly origin: string; readonly connectMs: number }[]
}

/** A target as metrics show it: its id, whose hash is known to every table, but for models that callers named. */
export const labelOf = (target: Target) => (target.label === target.model ? target.id : `${target.providerName}/${target.label}`)

const MOST_CARRIED = 1_000

/** @param addressOf the base URL of a provider, simulators resolved */
export function targets(
  configured: Readonly<Record<string, ProviderConfig>>,
  registry: ReadonlyMap<string, Provider>,
  addressOf: (name: string, provider: ProviderConfig) => string,
): Targets {
  const makers = new Map(
    Object.entries(configured).map(([name, settings]) => {
      const provider = registry.get(settings.type)!
      return [name, maker(name, settings, provider, new URL(addressOf(name, settings)))] as const
    }),
  )
  const origins = Object.entries(configured).flatMap(([name, settings]) => {
    const page = settings.health?.status_page
    const urls = [addressOf(name, settings), ...(page === undefined ? [] : [page])]
    return urls.map(url => ({ origin: new URL(url).origin, connectMs: settings.timeouts.connect }))
  })
  const named = new Map<string, Target>()
  const carried = new Map<string, Target>()

  return {
    named(id) {
      const slash = id.indexOf('/')
      const known = named.get(id)
      if (known !== undefined) return known
      const target = makers.get(id.slice(0, slash))!(id.slice(slash + 1), undefined)
      named.set(id, target)
      return target
    },
    carried(providerName, model) {
      const id = `${providerName}/${model}`
      const known = named.get(id)
      if (known !== undefined) return known
      const target = carried.get(id) ?? makers.get(providerName)!(model, 'other')
      // Put at the end again: the first one is then the one that nobody has asked for longest.
      carried.delete(id)
      carried.set(id, target)
      if (carried.size > MOST_CARRIED) carried.delete(carried.keys().next().value!)
      return target
    },
    ofProvider: name => makers.get(name)!('any', 'other'),
    all: () => [...named.values()],
    origins: () => origins,
  }
}

type Maker = (model: string, label: string | undefined) => Target

function maker(providerName: string, settings: ProviderConfig, provider: Provider, base: URL): Maker {
  const { timeouts, retry } = settings
  const shared = {
    providerName,
    provider,
    options: {},
    origin: base.origin,
    basePath: base.pathname.replace(/\/+$/, ''),
    query: base.search,
    headers: settings.headers,
    tags: new Set(settings.tags),
    timeouts: {
      connectMs: timeouts.connect,
      firstTokenMs: timeouts.first_token,
      idleMs: timeouts.idle,
      totalMs: timeouts.total,
    },
    retry: {
      attempts: retry.attempts,
      firstMs: retry.backoff.first,
      factor: retry.backoff.factor,
      maxMs: retry.backoff.max,
      rateLimitWaitMs: retry.rate_limit_wait,
    },
  }
  return (model, label) => ({
    ...shared,
    id: `${providerName}/${model}`,
    model,
    label: label ?? model,
    abilities: {
      ...knownAbilities(provider.pricedAs ?? provider.name, model),
      ...provider.abilities?.(model),
      // A caller may have brought the name: it must not find what every object has.
      ...(Object.hasOwn(settings.models, model) && configuredAbilities(settings.models[model]!)),
    },
  })
}

function configuredAbilities(model: ProviderConfig['models'][string]): Abilities {
  const { context, max_output: maxOutput, supports, price, prefill } = model
  return {
    ...(context !== undefined && { context }),
    ...(maxOutput !== undefined && { maxOutput }),
    ...(supports !== undefined && { supports: new Set(supports) }),
    ...(price !== undefined && { price: priceOf(price) }),
    ...(prefill && { prefill }),
  }
}

function priceOf(price: NonNullable<ProviderConfig['models'][string]['price']>): Price {
  const { input, output, cached_input: cachedInput, cache_write: cacheWrite } = price
  return { input, output, ...(cachedInput !== undefined && { cachedInput }), ...(cacheWrite !== undefined && { cacheWrite }) }
}
