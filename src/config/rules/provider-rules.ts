/** Rules of `providers` and `simulators`. */
import { asObject } from '../../core/json.ts'
import { parseAddress, simulatorOf } from '../notation.ts'
import type { Path } from '../problem.ts'
import { PROVIDER_TYPES, type ProviderType, TYPES_THAT_CONTINUE, TYPES_THAT_NEED_BASE_URL } from '../provider-settings.ts'
import { didYouMean } from '../suggest.ts'
import { parseDuration } from '../units.ts'
import { entriesOf, type Ground, listOf, textOf } from './ground.ts'

export function providerRules(ground: Ground): void {
  const providers = asObject(ground.tree.providers)
  if (providers !== undefined && Object.keys(providers).length === 0) {
    ground.report(['providers'], 'there must be at least one provider', 'key')
  }
  const simulators = simulatorNames(ground)
  for (const [name, value] of entriesOf(providers)) {
    const provider = asObject(value)
    if (provider === undefined) continue
    const path = ['providers', name]
    typeIsAvailable(ground, path, provider)
    addressIsKnown(ground, path, provider, simulators)
    prefillIsPossible(ground, path, provider)
    keysAreDistinct(ground, path, listOf(provider.keys))
    headersAreDistinct(ground, [...path, 'headers'], Object.keys(asObject(provider.headers) ?? {}))
    for (const pair of PAIRS) longestIsNotBelow(ground, path, provider, pair)
  }
}

function typeIsAvailable(ground: Ground, path: Path, provider: Readonly<Record<string, unknown>>): void {
  const type = textOf(provider.type)
  const exists = PROVIDER_TYPES.some(one => one === type)
  if (type !== undefined && exists && !ground.available.has(type))
    ground.report([...path, 'type'], `"${type}" is not available yet`)
}

function prefillIsPossible(ground: Ground, path: Path, provider: Readonly<Record<string, unknown>>): void {
  const type = textOf(provider.type)
  if (type === undefined || !PROVIDER_TYPES.some(one => one === type) || TYPES_THAT_CONTINUE.has(type)) return
  for (const [model, settings] of entriesOf(asObject(provider.models))) {
    if (asObject(settings)?.prefill !== true) continue
    const remedy = 'leave it out, and recover with "splice"'
    ground.report(
      [...path, 'models', model, 'prefill'],
      `the type "${type}" cannot be handed the beginning of an answer; ${remedy}`,
    )
  }
}

function addressIsKnown(
  ground: Ground,
  path: Path,
  provider: Readonly<Record<string, unknown>>,
  simulators: ReadonlySet<string>,
): void {
  const place = [...path, 'base_url']
  const type = textOf(provider.type) ?? ''
  if (provider.base_url === undefined && TYPES_THAT_NEED_BASE_URL.has(type)) {
    ground.report(place, `is missing: the type "${type}" has no address of its own`)
  }
  const simulator = simulatorOf(textOf(provider.base_url) ?? '')
  if (simulator === undefined) queryHasMeaning(ground, place, type, textOf(provider.base_url) ?? '')
  if (simulator !== undefined && simulator !== '' && !simulators.has(simulator)) {
    ground.report(place, `there is no simulator ${ground.quote(place, simulator)}${didYouMean(simulator, simulators)}`)
  }
}

/** The only type that looks at a query, and what it looks for. */
const TYPE_WITH_API_VERSION: ProviderType = 'azure'
const API_VERSION = /^api-version=[A-Za-z0-9.-]+$/

function queryHasMeaning(ground: Ground, place: Path, type: string, baseUrl: string): void {
  const mark = baseUrl.indexOf('?')
  const hash = baseUrl.indexOf('#')
  if (mark === -1 || (hash !== -1 && hash < mark)) return
  const query = baseUrl.slice(mark + 1, hash === -1 ? undefined : hash)
  if (type !== TYPE_WITH_API_VERSION) ground.report(place, 'a base_url must not have a query')
  else if (!API_VERSION.test(query))
    ground.report(place, 'the query of this base_url may say one thing only, such as ?api-version=2024-10-21')
}

/** Keys without a name have one by their place, which somebody may have taken. */
function keysAreDistinct(ground: Ground, path: Path, keys: readonly unknown[]): void {
  const firsts = new Map<string, number>()
  keys.forEach((key, index) => {
    const given = textOf(asObject(key)?.name)
    const name = given ?? `key-${index + 1}`
    const first = firsts.get(name)
    const place = [...path, 'keys', index, ...(given === undefined ? [] : ['name'])]
    if (first === undefined) firsts.set(name, index)
    else ground.report(place, `two keys have the name ${ground.quote(place, name)}: this one and keys[${first}]`)
  })
}

function headersAreDistinct(ground: Ground, path: Path, names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name.toLowerCase()))
      ground.report([...path, name], 'this header is here twice; capitals make no difference', 'key')
    seen.add(name.toLowerCase())
  }
}

/** Two durations of one section of which the second bounds the first, with their defaults. */
interface Pair {
  readonly section: readonly string[]
  readonly first: readonly [string, string]
  readonly longest: readonly [string, string]
}

const PAIRS: readonly Pair[] = [
  { section: ['retry', 'backoff'], first: ['first', '100ms'], longest: ['max', '2s'] },
  { section: ['circuit'], first: ['open', '30s'], longest: ['open_max', '5m'] },
]

function longestIsNotBelow(ground: Ground, path: Path, provider: Readonly<Record<string, unknown>>, pair: Pair): void {
  const section = pair.section.reduce<Readonly<Record<string, unknown>> | undefined>(
    (value, key) => asObject(value?.[key]),
    provider,
  )
  const [firstName, firstDefault] = pair.first
  const [longestName, longestDefault] = pair.longest
  const given = section?.[longestName]
  const firstMs = parseDuration(textOf(section?.[firstName]) ?? firstDefault)
  const longestMs = parseDuration(textOf(given) ?? longestDefault)
  if (firstMs === undefined || longestMs === undefined || longestMs >= firstMs) return
  const unless = given === undefined ? `is ${longestDefault} unless given, and ` : ''
  ground.report([...path, ...pair.section, longestName], `${unless}must not be shorter than ${firstName}`)
}

function simulatorNames(ground: Ground): ReadonlySet<string> {
  const names = new Set<string>()
  listOf(ground.tree.simulators).forEach((value, index) => {
    const simulator = asObject(value)
    const name = textOf(simulator?.name)
    const path = ['simulators', index]
    if (name !== undefined && names.has(name)) ground.report([...path, 'name'], 'two simulators have this name')
    if (name !== undefined) names.add(name)
    const listen = textOf(simulator?.listen)
    if (listen !== undefined && parseAddress(listen) === undefined) {
      ground.report([...path, 'listen'], 'not an address; write it as host:port, such as 127.0.0.1:0')
    }
  })
  return names
}
