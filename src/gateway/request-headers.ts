/** The headers of an upstream request: only what is listed here, never anything of the client's. */
import type { Target } from '../core/attempt.ts'
import type { HeldKey } from '../resilience/keys.ts'

interface Fixed {
  readonly byName: Readonly<Record<string, string>>
  readonly flat: readonly string[]
}

/** What does not change from call to call is put together once per target and key. */
const fixed = new WeakMap<Target, Map<string, Fixed>>()

/** Names and values by turns, names in lower case. What belongs to the call stands over what belongs to the target. */
export function requestHeaders(
  target: Target,
  key: HeldKey,
  ofCall: Readonly<Record<string, string>> | undefined,
  signed: Readonly<Record<string, string>> | undefined,
): readonly string[] {
  const { byName, flat } = fixedHeaders(target, key)
  return ofCall === undefined && signed === undefined ? flat : Object.entries({ ...byName, ...ofCall, ...signed }).flat()
}

function fixedHeaders(target: Target, key: HeldKey): Fixed {
  let byKey = fixed.get(target)
  if (byKey === undefined) {
    byKey = new Map()
    fixed.set(target, byKey)
  }
  let headers = byKey.get(key.name)
  if (headers === undefined) {
    const byName = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      // What is compressed cannot be relayed, and a small answer is not worth unpacking.
      'accept-encoding': 'identity',
      'user-agent': 'understudy',
      ...target.provider.authorize(key.value, target),
      ...target.headers,
    }
    headers = { byName, flat: Object.entries(byName).flat() }
    byKey.set(key.name, headers)
  }
  return headers
}
