import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nanosOf, type Per, periodAt, usdOf } from '../../src/limits/periods.ts'

const at = (text: string) => Date.parse(text)

test('periods begin and end at the hour, at midnight and at the first of the month, in UTC', () => {
  const cases: readonly (readonly [Per, string, string, string])[] = [
    ['hour', '2026-11-27T14:59:59.999Z', '2026-11-27T14', '2026-11-27T15:00:00Z'],
    ['hour', '2026-11-27T23:00:00.000Z', '2026-11-27T23', '2026-11-28T00:00:00Z'],
    ['day', '2026-11-27T23:59:59.999Z', '2026-11-27', '2026-11-28T00:00:00Z'],
    ['day', '2026-11-28T00:00:00.000Z', '2026-11-28', '2026-11-29T00:00:00Z'],
    ['day', '2028-02-28T12:00:00.000Z', '2028-02-28', '2028-02-29T00:00:00Z'],
    ['month', '2026-12-31T23:59:59.999Z', '2026-12', '2027-01-01T00:00:00Z'],
    ['month', '2027-02-01T00:00:00.000Z', '2027-02', '2027-03-01T00:00:00Z'],
  ]
  for (const [per, now, name, end] of cases) {
    assert.deepEqual(periodAt(per, at(now)), { name, endsAtMs: at(end) }, `${per} of ${now}`)
  }
})

test('three tenths are three times a tenth', () => {
  assert.ok(0.1 + 0.1 + 0.1 !== 0.3)
  assert.equal(3 * nanosOf(0.1), nanosOf(0.3))
  for (let mills = 1; mills < 10_000; mills++) assert.ok(Number.isInteger(nanosOf(mills / 1_000)), `${mills / 1_000}`)
  assert.equal(usdOf(nanosOf(12.345678)), 12.345678)
})
