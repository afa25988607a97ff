/*
 * What is legal and probably not meant: told by `understudy check`, and never a reason not to start. Each rule looks at the checked
 * configuration, with its defaults, and points at the place in the file.
 */
import type { Path, Problem } from './problem.ts'
import { targetParts } from './route-settings.ts'
import type { Config, ProviderConfig, RouteConfig } from './schema.ts'

/** Whether anything is known of what the model of this provider costs. */
export type Prices = (provider: ProviderConfig, model: string) => boolean

type Report = (path: Path, message: string) => void

/**
 * @param problemAt places a message in the file
 * @param isPriced for models whose price is not in the file
 */
export function unwise(
  config: Config,
  problemAt: (path: Path, message: string) => Problem,
  isPriced: Prices,
): readonly Problem[] {
  const found: Problem[] = []
  const report: Report = (path, message) => void found.push(problemAt(path, message))
  for (const [name, route] of Object.entries(config.routes)) {
    const path = ['routes', name]
    oneProvider(report, path, route)
    sharedFate(report, path, route, config)
    timesThatDoNotFit(report, path, route, config)
    hedgeTooLate(report, path, route, config)
    costWithoutPrices(report, path, route, config, isPriced)
    stickyToNobody(report, path, route, config)
  }
  sumsWithoutPrices(report, config, isPriced)
  return found
}

const providerOf = (target: string) => targetParts(target)!.provider

/** Targets and fallbacks, each with its place. */
function placed({ targets, fallbacks }: RouteConfig, path: Path): readonly (readonly [target: string, place: Path])[] {
  return [
    ...targets.map(({ target }, at) => [target, [...path, 'targets', at]] as const),
    ...fallbacks.map((target, at) => [target, [...path, 'fallbacks', at]] as const),
  ]
}

function oneProvider(report: Report, path: Path, route: RouteConfig): void {
  const names = new Set(placed(route, path).map(([target]) => providerOf(target)))
  if (names.size > 1) return
  report(path, `has one provider only, "${[...names][0]}": when that is down, nobody answers; add a fallback at another one`)
}

/** What a fallback is for is that it does not fail together with the one before it. */
function sharedFate(report: Report, path: Path, { targets, fallbacks }: RouteConfig, { providers }: Config): void {
  const primaryName = providerOf(targets[0]!.target)
  const primary = providers[primaryName]!
  for (const [at, fallback] of fallbacks.entries()) {
    const name = providerOf(fallback)
    // A route with one provider has been told so.
    if (name === primaryName) continue
    const other = providers[name]!
    const what = sharesKey(primary, other) ? 'a key' : hostOf(primary) === hostOf(other) ? 'the host' : undefined
    if (what !== undefined)
      report(
        [...path, 'fallbacks', at],
        `shares ${what} with "${primaryName}", the provider of the first target: they fail together`,
      )
  }
}

function sharesKey(one: ProviderConfig, other: ProviderConfig): boolean {
  const values = new Set(one.keys.map(({ value }) => value.reveal()))
  return other.keys.some(({ value }) => values.has(value.reveal()))
}

/** Of providers that say no address, two of one type are at the same place. */
function hostOf({ type, base_url: url }: ProviderConfig): string {
  if (url === undefined) return type
  return url.startsWith('simulator:') ? url.split('/')[0]! : new URL(url).host
}

/** The first target's silence must leave time for somebody else. */
function timesThatDoNotFit(report: Report, path: Path, route: RouteConfig, { providers }: Config): void {
  const [first, ...others] = [...new Set(placed(route, path).map(([target]) => target))]
  const { timeouts } = providers[providerOf(first!)]!
  if (timeouts.first_token >= route.deadline) {
    const rest = others.length > 0 ? ', and no other target would be tried' : ''
    report([...path, 'deadline'], `is over before the first_token of ${first} (${inSeconds(timeouts.first_token)}) can be${rest}`)
    return
  }
  let neededMs = 0
  for (const [at, target] of [first!, ...others].entries()) {
    neededMs += providers[providerOf(target)]!.timeouts.first_token
    if (neededMs <= route.deadline || at === 0) continue
    report(
      [...path, 'deadline'],
      `is over before the ${at + 1} first targets can each be waited for (first_token, together ${inSeconds(neededMs)})`,
    )
    return
  }
}

function hedgeTooLate(report: Report, path: Path, { hedge, targets }: RouteConfig, { providers }: Config): void {
  if (hedge === undefined) return
  for (const { target } of targets) {
    const { first_token: firstTokenMs } = providers[providerOf(target)]!.timeouts
    if (hedge.after < firstTokenMs) continue
    report(
      [...path, 'hedge', 'after'],
      `comes after the first_token of ${target} (${inSeconds(firstTokenMs)}): that attempt has failed by then`,
    )
    return
  }
}

function costWithoutPrices(report: Report, path: Path, route: RouteConfig, config: Config, isPriced: Prices): void {
  if (route.choose !== 'cost') return
  const unpriced = unpricedOf(
    placed(route, path).map(([target]) => target),
    config,
    isPriced,
  )
  if (unpriced.length > 0)
    report([...path, 'choose'], `goes by cost, and nothing is known of what ${listed(unpriced)} cost; give a price under models`)
}

function stickyToNobody(report: Report, path: Path, { sticky }: RouteConfig, { clients, server }: Config): void {
  if (sticky === 'client' && (clients.length === 0 || server.open))
    report([...path, 'sticky'], 'goes by client, and without clients everybody is the same one: all calls go to one target first')
}

/** Budgets and caps charge what is unknown at the dearest known price. */
function sumsWithoutPrices(report: Report, config: Config, isPriced: Prices): void {
  for (const [at, { budget, routes }] of config.clients.entries()) {
    if (budget === undefined) continue
    const asked = Object.entries(config.routes).filter(([name]) => routes === undefined || routes.includes(name))
    const targets = asked.flatMap(([, { targets, fallbacks }]) => [...targets.map(({ target }) => target), ...fallbacks])
    const unpriced = unpricedOf(targets, config, isPriced)
    if (unpriced.length > 0) report(['clients', at, 'budget'], `${NO_PRICE} ${listed(unpriced)}: ${CHARGED}`)
  }
  const all = Object.values(config.routes).flatMap(({ targets, fallbacks }) => [
    ...targets.map(({ target }) => target),
    ...fallbacks,
  ])
  for (const [name, { spend_cap: cap }] of Object.entries(config.providers)) {
    if (cap === undefined) continue
    const unpriced = unpricedOf(
      all.filter(target => providerOf(target) === name),
      config,
      isPriced,
    )
    if (unpriced.length > 0) report(['providers', name, 'spend_cap'], `${NO_PRICE} ${listed(unpriced)}: ${CHARGED}`)
  }
}

const NO_PRICE = 'nothing is known of the price of'
const CHARGED = 'it is charged at the dearest price that is known; give it one under models'

/** Those with a star stand for models that nobody has named yet. */
function unpricedOf(targets: readonly string[], { providers }: Config, isPriced: Prices): readonly string[] {
  return [...new Set(targets)].filter(target => {
    const { provider, model } = targetParts(target)!
    const settings = providers[provider]!
    return !model.includes('*') && settings.models[model]?.price === undefined && !isPriced(settings, model)
  })
}

const MOST_LISTED = 3
const listed = (names: readonly string[]) =>
  names.length <= MOST_LISTED
    ? names.join(', ')
    : `${names.slice(0, MOST_LISTED).join(', ')} and ${names.length - MOST_LISTED} others`

const inSeconds = (ms: number) => `${ms / 1000} s`
