/** What providers and clients spent, and what remains. */
import type { FastifyInstance } from 'fastify'
import type { Assembled } from '../../gateway/assemble.ts'
import type { SpendStatus } from '../../limits/spend.ts'

export function addSpend(app: FastifyInstance, current: () => Assembled): void {
  app.get('/admin/spend', async () => {
    const { gateway, spending } = current()
    const { providers, budgets, others } = await spending.report()
    return {
      providers: providers.map(one => ({ provider: one.name, ...spent(one), capped: gateway.spend.isCapped(one.name) })),
      clients: [
        ...budgets.map(({ client, usd, per, period, remainingUsd, usedUsd, renewsAtMs }) => ({
          client,
          per,
          period,
          usd: usedUsd,
          budget_usd: usd,
          remaining_usd: remainingUsd,
          renews: new Date(renewsAtMs).toISOString(),
        })),
        ...others.map(one => ({ client: one.name, ...spent(one) })),
      ],
    }
  })
}

/** What was spent, and of what: of a cap, or of nothing that ends. */
function spent({ per, period, usd, capUsd, renewsAtMs }: SpendStatus) {
  return {
    per,
    period,
    usd,
    ...(capUsd !== undefined && { cap_usd: capUsd, remaining_usd: Math.max(0, capUsd - usd) }),
    renews: new Date(renewsAtMs).toISOString(),
  }
}
