/** A configuration at a glance: what `understudy check` prints when all is well. Names of keys, never the keys. */
import type { Address } from './notation.ts'
import type { Config, RouteConfig } from './schema.ts'

export type Cell = string | readonly string[]

export function summary(config: Config): string {
  const clients = config.clients.map(client => client.name)
  const asked = config.server.open || clients.length === 0 ? 'no client key is asked for' : `clients: ${clients.join(', ')}`
  const token = config.admin.token === undefined ? 'no token: /metrics, /health and /ready only' : 'with a token'
  return [
    `clients    ${shownAddress(config.server.listen)}  (${asked})`,
    `operators  ${shownAddress(config.admin.listen)}  (${token})`,
    '',
    table([
      ['ROUTE', 'CHOSEN BY', 'TARGETS', 'FALLBACKS', 'DEADLINE', 'REQUIRES'],
      ...Object.entries(config.routes).map(([name, route]): readonly Cell[] => [
        name,
        route.sticky === 'off' ? route.choose : `${route.choose}, sticky by ${route.sticky}`,
        targetLines(route),
        orDash(route.fallbacks),
        durationText(route.deadline),
        orDash(route.require),
      ]),
    ]),
    '',
    table([
      ['PROVIDER', 'TYPE', 'KEYS', 'ADDRESS', 'TAGS'],
      ...Object.entries(config.providers).map(([name, provider]): readonly Cell[] => {
        const keys = provider.keys.map(key => key.name)
        const listed = keys.length === 0 ? 'none' : `${keys.length}: ${keys.join(', ')}`
        return [name, provider.type, listed, provider.base_url ?? 'built in', orDash([provider.tags.join(', ')])]
      }),
    ]),
  ].join('\n')
}

/** With their shares of the calls where weights decide. */
function targetLines(route: RouteConfig): readonly string[] {
  if (route.choose !== 'weighted') return route.targets.map(({ target }) => target)
  const all = route.targets.reduce((sum, { weight }) => sum + weight, 0)
  return route.targets.map(({ target, weight }) => `${target}  weight ${weight} (${Math.round((100 * weight) / all)} %)`)
}

function orDash(lines: readonly string[]): readonly string[] {
  return lines.length === 0 || (lines.length === 1 && lines[0] === '') ? ['–'] : lines
}

/** `host:port`, with brackets around IPv6. */
export function shownAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** In the largest unit that leaves no fraction: 120000 is "2m". */
function durationText(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const
  const unit = units.find(([, length]) => ms >= length && ms % length === 0)
  return unit === undefined ? `${ms}ms` : `${ms / unit[1]}${unit[0]}`
}

/** Columns as wide as their widest line; a cell may have several lines. */
export function table(rows: readonly (readonly Cell[])[]): string {
  const cells = rows.map(row => row.map(cell => (typeof cell === 'string' ? [cell] : cell)))
  const widths = cells[0]!.map((_, column) => Math.max(...cells.flatMap(row => row[column]!.map(line => line.length))))
  return cells
    .flatMap(row => {
      const height = Math.max(...row.map(lines => lines.length))
      return Array.from({ length: height }, (_, line) =>
        row.map((lines, column) => (lines[line] ?? '').padEnd(widths[column]!)).join('  '),
      )
    })
    .map(line => line.trimEnd())
    .join('\n')
}
