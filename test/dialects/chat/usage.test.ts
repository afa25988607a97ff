import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Usage } from '../../../src/core/chat.ts'
import { openAIUsage } from '../../../src/dialects/chat/usage.ts'
import { chance } from '../../core/random.ts'

test('counts that are disjoint here overlap at OpenAI: cached input in the prompt, reasoning in the completion', () => {
  assert.deepEqual(openAIUsage({ input: 10, cached: 100, cacheWrite: 1_000, output: 7, reasoning: 70 }), {
    prompt_tokens: 1_110,
    completion_tokens: 77,
    total_tokens: 1_187,
    prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 1_000 },
    completion_tokens_details: { reasoning_tokens: 70 },
  })
})

test('details that are not known are left out, and those that are zero are told', () => {
  assert.deepEqual(openAIUsage({ input: 1, output: 2 }), { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 })
  assert.deepEqual(openAIUsage({ input: 1, cached: 0, output: 2, reasoning: 0 }), {
    prompt_tokens: 1,
    completion_tokens: 2,
    total_tokens: 3,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  })
})

test('with neither side known there is no usage; with one, the other is zero', () => {
  assert.equal(openAIUsage({}), undefined)
  assert.equal(openAIUsage({ cached: 5, reasoning: 5 }), undefined)
  assert.deepEqual(openAIUsage({ input: 5 }), { prompt_tokens: 5, completion_tokens: 0, total_tokens: 5 })
  assert.deepEqual(openAIUsage({ output: 5 }), { prompt_tokens: 0, completion_tokens: 5, total_tokens: 5 })
})

test('no token is lost or counted twice', () => {
  const by = chance()
  const count = () => (by.below(3) === 0 ? undefined : by.below(1_000))
  for (let round = 0; round < 1_000; round++) {
    const counts = { input: by.below(1_000), cached: count(), cacheWrite: count(), output: count(), reasoning: count() }
    const usage = Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== undefined)) as Usage
    const told = openAIUsage(usage)!
    const all = Object.values(usage).reduce((sum: number, value) => sum + value, 0)
    assert.equal(told.total_tokens, all, `SEED=${by.seed} ${JSON.stringify(usage)}`)
    assert.equal((told.prompt_tokens as number) + (told.completion_tokens as number), all)
  }
})
