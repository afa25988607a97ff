/*
 * A Redis Cluster runs a script only where all its keys are in one slot, and the slot of a key is that of what stands between its first
 * braces. So what is taken together must be named alike: `limit:{search-team}:rpm`, `budget:{search-team}:2026-11-27`. The rule holds
 * for every store, or it would first be broken where it hurts.
 */
import type { Want } from '../core/store.ts'

/** What stands between the first braces of a key; undefined when there is nothing. */
export function hashTag(key: string): string | undefined {
  const begin = key.indexOf('{')
  if (begin === -1) return undefined
  const end = key.indexOf('}', begin)
  return end <= begin + 1 ? undefined : key.slice(begin + 1, end)
}

/** A key in the slot of `key`, for what belongs to `id` there. */
export function besides(prefix: string, key: string, what: string, id: string): string {
  return `${prefix}:{${hashTag(key) ?? whole(`${prefix}:${key}`)}}:${what}:${id}`
}

/** The slot of a key without a tag is that of the whole key, which can stand between braces when it has none itself. */
function whole(key: string): string {
  if (/[{}]/.test(key)) throw new Error(`"${key}" has braces and no hash tag`)
  return key
}

/** Throws when the wants of one taker could lie in different slots: a mistake in the code that wants them. */
export function checkTags(wants: readonly Want[]): void {
  const first = wants[0]
  if (first === undefined) return
  const tag = hashTag(first.key)
  if (tag === undefined && (wants.length > 1 || /[{}]/.test(first.key))) {
    throw new Error(`what is taken together carries one hash tag, such as limit:{name}:rpm: "${first.key}" has none`)
  }
  // Mostly they begin alike, and need no closer look.
  const begins = first.key.slice(0, first.key.indexOf('}', first.key.indexOf('{')) + 1)
  for (let at = 1; at < wants.length; at++) {
    if (tag !== undefined && wants[at]!.key.startsWith(begins)) continue
    if (hashTag(wants[at]!.key) !== tag) {
      throw new Error(`what is taken together carries one hash tag: "${wants[at]!.key}" has another one than "${first.key}"`)
    }
  }
}
