/** The README's tables, made from the code: the test compares, `npm run readme` writes. */

import { COMMANDS } from '../../src/commands.ts'
import { jsonSchema } from '../../src/config/json-schema.ts'
import { FAULTS, type FaultName, rowOf } from '../../src/core/fault.ts'
import { providers } from '../../src/providers/registry.ts'
import { METRICS } from '../../src/telemetry/metrics.ts'
import { FEATURE_NAMES, featureRows } from './provider-features.ts'

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

const AGAIN = {
  no: 'no',
  yes: 'yes',
  'other-key': 'with another key',
  'other-key-or-wait': 'with another key, or after a short Retry-After',
}
const NEXT = { no: 'no', yes: 'yes', 'if-larger': 'only one with a larger or unknown context' }
const KEY = { none: '–', retires: 'retires', 'rests-long': 'rests 1 h', 'rests-as-told': 'rests as told' }

function faults(): string {
  const rows = (Object.keys(FAULTS) as FaultName[]).map(name => {
    const { from, status, code, next, again, circuit, key, overridable } = rowOf(name)
    const sees = status === 'theirs' ? "the provider's status and message" : `${status}${code === null ? '' : ` ${code}`}`
    return [
      `\`${name}\``,
      from,
      sees,
      `${NEXT[next]}${overridable ? ' *' : ''}`,
      AGAIN[again],
      circuit ? 'failure' : '–',
      KEY[key],
    ]
  })
  return table(['fault', 'from', 'client sees', 'next target', 'same target again', 'circuit', 'key'], rows)
}

function metrics(): string {
  const rows = Object.entries(METRICS).map(([name, [kind, help, labels]]) => [`\`${name}\``, kind, labels.join(', '), help])
  return table(['metric', 'kind', 'labels', 'tells'], rows)
}

function commands(): string {
  return table(
    ['command', 'does'],
    Object.entries(COMMANDS).map(([name, [takes, does]]) => [`\`understudy ${`${name} ${takes}`.trim()}\``, does]),
  )
}

const PREFILL = { continued: 'yes', echoed: 'yes; says the beginning again, which is taken off' }

function providerTypes(): string {
  return table(
    ['type', 'default base_url', 'goes on with an answer (`prefill`)'],
    [...providers.values()].map(({ name, baseUrl, prefill }) => [
      `\`${name}\``,
      baseUrl ?? 'none; give one',
      prefill === undefined ? 'no' : PREFILL[prefill],
    ]),
  )
}

function features(): string {
  return table(['type', 'as asked of', ...FEATURE_NAMES], featureRows())
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly description?: string
  readonly default?: unknown
}

/** Every key of the configuration, as a path; `NAME` stands for a name of the operator's own, `[]` for an entry of a list. */
function configuration(): string {
  const rows: string[][] = []
  const seen = new Set<string>()
  const walk = (schema: Schema, path: string) => {
    for (const each of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) walk(each, path)
    if (schema.items !== undefined) walk(schema.items, `${path}[]`)
    if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${path}.NAME`)
    for (const [key, value] of Object.entries(schema.properties ?? {})) {
      const place = path === '' ? key : `${path}.${key}`
      if (!seen.has(place)) {
        seen.add(place)
        const standard = value.default
        const shown = standard === undefined || typeof standard === 'object' ? '' : `\`${String(standard)}\``
        rows.push([`\`${place}\``, shown, value.description ?? ''])
      }
      walk(value, place)
    }
  }
  walk(jsonSchema() as Schema, '')
  return table(['key', 'default', 'means'], rows)
}

/** By the name in the README's markers. */
export const TABLES = { commands, faults, metrics, providers: providerTypes, features, configuration } as const

/** What lies between the marks of a table, and never past another mark: a table that is still empty must not eat what follows it. */
const marked = (name: string) => new RegExp(`(<!-- table: ${name} -->)(?:(?!<!--)[\\s\\S])*(<!-- end -->)`)

/** The README with its tables made anew. Throws when a table has no place in it. */
export function withTables(readme: string): string {
  let text = readme
  for (const [name, make] of Object.entries(TABLES)) {
    if (!marked(name).test(text)) throw new Error(`the README has no place for the table "${name}"`)
    text = text.replace(marked(name), (_, before, after) => `${before}\n${make()}\n${after}`)
  }
  return text
}
