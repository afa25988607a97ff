import assert from 'node:assert/strict'
import { test } from 'node:test'
import { provider as providerSettings } from '../../src/config/provider-settings.ts'
import { targets } from '../../src/gateway/targets.ts'
import { madeProvider } from './made.ts'

const made = madeProvider()
const registry = new Map([['openai', made]])

function known(settings: object = {}) {
  const configured = {
    mine: providerSettings.parse({ type: 'openai', ...settings }),
    other: providerSettings.parse({ type: 'openai' }),
  }
  return targets(configured, registry, (name, { base_url }) => base_url ?? `http://127.0.0.1:1/${name}/v1/`)
}

test('a target is a model at a provider, under the operator’s name for it', () => {
  const { id, providerName, model, label, provider, origin, basePath } = known().named('mine/ft:gpt/4')
  assert.deepEqual(
    { id, providerName, model, label },
    { id: 'mine/ft:gpt/4', providerName: 'mine', model: 'ft:gpt/4', label: 'ft:gpt/4' },
  )
  assert.equal(provider, made)
  assert.deepEqual({ origin, basePath }, { origin: 'http://127.0.0.1:1', basePath: '/mine/v1' })
})

test('a target has the settings of its provider, and what is configured of its model', () => {
  const { timeouts, retry, tags, headers, abilities } = known({
    timeouts: { connect: '1s', first_token: '2s', idle: '3s', total: '4s' },
    retry: { attempts: 2, backoff: { first: '5ms', factor: 3, max: '6ms' }, rate_limit_wait: '7ms' },
    tags: ['eu'],
    headers: { 'x-team': 'search' },
    models: {
      m: { context: 8, max_output: 9, supports: ['tools'], price: { input: 1, cached_input: 2, cache_write: 3, output: 4 } },
    },
  }).named('mine/m')
  assert.deepEqual(timeouts, { connectMs: 1_000, firstTokenMs: 2_000, idleMs: 3_000, totalMs: 4_000 })
  assert.deepEqual(retry, { attempts: 2, firstMs: 5, factor: 3, maxMs: 6, rateLimitWaitMs: 7 })
  assert.deepEqual([...tags], ['eu'])
  assert.deepEqual(headers, { 'x-team': 'search' })
  assert.deepEqual(abilities, {
    context: 8,
    maxOutput: 9,
    supports: new Set(['tools']),
    price: { input: 1, cachedInput: 2, cacheWrite: 3, output: 4 },
  })
})

test('of a model that is not configured nothing is known, rather than that it can do nothing', () => {
  assert.deepEqual(known().named('mine/m').abilities, {})
  const partly = known({ models: { m: { context: 8, price: { input: 1, output: 2 } } } }).named('mine/m')
  assert.deepEqual(partly.abilities, { context: 8, price: { input: 1, output: 2 } })
})

test('the same name is the same target, so that no plan holds it twice', () => {
  const all = known()
  const target = all.named('mine/m')
  assert.equal(all.named('mine/m'), target)
  assert.equal(all.carried('mine', 'm'), target, 'a name that a caller brings and the configuration knows')
  assert.equal(all.carried('mine', 'new'), all.carried('mine', 'new'))
  assert.notEqual(all.carried('mine', 'm'), all.carried('other', 'm'))
})

test('metrics call a model that a caller made up `other`, and a configured one by its name', () => {
  const all = known()
  all.named('mine/m')
  assert.equal(all.carried('mine', 'made-up').label, 'other')
  assert.equal(all.carried('mine', 'made-up').model, 'made-up')
  assert.equal(all.carried('mine', 'm').label, 'm')
})

test('only what the configuration names is listed', () => {
  const all = known()
  all.named('mine/m')
  all.carried('mine', 'made-up')
  assert.deepEqual(
    all.all().map(({ id }) => id),
    ['mine/m'],
  )
})

test('of the models that callers made up, those asked for least lately are forgotten', () => {
  const all = known()
  const kept = all.carried('mine', 'kept')
  const dropped = all.carried('mine', 'dropped')
  for (let at = 0; at < 1_500; at++) {
    all.carried('mine', `made-up-${at}`)
    assert.equal(all.carried('mine', 'kept'), kept)
  }
  assert.notEqual(all.carried('mine', 'dropped'), dropped)
})
