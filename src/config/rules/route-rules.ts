/** Rules of `routes`: every target leads to a provider, and a `*` has something to carry over. */
import { asObject } from '../../core/json.ts'
import type { Path } from '../problem.ts'
import { targetParts } from '../route-settings.ts'
import { didYouMean } from '../suggest.ts'
import { entriesOf, type Ground, listOf, textOf } from './ground.ts'

interface Names {
  readonly providers: Readonly<Record<string, unknown>>
  readonly routes: Readonly<Record<string, unknown>>
}

export function routeRules(ground: Ground): void {
  const routes = asObject(ground.tree.routes)
  if (routes !== undefined && Object.keys(routes).length === 0)
    ground.report(['routes'], 'there must be at least one route', 'key')
  const providers = asObject(ground.tree.providers) ?? {}
  const names = { providers, routes: routes ?? {} }
  for (const [name, value] of entriesOf(routes)) {
    for (const [path, text] of targetsOf(value, ['routes', name])) {
      const message = text === '' ? undefined : whyNowhere(ground, path, text, name, names)
      if (message !== undefined) ground.report(path, message)
    }
    rungsMakeSense(ground, asObject(value) ?? {}, ['routes', name])
  }
}

/** Each rung can be chosen by its name, has something to give, and leaves something to those after it. */
function rungsMakeSense(ground: Ground, route: Readonly<Record<string, unknown>>, path: Path): void {
  const rungs = listOf(route.degrade)
  const levels = rungs.map(rung => textOf(asObject(rung)?.level))
  for (const [at, level] of levels.entries()) {
    const place = [...path, 'degrade', at, 'level']
    if (level === 'cached' && route.cache === undefined)
      ground.report(place, 'there are no answers to take from a cache: give the route one, such as cache: {ttl: 10m, stale: 24h}')
    else if (level === 'offline' && at < levels.length - 1)
      ground.report(place, 'offline always answers, so nothing after it would ever be tried; put it at the end')
    else if (level !== undefined && levels.indexOf(level) < at) ground.report(place, `the level "${level}" is here twice`)
  }
}

/** Every target that the route mentions, wherever it stands, with its path. */
function targetsOf(value: unknown, path: Path): readonly (readonly [Path, string])[] {
  if (Array.isArray(value)) return listed(value, path)
  const route = asObject(value)
  return [
    ...listed(route?.targets, [...path, 'targets']),
    ...listed(route?.fallbacks, [...path, 'fallbacks']),
    ...listOf(route?.degrade).flatMap((rung, index) => listed(asObject(rung)?.targets, [...path, 'degrade', index, 'targets'])),
  ]
}

function listed(value: unknown, path: Path): readonly (readonly [Path, string])[] {
  return listOf(value).flatMap((item, index): readonly (readonly [Path, string])[] => {
    if (typeof item === 'string') return [[[...path, index], item]]
    const text = textOf(asObject(item)?.target)
    return text === undefined ? [] : [[[...path, index, 'target'], text]]
  })
}

/** Why the target at this path leads nowhere; undefined when it leads to a provider. */
function whyNowhere(ground: Ground, path: Path, text: string, route: string, names: Names): string | undefined {
  const parts = targetParts(text)
  const provider = parts?.provider ?? text
  const isProvider = Object.hasOwn(names.providers, provider)
  if (!isProvider && (Object.hasOwn(names.routes, text) || Object.hasOwn(names.routes, provider))) {
    return `${ground.quote(path, text)} is a route, and a route cannot be a target; name its targets here`
  }
  if (parts === undefined) {
    return `${ground.quote(path, text)} is not a target; write it as provider/model${isProvider ? `, such as ${provider}/…` : ''}`
  }
  if (!isProvider) {
    return `there is no provider ${ground.quote(path, provider)}${didYouMean(provider, Object.keys(names.providers))}`
  }
  const stars = parts.model.split('*').length - 1
  if (stars > 1) return 'the model of a target may hold one "*" at most'
  if (stars === 1 && !route.includes('*')) {
    return 'a "*" carries over what the "*" in the name of the route stood for, and that name has none'
  }
  return undefined
}
