import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TYPES_THAT_CONTINUE } from '../../src/config/provider-settings.ts'
import { available, providers } from '../../src/providers/registry.ts'
import { sent } from './calls.ts'

/** They are run by whoever configures them, so nobody else knows where. */
const ANYWHERE = new Set(['openai-compatible', 'vllm', 'azure'])

test('each provider is registered under its own name', () => {
  for (const [name, provider] of providers) assert.equal(provider.name, name)
  assert.deepEqual([...available], [...providers.keys()])
})

test('each has an address without a slash at its end, or none that could be known', () => {
  for (const [name, { baseUrl }] of providers) {
    if (ANYWHERE.has(name)) assert.equal(baseUrl, undefined)
    else assert.match(baseUrl ?? '', /^(?:https:\/\/[a-z0-9.-]+|http:\/\/localhost:\d+)(?:\/[a-z0-9.-]+)*$/)
  }
})

test('the configuration knows which of them can be handed the beginning of an answer', () => {
  const able = [...providers.values()].filter(({ prefill }) => prefill !== undefined).map(({ name }) => name)
  assert.deepEqual([...TYPES_THAT_CONTINUE].sort(), able.sort())
})

test('a setting that a provider does not have is an error', () => {
  for (const [name, { options }] of providers) assert.equal(options.safeParse({ no_such_setting: 1 }).success, false, name)
})

for (const name of ANYWHERE) {
  test(`${name} gets every field as it came`, () => {
    const body = {
      messages: [{ role: 'developer', content: 'x', name: 'n' }],
      logit_bias: { 5: 1 },
      max_tokens: 9,
      guided_json: {},
      n: 3,
      stop: ['x'],
      user: 'u',
    }
    const { json, leftOut } = sent(providers.get(name)!, 'm', body)
    assert.deepEqual(json, { model: 'm', ...body })
    assert.deepEqual(leftOut, [])
  })
}
