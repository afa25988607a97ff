import assert from 'node:assert/strict'
import { test } from 'node:test'
import { xai } from '../../../src/providers/xai/xai.ts'
import { refusal, sent } from '../calls.ts'

const BODY = { presence_penalty: 1, frequency_penalty: 1, reasoning_effort: 'low', temperature: 0.5 }

for (const [model, leftOut] of [
  ['grok-4', ['presence_penalty', 'frequency_penalty', 'reasoning_effort']],
  ['grok-4-fast-reasoning', ['presence_penalty', 'frequency_penalty', 'reasoning_effort']],
  ['grok-4-fast-non-reasoning', ['reasoning_effort']],
  ['grok-3-mini', ['presence_penalty', 'frequency_penalty']],
  ['grok-3', ['reasoning_effort']],
  ['grok-5', ['presence_penalty', 'frequency_penalty']],
] as const) {
  test(`${model} is not sent what it refuses`, () => {
    const { json, leftOut: told } = sent(xai, model, BODY)
    assert.deepEqual(told, leftOut)
    assert.deepEqual(
      leftOut.filter(field => field in json),
      [],
    )
    assert.equal(json.temperature, 0.5)
  })
}

test('stop sequences mean something, so a model that has none is not asked', () => {
  assert.match(refusal(xai, 'grok-4', { stop: ['x'] }) ?? '', /stop sequences/)
  assert.equal(refusal(xai, 'grok-4', { stop: [] }), undefined)
  assert.equal(refusal(xai, 'grok-4-fast-non-reasoning', { stop: 'x' }), undefined)
})
