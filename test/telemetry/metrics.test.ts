import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metrics } from '../../src/telemetry/metrics.ts'

test('a series that is forgotten is not there until it is told of again', async () => {
  const measured = metrics('test')
  const lines = async () => (await measured.scrape()).text.split('\n').filter(line => line.startsWith('llm_key_state{'))
  const stop = measured.beforeScrape(() => measured.set('llm_key_state', ['p', 'one'], 2))
  measured.set('llm_key_state', ['p', 'two'], 1)
  assert.equal((await lines()).length, 2)
  measured.forget('llm_key_state', ['p', 'two'])
  assert.deepEqual(await lines(), ['llm_key_state{provider="p",key="one"} 2'])
  stop()
  measured.forget('llm_key_state', ['p', 'one'])
  measured.forget('llm_key_state', ['p', 'never there'])
  assert.deepEqual(await lines(), [])
  measured.set('llm_key_state', ['p', 'two'], 0)
  assert.deepEqual(await lines(), ['llm_key_state{provider="p",key="two"} 0'])
})

test('changes of the configuration are there before the first one', async () => {
  const { text } = await metrics('test').scrape()
  for (const result of ['applied', 'refused']) assert.ok(text.includes(`llm_config_reloads_total{result="${result}"} 0`))
})
