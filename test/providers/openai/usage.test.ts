import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usageOf } from '../../../src/providers/openai/usage.ts'

const CASES: readonly (readonly [string, unknown, object | undefined])[] = [
  ['plain counts', { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }, { input: 10, output: 5 }],
  ['cached inside the prompt', { prompt_tokens: 10, prompt_tokens_details: { cached_tokens: 8 } }, { input: 2, cached: 8 }],
  [
    'written to the cache',
    { prompt_tokens: 10, prompt_tokens_details: { cached_tokens: 2, cache_write_tokens: 7 } },
    { input: 1, cached: 2, cacheWrite: 7 },
  ],
  [
    'more cached than there was',
    { prompt_tokens: 208, prompt_tokens_details: { cached_tokens: 314 } },
    { input: 0, cached: 208 },
  ],
  ['DeepSeek’s cache', { prompt_tokens: 10, prompt_cache_hit_tokens: 8 }, { input: 2, cached: 8 }],
  ['Mistral’s cache', { prompt_tokens: 10, num_cached_tokens: 8 }, { input: 2, cached: 8 }],
  [
    'reasoning inside the completion',
    { completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 4 } },
    { output: 5, reasoning: 4 },
  ],
  [
    'reasoning beside, by the total',
    { prompt_tokens: 3, completion_tokens: 1, total_tokens: 232, completion_tokens_details: { reasoning_tokens: 228 } },
    { input: 3, output: 1, reasoning: 228 },
  ],
  [
    'more reasoning than completion',
    { prompt_tokens: 15, completion_tokens: 256, total_tokens: 271, completion_tokens_details: { reasoning_tokens: 271 } },
    { input: 15, output: 0, reasoning: 256 },
  ],
  [
    'zero is not unknown',
    { prompt_tokens: 0, completion_tokens: 0, prompt_tokens_details: { cached_tokens: 0 } },
    { input: 0, cached: 0, output: 0 },
  ],
  [
    'nonsense is unknown',
    { prompt_tokens: '12', completion_tokens: -1, total_tokens: null, prompt_tokens_details: 'x', completion_tokens_details: [] },
    undefined,
  ],
  ['nothing', {}, undefined],
  ['null', null, undefined],
  ['a list', [], undefined],
]

for (const [name, usage, expected] of CASES) {
  test(`token counts: ${name}`, () => assert.deepEqual(usageOf(usage, false), expected))
}

test('where the total does not tell, the provider’s habit does', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 4 } }
  assert.deepEqual(usageOf(usage, true), { input: 3, output: 5, reasoning: 4 })
  assert.deepEqual(usageOf(usage, false), { input: 3, output: 1, reasoning: 4 })
  assert.deepEqual(usageOf({ ...usage, total_tokens: 8 }, true), { input: 3, output: 1, reasoning: 4 })
})
