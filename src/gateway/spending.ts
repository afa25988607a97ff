/*
 * What calls cost, brought together: the limits and budgets of clients, the caps of providers, and the settlement of a journey, which pays
 * into both. Made once from the configuration.
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

export function spending({ config, store, clock, log, metrics, targets }: SpendingOptions): Spending {
  const limits = new Map<string, ClientLimits>()
  for (const { name, budget, ...settings } of config.clients) {
    const own = limitsOf(settings)
    if (budget === undefined && Object.keys(own).length === 0) continue
    const onLimited = (limit: string) => metrics.count('llm_limited_total', [name, limit])
    limits.set(name, clientLimits({ store, clock, client: name, limits: own, budget, onLimited }))
  }
  const caps = Object.entries(config.providers).map(([name, { spend_cap: cap }]) => [name, cap] as const)
  const providers = spend(store, clock, new Map(caps))
  const callers = config.server.open || config.clients.length === 0 ? [ANYBODY] : config.clients
  const withoutBudget = callers.filter(({ name }) => limits.get(name)?.budget() === undefined)
  const clients = spend(store, clock, new Map(withoutBudget.map(({ name }) => [name, undefined])))

  const hasBudgets = config.clients.some(({ budget }) => budget !== undefined)
  const somethingHangsOnIt = hasBudgets || caps.some(([, cap]) => cap !== undefined)
  const priced = prices(targets, (target, assumed) => {
    if (somethingHangsOnIt) log.warn('unpriced', { target, assumed, remedy: REMEDY })
  })
  // Told at the start, and not when a budget is found to be used up.
  for (const target of targets) priced.of(target)

  metrics.beforeScrape(() => {
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
    close: () => providers.close(),
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
