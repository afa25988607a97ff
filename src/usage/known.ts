/** What the world's list of models knows: prices and contexts. Asked when a target is made, never during a call. */
import { calcPrice, type TieredPrices } from '@pydantic/genai-prices'
import type { Abilities, Price, Rates } from '../core/attempt.ts'

/** @param provider the provider's id in the list */
export function knownAbilities(provider: string, model: string): Abilities {
  const found = look(provider, model)
  // The list falls back to other providers' models, whose prices are not this one's.
  if (found === null || found.provider.id !== provider) return {}
  const { context_window: context } = found.model
  const price = priceOf(found.model_price)
  return { ...(context !== undefined && { context }), ...(price !== undefined && { price }) }
}

function look(provider: string, model: string) {
  try {
    return calcPrice({ input_tokens: 0, output_tokens: 0 }, model, { providerId: provider })
  } catch {
    return null
  }
}

type Listed = number | TieredPrices | undefined

/** Undefined where the list has no price for input or for output. */
function priceOf(listed: Readonly<Record<string, Listed>>): Price | undefined {
  const { input_mtok, output_mtok, cache_read_mtok, cache_write_mtok } = listed
  const columns = [input_mtok, output_mtok, cache_read_mtok, cache_write_mtok]
  const starts = new Set(columns.flatMap(column => (typeof column === 'object' ? column.tiers.map(({ start }) => start) : [])))
  const ratesAbove = (above: number): Rates | undefined => {
    const input = at(input_mtok, above)
    const output = at(output_mtok, above)
    const cachedInput = at(cache_read_mtok, above)
    const cacheWrite = at(cache_write_mtok, above)
    if (input === undefined || output === undefined) return undefined
    return { input, output, ...(cachedInput !== undefined && { cachedInput }), ...(cacheWrite !== undefined && { cacheWrite }) }
  }
  const rates = ratesAbove(-1)
  if (rates === undefined) return undefined
  const tiers = [...starts].sort((a, b) => a - b).map(above => ({ above, rates: ratesAbove(above)! }))
  return tiers.length === 0 ? rates : { ...rates, tiers }
}

/** The price in force for calls whose input is larger than `above` tokens. */
function at(listed: Listed, above: number): number | undefined {
  if (typeof listed !== 'object') return listed
  return listed.tiers.filter(({ start }) => start <= above).sort((a, b) => b.start - a.start)[0]?.price ?? listed.base
}
