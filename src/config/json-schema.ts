/** The schema for editors (config/understudy.schema.json): completion, descriptions and red underlines while one types. */
import { z } from 'zod'
import { asObject } from '../core/json.ts'
import { config } from './schema.ts'

/** What may stand in place of any value that is not free text: the environment gives it. */
const FROM_OUTSIDE = { type: 'string', pattern: '^(.*\\$\\{.+\\}.*|env:.+|file:.+)$' }

export function jsonSchema(): object {
  const schema = z.toJSONSchema(config, { io: 'input', target: 'draft-2020-12', unrepresentable: 'throw' })
  const { $schema, ...rest } = schema
  return { $schema, title: 'understudy.yaml', ...(orFromOutside(rest) as object), $defs: { fromOutside: FROM_OUTSIDE } }
}

/** The same schema, in which every number, boolean, enumeration and pattern may also be a reference to the environment. */
function orFromOutside(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(orFromOutside)
  const object = asObject(schema)
  if (object === undefined) return schema
  const inside: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object)) {
    // These hold values or describe keys, which are never taken from outside.
    if (key === 'default' || key === 'enum' || key === 'propertyNames') inside[key] = value
    else if (key === 'properties') inside[key] = mapValues(value as Record<string, unknown>)
    else if (key === 'anyOf') inside[key] = flattened((value as unknown[]).map(orFromOutside))
    else inside[key] = orFromOutside(value)
  }
  if (!isNarrow(object)) return inside
  const { description, default: preset, ...narrow } = inside
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
    anyOf: [narrow, { $ref: '#/$defs/fromOutside' }],
  }
}

/** Alternatives of alternatives as one list, without repeats. */
function flattened(alternatives: readonly unknown[]): readonly unknown[] {
  const all = alternatives.flatMap(one => {
    const object = asObject(one)
    return object !== undefined && Array.isArray(object.anyOf) && Object.keys(object).length === 1 ? object.anyOf : [one]
  })
  return [...new Map(all.map(one => [JSON.stringify(one), one])).values()]
}

function mapValues(properties: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, orFromOutside(schema)]))
}

function isNarrow(schema: Readonly<Record<string, unknown>>): boolean {
  if (schema.type === 'number' || schema.type === 'integer' || schema.type === 'boolean') return !('const' in schema)
  return schema.type === 'string' && ('pattern' in schema || 'enum' in schema)
}
