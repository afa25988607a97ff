import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drilled, drillSources } from '../../src/config/drilled.ts'
import { parseConfig } from '../../src/config/load.ts'
import { systemClock } from '../../src/core/clock.ts'
import { stopper } from '../../src/core/stop.ts'
import { chat } from '../../src/dialects/chat/chat.ts'
import { assemble } from '../../src/gateway/assemble.ts'
import { arrive, identify, serve } from '../../src/gateway/journey.ts'
import { drill } from '../../src/operation/drill.ts'
import { drillReport } from '../../src/operation/drill-report.ts'
import { simulators } from '../../src/operation/simulators.ts'
import { providers } from '../../src/providers/registry.ts'
import { embeddedStore } from '../../src/state/embedded.ts'
import { log } from '../../src/telemetry/log.ts'
import { metrics } from '../../src/telemetry/metrics.ts'

async function configOf(yaml: string) {
  const loaded = await parseConfig(yaml, 'drill.yaml', { env: {}, from: drillSources })
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return drilled(loaded.config)
}

/** Long times as an operator would have them: they are told, and not waited for. */
const TWO = (deadline: string) =>
  `
state: {file: ./must-not-be-opened.db}
providers:
  a: {type: openai, keys: [env:NOT_SET, file:/not/there], rpm_unused: 0}
  b: {type: anthropic, keys: [env:NOT_SET_EITHER], tags: [eu]}
  c: {type: cohere, keys: [env:NEITHER], tags: [eu]}
routes:
  r: {targets: [a/gpt-4o], fallbacks: [b/claude-sonnet-4-5], deadline: ${deadline}, cache: {ttl: 1h}}
  eu-*: {targets: [b/claude-*], fallbacks: [c/command-a-03-2025], require: [eu], deadline: ${deadline}}
  alone: {targets: [a/gpt-4o-mini], deadline: ${deadline}}
clients: [{name: team, key: env:TEAM_KEY, rpm: 1}]
`.replace(', rpm_unused: 0', '')

test('every target that is not broken answers, and what waiting would have cost is told', async () => {
  const startedAt = performance.now()
  const { findings, left } = await drill(await configOf(TWO('2m')))
  assert.deepEqual(left, [])
  assert.ok(performance.now() - startedAt < 45_000)
  const find = (route: string, broken: string, how: string) => {
    const found = findings.find(one => one.route === route && one.scenario.broken.join() === broken && one.scenario.how === how)
    assert.ok(found, `${route} with ${broken} ${how}`)
    return found
  }
  const down = find('r', 'a', 'down')
  assert.deepEqual([down.answered, down.calls, [...down.served.keys()]], [20, 20, ['b/claude-sonnet-4-5']])
  assert.ok(down.opened!.calls <= 3)
  // Open for 30 s, give or take a tenth.
  assert.ok(down.backMs! >= 26_000 && down.backMs! <= 36_000, `${down.backMs} ms`)
  const silent = find('r', 'a', 'silent')
  assert.equal(silent.answered, 20)
  assert.ok(silent.addedP99Ms! >= 29_000 && silent.addedP99Ms! < 40_000, `${silent.addedP99Ms} ms`)
  assert.equal(find('eu-*', 'b', 'down').served.get('c/command-a-03-2025'), 20)
  assert.equal(find('r', 'b', 'down').opened, undefined)
  const nobody = find('alone', 'a', 'down')
  assert.deepEqual([nobody.answered, nobody.hadOthers], [0, false])
  assert.deepEqual([find('r', 'a,b', 'down').answered, find('r', 'a,b', 'down').hadOthers], [0, false])
  assert.equal(
    findings.some(({ scenario }) => scenario.broken.join() === 'a,c'),
    false,
    'no route has to do with both',
  )

  const { text, isWell } = drillReport({ findings, left })
  assert.equal(isWell, true)
  assert.match(text, /^alone +a down +20 +0 \(nobody else\)/m)
})

test('a deadline that leaves no time for the fallback is found out', async () => {
  const config = await configOf(TWO('20s'))
  const { findings } = await drill(config)
  const { text, isWell } = drillReport({ findings, left: [] })
  assert.equal(isWell, false)
  assert.match(text, /^r: \d+ of 20 calls were not answered while a silent, though another target could have$/m)
})

test('a simulator stands in for a provider of every type', async () => {
  const types = [...providers.keys()]
  const yaml = [
    'providers:',
    ...types.map(type => `  ${type}: {type: ${type}, keys: [env:KEY], base_url: "https://provider.example/v1"}`),
    'routes:',
    ...types.map(type => `  ${type}: [${type}/some-model]`),
  ].join('\n')
  const config = await configOf(yaml)
  const inside = simulators()
  const prepared = await inside.prepare(config)
  inside.use(prepared)
  const assembled = assemble({
    config,
    store: embeddedStore(systemClock),
    clock: systemClock,
    random: Math.random,
    log: log('silent', text => text),
    metrics: metrics('test'),
    simulators: prepared.addresses,
    redact: text => text,
    traces: undefined,
  })
  const { gateway } = assembled
  for (const model of types) {
    for (const stream of [false, true]) {
      const journey = arrive(gateway, undefined, stopper())
      identify(gateway, journey, undefined)
      const body = JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hello' }] })
      const reply = await serve(gateway, chat, journey, {}, Buffer.from(body))
      const { stream: told } = reply
      if (told !== undefined) await new Promise<void>(end => told.flow({ write: () => true, end }))
      assert.equal(journey.ending?.kind, 'complete', `${model}: ${JSON.stringify(journey.attempts)}`)
    }
  }
  await assembled.close()
  await inside.close()
})
