/*
 * JSON schemas as Anthropic's compiler takes them (strict tools, output_config.format): a small part of JSON Schema, objects closed,
 * nothing recursive. A constraint that it does not know is not lost but said in words, in the description, where the model reads it.
 * What cannot be said in this part of the language at all makes the whole schema unusable: the caller then goes without the guarantee.
 */
import { asObject } from '../../../core/json.ts'

export type JsonSchema = Readonly<Record<string, unknown>>

/** Kept as they are. */
const PLAIN = new Set(['type', 'enum', 'const', 'default', 'title', 'required', '$ref'])
const FORMATS = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid'])
/** About the schema, not about the value: left out without a word. */
const ABOUT = new Set(['$schema', '$id', '$comment', '$anchor', 'strict', 'discriminator'])

class NotExpressible extends Error {}

/** The same schema for the compiler, or undefined when it cannot be expressed (recursion, open objects, boolean schemas). */
export function compilable(schema: JsonSchema): JsonSchema | undefined {
  try {
    refuseRecursion(schema)
    return translated(schema)
  } catch (thrown) {
    if (thrown instanceof NotExpressible) return undefined
    throw thrown
  }
}

/** The schema of a tool's input or of a synthetic answer, without the compiler: only its type has to be there. */
export function objectSchema(parameters: unknown): JsonSchema {
  const schema = asObject(parameters)
  if (schema === undefined || Object.keys(schema).length === 0) return { type: 'object', properties: {} }
  return schema.type === 'object' ? schema : { ...schema, type: 'object' }
}

function translated(value: unknown): JsonSchema {
  const schema = asObject(value)
  if (schema === undefined) throw new NotExpressible()
  const result: Record<string, unknown> = {}
  const inWords: string[] = []
  for (const [keyword, given] of Object.entries(schema)) {
    if (PLAIN.has(keyword)) result[keyword] = given
    else if (keyword === 'properties' || keyword === '$defs' || keyword === 'definitions') result[keyword] = eachOf(given)
    else if (keyword === 'items') result.items = translated(given)
    else if (keyword === 'anyOf' || keyword === 'oneOf') result.anyOf = allOf(given)
    else if (keyword === 'allOf') result.allOf = allOf(given)
    else if (keyword === 'format' && FORMATS.has(String(given))) result.format = given
    else if (keyword === 'minItems' && (given === 0 || given === 1)) result.minItems = given
    else if (keyword === 'description' || keyword === 'additionalProperties' || ABOUT.has(keyword)) continue
    else inWords.push(`${keyword}: ${JSON.stringify(given)}`)
  }
  const description = typeof schema.description === 'string' ? [schema.description] : []
  if (inWords.length > 0) description.push(`{${inWords.join(', ')}}`)
  if (description.length > 0) result.description = description.join('\n\n')
  if (isObjectType(schema)) {
    if (isOpen(schema)) throw new NotExpressible()
    result.additionalProperties = false
  }
  return result
}

function isObjectType(schema: JsonSchema): boolean {
  const type = schema.type
  return type === 'object' || (Array.isArray(type) && type.includes('object')) || schema.properties !== undefined
}

/** A map of any keys. Closed, it could only be `{}`, which is not what its author meant. */
function isOpen(schema: JsonSchema): boolean {
  const more = schema.additionalProperties
  return asObject(more) !== undefined || (schema.properties === undefined && more !== false)
}

function eachOf(schemas: unknown): JsonSchema {
  return Object.fromEntries(Object.entries(asObject(schemas) ?? {}).map(([name, schema]) => [name, translated(schema)]))
}

function allOf(schemas: unknown): readonly JsonSchema[] {
  if (!Array.isArray(schemas)) throw new NotExpressible()
  return schemas.map(translated)
}

/** Follows every reference from the root; one that leads back to where it came from is recursion. */
function refuseRecursion(root: JsonSchema): void {
  const finished = new Set<string>()

  function visit(value: unknown, path: readonly string[]): void {
    if (Array.isArray(value)) for (const each of value) visit(each, path)
    const schema = asObject(value)
    if (schema === undefined) return
    for (const [keyword, given] of Object.entries(schema)) {
      if (keyword === '$ref' && typeof given === 'string') follow(given, path)
      // Definitions count where they are referred to.
      else if (keyword !== '$defs' && keyword !== 'definitions') visit(given, path)
    }
  }

  function follow(reference: string, path: readonly string[]): void {
    if (finished.has(reference)) return
    const match = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(reference)
    const target = match === null ? undefined : asObject(root[match[1]!])?.[match[2]!]
    if (target === undefined || path.includes(reference)) throw new NotExpressible()
    visit(target, [...path, reference])
    finished.add(reference)
  }

  visit(root, [])
}
