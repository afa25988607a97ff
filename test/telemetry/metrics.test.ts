import assert from 'node:assert/strict'
import { test } from 'node:test'
import { METRICS, metrics } from '../../src/telemetry/metrics.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const OPEN = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'

function seen() {
  const measured = metrics('1.2.3')
  measured.count('llm_requests_total', ['r', 'c', 't', '200', 'false'], 2)
  measured.observe('llm_latency_seconds', ['r', 't'], 0.02, TRACE)
  measured.observe('llm_latency_seconds', ['r', 't'], 0.021)
  measured.observe('llm_latency_seconds', ['r', 't'], 400)
  return measured
}

test('a scraper that asks for OpenMetrics gets an example of a trace where one was sampled', async () => {
  const { text, contentType } = await seen().scrape(OPEN)
  assert.match(contentType, /^application\/openmetrics-text; version=1\.0\.0/)
  const buckets = text.split('\n').filter(line => line.startsWith('llm_latency_seconds_bucket'))
  const withExample = buckets.filter(line => line.includes(' # '))
  assert.equal(withExample.length, 1)
  assert.match(
    withExample[0]!,
    new RegExp(`^llm_latency_seconds_bucket{le="0.025",route="r",target="t"} 2 # {trace_id="${TRACE}"} 0\\.02 \\d+(\\.\\d+)?$`),
  )
  assert.ok(text.endsWith('\n# EOF\n'))
})

test('every other scraper gets the classic format, without examples, before and after', async () => {
  const measured = seen()
  for (const accept of [undefined, '*/*', OPEN, 'text/plain']) {
    const { text, contentType } = await measured.scrape(accept)
    if (accept === OPEN) continue
    assert.match(contentType, /^text\/plain; version=0\.0\.4/)
    assert.ok(
      text.includes(
        '# TYPE llm_requests_total counter\nllm_requests_total{route="r",client="c",target="t",status="200",stream="false"} 2\n',
      ),
    )
    assert.ok(!text.includes(' # {'))
    assert.ok(!text.includes('# EOF'))
  }
})

test('both formats have the same series with the same values', async () => {
  const measured = seen()
  const ours = (text: string) =>
    text
      .split('\n')
      .filter(line => line.startsWith('llm_'))
      .map(line => line.split(' # ')[0])
  assert.deepEqual(ours((await measured.scrape(OPEN)).text), ours((await measured.scrape()).text))
})

test('in OpenMetrics a family of counters is named without the ending, and every series belongs to the family above it', async () => {
  const lines = (await seen().scrape(OPEN)).text.trimEnd().split('\n')
  let family = ''
  let kind = ''
  const families = new Set<string>()
  for (const line of lines.slice(0, -1)) {
    const declared = /^# TYPE (\S+) (\S+)$/.exec(line)
    if (declared !== null) {
      ;[, family, kind] = declared as unknown as [string, string, string]
      assert.ok(!families.has(family), `${family} is there once`)
      families.add(family)
    } else if (!line.startsWith('#')) {
      const name = /^[^{ ]+/.exec(line)![0]
      const endings = kind === 'counter' ? ['_total'] : kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      assert.ok(
        endings.some(ending => name === family + ending),
        `${name} of the ${kind} ${family}`,
      )
    }
  }
  for (const name of Object.keys(METRICS)) assert.ok(families.has(name.replace(/_total$/, '')), name)
})

test('Node’s own metrics are there in both formats', async () => {
  const measured = metrics('1.2.3')
  for (const accept of ['', OPEN]) {
    const { text } = await measured.scrape(accept)
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds'])
      assert.match(text, new RegExp(`^${name} `, 'm'))
  }
})

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
