import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { jsonSchema } from '../../src/config/json-schema.ts'
import { asObject } from '../../src/core/json.ts'

const text = `${JSON.stringify(jsonSchema(), null, 2)}\n`

test('the committed schema is the one that the code gives', async () => {
  const committed = await readFile(new URL('../../config/understudy.schema.json', import.meta.url), 'utf8')
  assert.ok(committed === text, 'config/understudy.schema.json is out of date: npm run schema')
})

test('every key has a description', () => {
  const silent: string[] = []
  const look = (schema: unknown, path: string): void => {
    if (Array.isArray(schema)) for (const item of schema) look(item, path)
    for (const [key, value] of Object.entries(asObject(schema) ?? {})) {
      if (key !== 'properties') look(value, path)
      else
        for (const [name, property] of Object.entries(asObject(value)!)) {
          const described = asObject(property)!
          const isConstant = 'const' in described
          if (described.description === undefined && !isConstant && !path.startsWith('.simulators'))
            silent.push(`${path}.${name}`)
          look(property, `${path}.${name}`)
        }
    }
  }
  look(jsonSchema(), '')
  assert.deepEqual(silent, [])
})

test('the schema is strict, and knows defaults as one writes them', () => {
  const schema = JSON.parse(text)
  assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
  assert.equal(schema.additionalProperties, false)
  assert.deepEqual(schema.required, ['providers', 'routes'])
  assert.equal(schema.properties.server.properties.max_body.default, '32MB')
  assert.equal(schema.properties.server.properties.listen.default, '127.0.0.1:8080')
})

test('numbers, booleans and words may come from outside', () => {
  const { server } = JSON.parse(text).properties
  assert.deepEqual(server.properties.open.anyOf, [{ type: 'boolean' }, { $ref: '#/$defs/fromOutside' }])
  const { pattern } = JSON.parse(text).$defs.fromOutside
  for (const reference of [`\${OPEN}`, `a\${OPEN:-b}c`, 'env:OPEN', 'file:/run/secrets/open'])
    assert.match(reference, new RegExp(pattern))
  assert.doesNotMatch('soon', new RegExp(pattern))
})
