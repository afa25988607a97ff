import assert from 'node:assert/strict'
import { test } from 'node:test'
import { synthesise } from '../../src/simulator/synthesis.ts'

test('an object gets its required properties, each by its type', () => {
  const schema = {
    type: 'object',
    properties: {
      name: { type: 'string' },
      born: { type: 'string', format: 'date' },
      age: { type: 'integer', minimum: 18 },
      score: { type: 'number', exclusiveMaximum: 1 },
      isOpen: { type: 'boolean' },
      tags: { type: 'array', items: { enum: ['red', 'blue'] }, minItems: 2 },
      home: { type: 'object', properties: { street_name: { type: ['null', 'string'] } }, required: ['street_name'] },
      nothing: { type: 'null' },
      left: { type: 'string' },
    },
    required: ['name', 'born', 'age', 'score', 'isOpen', 'tags', 'home', 'nothing'],
  }
  assert.deepEqual(synthesise(schema), {
    name: 'some name',
    born: '2026-01-01',
    age: 18,
    score: 0,
    isOpen: true,
    tags: ['red', 'red'],
    home: { street_name: 'some street name' },
    nothing: null,
  })
})

test('an object that requires nothing gets all its properties', () => {
  assert.deepEqual(synthesise({ properties: { a: { type: 'integer' }, b: { const: 7 } } }), { a: 1, b: 7 })
})

test('references, alternatives and combinations are followed', () => {
  const schema = {
    type: 'object',
    $defs: { point: { type: 'object', properties: { x: { type: 'integer' } }, required: ['x'] } },
    properties: {
      at: { $ref: '#/$defs/point' },
      maybe: { anyOf: [{ type: 'null' }, { type: 'string', default: 'given' }] },
      both: { allOf: [{ $ref: '#/$defs/point' }, { properties: { y: { type: 'integer' } }, required: ['y'] }] },
    },
    required: ['at', 'maybe', 'both'],
  }
  assert.deepEqual(synthesise(schema), { at: { x: 1 }, maybe: 'given', both: { x: 1, y: 1 } })
})

test('a schema that contains itself comes to an end', () => {
  const tree = {
    type: 'object',
    properties: { child: { $ref: '#' }, next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
    required: ['child', 'next'],
  }
  assert.equal(JSON.parse(JSON.stringify(synthesise(tree))).next.next.child.next instanceof Object, true)
  assert.equal(synthesise({ $ref: '#' }), 'some value')
})

test('the lengths of strings are kept to', () => {
  assert.equal(synthesise({ type: 'string', minLength: 14 }), 'some value....')
  assert.equal(synthesise({ type: 'string', maxLength: 4 }), 'some')
})
