/** Values made up to fit a JSON Schema: arguments of tool calls and structured answers. The same schema always gives the same value. */
import { asObject } from '../core/json.ts'

type Schema = Readonly<Record<string, unknown>>

/** Deeper than this, only what ends a recursion is made. */
const MAX_DEPTH = 12

const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2026-01-01T12:00:00Z',
  date: '2026-01-01',
  time: '12:00:00Z',
  duration: 'PT1H',
  email: 'someone@example.com',
  hostname: 'example.com',
  uri: 'https://example.com/',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uuid: '00000000-0000-4000-8000-000000000001',
}

/**
 * A value that fits `schema`: required properties (all of them where none is required) by type, the first of an enum or of alternatives,
 * local references followed. Patterns and other constraints on strings are not looked at, save the format and the lengths.
 */
export function synthesise(schema: unknown): unknown {
  const root = asObject(schema) ?? {}
  return valueFor(root, root, 'value', 0)
}

function valueFor(given: unknown, root: Schema, name: string, depth: number): unknown {
  const schema = resolve(given, root, depth)
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum.find(value => value !== null) ?? null
  if ('default' in schema && schema.default !== null) return schema.default
  switch (typeOf(schema)) {
    case 'object':
      return objectFor(schema, root, depth)
    case 'array':
      return arrayFor(schema, root, name, depth)
    case 'integer':
      return Math.ceil(numberFor(schema))
    case 'number':
      return numberFor(schema)
    case 'boolean':
      return true
    case 'null':
      return null
    default:
      return stringFor(schema, name)
  }
}

/** Follows references and takes the first alternative, until what is left says its own type. */
function resolve(given: unknown, root: Schema, depth: number): Schema {
  let schema = asObject(given) ?? {}
  for (let hops = 0; hops < MAX_DEPTH; hops++) {
    const alternatives = [schema.anyOf, schema.oneOf].find(list => Array.isArray(list) && list.length > 0)
    if (typeof schema.$ref === 'string') {
      const { $ref, ...beside } = schema
      schema = { ...lookUp(schema.$ref, root), ...beside }
    } else if (Array.isArray(alternatives)) {
      const { anyOf, oneOf, ...beside } = schema
      // Past the depth, the last alternative: in recursive schemas it tends to be null or the leaf.
      const notNull = alternatives.find(one => asObject(one)?.type !== 'null') ?? alternatives[0]
      schema = { ...beside, ...asObject(depth < MAX_DEPTH ? notNull : alternatives.at(-1)) }
    } else if (Array.isArray(schema.allOf)) {
      const { allOf, ...beside } = schema
      schema = schema.allOf.reduce<Schema>((all, one) => merge(all, resolve(one, root, depth + 1)), beside)
    } else return schema
  }
  return schema
}

function merge(a: Schema, b: Schema): Schema {
  return {
    ...a,
    ...b,
    properties: { ...asObject(a.properties), ...asObject(b.properties) },
    required: [...namesIn(a.required), ...namesIn(b.required)],
  }
}

function lookUp(reference: string, root: Schema): Schema {
  if (!reference.startsWith('#')) return {}
  let at: unknown = root
  for (const step of reference.split('/').slice(1)) at = asObject(at)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')]
  return asObject(at) ?? {}
}

function typeOf(schema: Schema): unknown {
  const type = Array.isArray(schema.type) ? (schema.type.find(one => one !== 'null') ?? 'null') : schema.type
  if (type !== undefined) return type
  if (schema.properties !== undefined) return 'object'
  return schema.items !== undefined ? 'array' : 'string'
}

function objectFor(schema: Schema, root: Schema, depth: number): unknown {
  const properties = asObject(schema.properties) ?? {}
  const required = namesIn(schema.required)
  const names = required.length > 0 ? required : Object.keys(properties)
  const made: Record<string, unknown> = {}
  if (depth >= MAX_DEPTH) return made
  for (const name of new Set(names)) made[name] = valueFor(properties[name], root, name, depth + 1)
  return made
}

function arrayFor(schema: Schema, root: Schema, name: string, depth: number): unknown {
  const atLeast = typeof schema.minItems === 'number' ? schema.minItems : 1
  const atMost = typeof schema.maxItems === 'number' ? schema.maxItems : atLeast
  const length = depth >= MAX_DEPTH ? 0 : Math.min(atLeast, atMost)
  return Array.from({ length }, () => valueFor(schema.items, root, name, depth + 1))
}

function numberFor(schema: Schema): number {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  let value = 1
  if (typeof maximum === 'number' && value > maximum) value = maximum
  if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) value = exclusiveMaximum - 1
  if (typeof minimum === 'number' && value < minimum) value = minimum
  if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) value = exclusiveMinimum + 1
  return typeof multipleOf === 'number' && multipleOf > 0 ? Math.ceil(value / multipleOf) * multipleOf : value
}

function stringFor(schema: Schema, name: string): string {
  const text = (typeof schema.format === 'string' ? FORMATS[schema.format] : undefined) ?? `some ${name.replaceAll('_', ' ')}`
  const padded = typeof schema.minLength === 'number' ? text.padEnd(schema.minLength, '.') : text
  return typeof schema.maxLength === 'number' ? padded.slice(0, schema.maxLength) : padded
}

function namesIn(required: unknown): readonly string[] {
  return Array.isArray(required) ? required.filter(name => typeof name === 'string') : []
}
