import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { legalName, ownName } from '../../../src/providers/cohere/tool-names.ts'

describe('a tool’s name', () => {
  test('comes back as it was, whatever it was', () => {
    for (const name of [
      'tide',
      'get-tide',
      '2fa',
      '_x',
      'a.b',
      '_x002d_',
      'a_x002d_b-c',
      '__x002d__',
      'naïve',
      'x002d_',
      '-',
      '_x0031_2',
    ])
      assert.equal(ownName(legalName(name)), name, name)
  })
  test('is legal on the way', () => {
    for (const name of ['get-tide', '2fa', 'a.b', 'naïve']) assert.match(legalName(name), /^[A-Za-z_]\w*$/)
    assert.equal(legalName('get_tide_2'), 'get_tide_2')
  })
})
