/*
 * What calls cost, brought together: the limits and budgets of clients, the caps of providers, and the settlement of a journey, which pays
 * into both. Made from the configuration; what was spent, and the limits that stay as they were, live on when that changes.
 */
import type { Config, ProviderConfig } from '../config/schema.ts'
import type { Target } from '../core/attempt.ts'
import { totalTokens } from '../core/chat.ts'
import type { Clock } from '../core/clock.ts'
import type { Limits } from '../core/limits.ts'
import type { Store } from '../core/store.ts'
import { type ClientLimits, clientLimits } from '../limits/admit.ts'
import type { BudgetStatus } from '../limits/budgets.ts'
import { type Spend, type SpendStatus, spend } from '../limits/spend.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { costUsd } from '../usage/price.ts'
import { usageOf } from './admission.ts'
import { ANYBODY } from './clients.ts'
import type { Journey } from './gateway.ts'
import { type Prices, prices } from './prices.ts'

export interface Spending {
  /** Of clients that have some, by name: the others cost the path nothing. */
  readonly limits: ReadonlyMap<string, ClientLimits>
  readonly prices: Prices
  readonly providers: Spend
  /** Pays what a journey owes. Called once, at its end. Never waits and never throws. */
  settle(journey: Journey): void
  /** Asks the store, so that what other replicas spent is in it. */
  report(): Promise<SpendReport>
  /** The same for another configuration, which counts from now on; calls under way settle with the prices that they began with. */
  over(config: Config, targets: readonly Target[]): Spending
  /** Of all that came out of each other. */
  close(): Promise<void>
}

export interface SpendReport {
  readonly providers: readonly SpendStatus[]
  /** Clients with a budget. */
  readonly budgets: readonly (BudgetStatus & { readonly client: string })[]
  /** Clients without one. */
  readonly others: readonly SpendStatus[]
}

export interface SpendingOptions {
  readonly config: Config
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** All that the configuration names. */
  readonly targets: readonly Target[]
}

const REMEDY = 'say what it costs as price under models.NAME of its provider; {input: 0, output: 0} where it costs nothing'

export function spending(options: SpendingOptions): Spending {
  const { config, store, clock } = options
  return made(options, {
    limits: new Map(),
    providers: spend(store, clock, capsOf(config)),
    clients: spend(store, clock, withoutBudget(config)),
    unscrape: () => {},
  })
}

/** What lives on from one configuration to the next. */
interface Lasting {
  /** By the client's name, each with the settings that it was made from. */
  readonly limits: ReadonlyMap<string, { readonly settings: string; readonly its: ClientLimits }>
  readonly providers: Spend
  readonly clients: Spend
  readonly unscrape: () => void
}

const capsOf = ({ providers }: Config) => new Map(Object.entries(providers).map(([name, { spend_cap: cap }]) => [name, cap]))

function withoutBudget({ server, clients }: Config): Map<string, undefined> {
  const callers =
    server.open || clients.length === 0
      ? [ANYBODY.name]
      : clients.filter(({ budget }) => budget === undefined).map(({ name }) => name)
  return new Map(callers.map(name => [name, undefined]))
}

function made(options: SpendingOptions, { limits: before, providers, clients, unscrape }: Lasting): Spending {
  const { config, store, clock, log, metrics, targets } = options
  const limitsMade = new Map<string, { readonly settings: string; readonly its: ClientLimits }>()
  for (const { name, budget, ...others } of config.clients) {
    const own = limitsOf(others)
    if (budget === undefined && Object.keys(own).length === 0) continue
    const settings = JSON.stringify([own, budget])
    const known = before.get(name)
    const onLimited = (limit: string) => metrics.count('llm_limited_total', [name, limit])
    const its =
      known?.settings === settings ? known.its : clientLimits({ store, clock, client: name, limits: own, budget, onLimited })
    limitsMade.set(name, { settings, its })
  }
  const limits = new Map([...limitsMade].map(([name, { its }]) => [name, its]))

  const hasBudgets = config.clients.some(({ budget }) => budget !== undefined)
  const somethingHangsOnIt = hasBudgets || Object.values(config.providers).some(({ spend_cap: cap }) => cap !== undefined)
  const priced = prices(targets, (target, assumed) => {
    if (somethingHangsOnIt) log.warn('unpriced', { target, assumed, remedy: REMEDY })
  })
  // Told at the start, and not when a budget is found to be used up.
  for (const target of targets) priced.of(target)

  unscrape()
  const stopScrape = metrics.beforeScrape(() => {
    for (const { name, per, usd } of providers.status()) metrics.set('llm_spend_usd', [name, per], usd)
    for (const [client, its] of limits) {
      const budget = its.budget()
      if (budget === undefined) continue
      metrics.set('llm_budget_remaining_usd', [client], budget.remainingUsd)
      // Other replicas have spent, too: the next scrape shows it.
      void its.refresh()
    }
  })

  return {
    limits,
    prices: priced,
    providers,
    settle(journey) {
      let tokens = 0
      let usd = 0
      for (const attempt of journey.attempts) {
        const usage = usageOf(attempt, journey)
        if (usage === undefined) continue
        const cost = costUsd(priced.of(attempt.target), usage)!
        tokens += totalTokens(usage)
        usd += cost
        providers.add(attempt.target.providerName, cost)
      }
      if (journey.client !== undefined) clients.add(journey.client.name, usd)
      journey.permit?.settle(tokens, usd)
    },
    async report() {
      await Promise.all([providers.refresh(), ...[...limits.values()].map(its => its.refresh())])
      const budgets = [...limits].flatMap(([client, its]) => {
        const budget = its.budget()
        return budget === undefined ? [] : [{ client, ...budget }]
      })
      return { providers: providers.status(), budgets, others: clients.status() }
    },
    over(config, targets) {
      const shown = [...providers.status()]
      providers.replace(capsOf(config))
      clients.replace(withoutBudget(config))
      const next = made({ ...options, config, targets }, { limits: limitsMade, providers, clients, unscrape: stopScrape })
      const still = new Set(providers.status().map(({ name, per }) => `${name} ${per}`))
      for (const { name, per } of shown) if (!still.has(`${name} ${per}`)) metrics.forget('llm_spend_usd', [name, per])
      for (const name of limits.keys()) {
        if (next.limits.get(name)?.budget() === undefined) metrics.forget('llm_budget_remaining_usd', [name])
      }
      return next
    },
    async close() {
      stopScrape()
      await providers.close()
    },
  }
}

type Settings = Pick<ProviderConfig['keys'][number], 'rpm' | 'tpm' | 'concurrency'>

/** Those that there are. */
export function limitsOf({ rpm, tpm, concurrency }: Settings): Limits {
  return {
    ...(rpm !== undefined && { rpm }),
    ...(tpm !== undefined && { tpm }),
    ...(concurrency !== undefined && { concurrency }),
  }
}
