import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compilable, type JsonSchema } from '../../../../src/providers/kit/claude/schema.ts'

const closed = (properties: Record<string, unknown>, more: JsonSchema = {}) => ({
  type: 'object',
  properties,
  ...more,
  additionalProperties: false,
})
const open = (properties: Record<string, unknown>, more: JsonSchema = {}) => ({ type: 'object', properties, ...more })

describe("a schema for Anthropic's compiler", () => {
  it('has every object closed, however deep', () => {
    const deep = (object: typeof open) =>
      object({
        a: object({ b: { type: 'array', items: object({ c: { type: 'string' } }) } }),
        d: { anyOf: [object({}), { type: 'null' }] },
      })
    assert.deepEqual(compilable(deep(open)), deep(closed))
  })

  it('keeps what the compiler knows', () => {
    const kept = closed({
      a: { type: ['string', 'null'], enum: ['x', null], default: null, title: 'A', description: 'An a.' },
      b: { type: 'string', format: 'date-time' },
      c: { type: 'array', minItems: 1, items: { const: 3 } },
      d: { allOf: [{ $ref: '#/$defs/e' }] },
    })
    const schema = { ...kept, required: ['a'], $defs: { e: { type: 'integer' } } }
    assert.deepEqual(compilable(schema), schema)
  })

  it('says other constraints in words, where the model reads them', () => {
    const schema = open({
      a: { type: 'integer', minimum: 1, maximum: 9, description: 'A digit.' },
      b: { type: 'string', pattern: '^x', format: 'color' },
      c: { type: 'array', minItems: 2, uniqueItems: true, items: { type: 'string' } },
    })
    assert.deepEqual(
      compilable(schema),
      closed({
        a: { type: 'integer', description: 'A digit.\n\n{minimum: 1, maximum: 9}' },
        b: { type: 'string', description: '{pattern: "^x", format: "color"}' },
        c: { type: 'array', items: { type: 'string' }, description: '{minItems: 2, uniqueItems: true}' },
      }),
    )
  })

  it('has anyOf in place of oneOf, and nothing about the schema itself', () => {
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      ...open({ a: { oneOf: [{ type: 'string' }, { type: 'null' }] } }),
    }
    assert.deepEqual(compilable(schema), closed({ a: { anyOf: [{ type: 'string' }, { type: 'null' }] } }))
  })

  it('may refer to one definition from two places', () => {
    const schema = {
      ...open({ a: { $ref: '#/$defs/x' }, b: { $ref: '#/$defs/x' } }),
      $defs: { x: open({ c: { $ref: '#/$defs/y' } }), y: { type: 'string' } },
    }
    assert.notEqual(compilable(schema), undefined)
  })

  it('cannot be made of one that the compiler would refuse', () => {
    const refused: readonly JsonSchema[] = [
      open({ next: { $ref: '#' } }),
      {
        ...open({ a: { $ref: '#/$defs/x' } }),
        $defs: { x: open({ y: { $ref: '#/$defs/y' } }), y: open({ x: { $ref: '#/$defs/x' } }) },
      },
      open({ a: { $ref: '#/$defs/missing' } }),
      open({ a: { $ref: 'https://schemas.example/a' } }),
      open({ a: true }),
      open({ a: { type: 'object' } }),
      open({ a: { type: 'object', additionalProperties: { type: 'number' } } }),
      open({ a: { anyOf: 'x' } }),
    ]
    for (const schema of refused) assert.equal(compilable(schema), undefined, JSON.stringify(schema))
  })
})
