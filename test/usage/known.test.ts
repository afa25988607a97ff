/* The known prices against the list's own arithmetic. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { calcPrice } from '@pydantic/genai-prices'
import { knownAbilities } from '../../src/usage/known.ts'
import { costUsd } from '../../src/usage/price.ts'

const MODELS = [
  ['openai', 'gpt-4o'],
  ['openai', 'gpt-5'],
  ['anthropic', 'claude-sonnet-4-5'],
  ['anthropic', 'claude-opus-5'],
  ['google', 'gemini-2.5-pro'],
  ['mistral', 'mistral-large-latest'],
  ['x-ai', 'grok-4'],
] as const

describe('known prices', () => {
  for (const [provider, model] of MODELS) {
    it(`${provider}/${model} costs what the list says, whatever was cached and however long it is`, () => {
      const { price } = knownAbilities(provider, model)
      for (const [input, cached, cacheWrite, output] of [
        [1_000, 0, 0, 500],
        [10_000, 7_000, 0, 1],
        [120_000, 90_000, 0, 4_000],
        [150_000, 50_001, 0, 4_000],
        [900_000, 0, 0, 8_000],
      ] as const) {
        const listed = calcPrice(
          { input_tokens: input + cached + cacheWrite, cache_read_tokens: cached, output_tokens: output },
          model,
          { providerId: provider },
        )!
        const ours = costUsd(price, { input, cached, cacheWrite, output })!
        assert.ok(Math.abs(ours - listed.total_price) < 1e-9, `${ours} is not ${listed.total_price}`)
      }
    })
  }

  it('are unknown for models that the list does not have, and not nothing', () => {
    assert.deepEqual(knownAbilities('openai', 'my-own-model'), {})
    assert.deepEqual(knownAbilities('no-such-provider', 'gpt-4o'), {})
    assert.deepEqual(knownAbilities('openai', 'claude-sonnet-4-5'), {}, 'another provider’s model is not this one’s')
  })

  it('tell the context where the list has it', () => {
    assert.equal(knownAbilities('openai', 'gpt-4o').context, 128_000)
  })
})
