/* OpenTelemetry's own variables, as a gateway of its own process obeys them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Collector, collector } from '../support/collector.ts'
import { HELLO, until } from '../support/running.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const CONFIG = {
  server: { listen: '127.0.0.1:0' },
  admin: { listen: '127.0.0.1:0' },
  simulators: [{ name: 's' }],
  providers: { p: { type: 'openai', base_url: 'simulator:s/v1', keys: ['key-of-p'] } },
  routes: { r: ['p/m'] },
}

describe('the variables of OpenTelemetry', () => {
  let sink: Collector
  let folder: string
  before(async () => {
    sink = await collector()
    folder = await mkdtemp(join(tmpdir(), 'understudy-otel-'))
  })
  after(async () => {
    await sink.close()
    await rm(folder, { recursive: true })
  })

  /** Serves one call under these variables, and ends. @returns what reached the collector */
  async function served(env: Readonly<Record<string, string>>, traces?: object) {
    const known = sink.requests().length
    const file = join(folder, 'understudy.yaml')
    await writeFile(file, JSON.stringify({ ...CONFIG, ...(traces && { telemetry: { traces } }) }))
    const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', chunk => (out += chunk))
    const ended = new Promise<number | null>(resolve => child.once('close', resolve))
    try {
      await until('it listens', () => /"listen":"[^"]+"/.test(out), 10_000)
      const url = /"listen":"([^"]+)"/.exec(out)![1]
      const body = JSON.stringify({ model: 'r', messages: HELLO })
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      assert.equal(response.status, 200)
      await response.text()
    } finally {
      child.kill('SIGTERM')
    }
    assert.equal(await ended, 0)
    return sink.requests().slice(known)
  }

  it('are enough to switch traces on: endpoint, name, attributes, and JSON', async () => {
    const known = sink.spans().length
    await served({
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_SERVICE_NAME: 'my-gateway',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    })
    const spans = sink.spans().slice(known)
    assert.equal(spans.length, 2)
    assert.equal(spans[0]!.resource['service.name'], 'my-gateway')
    assert.equal(spans[0]!.resource['deployment.environment.name'], 'test')
  })

  it('send protobuf when nothing else is said', async () => {
    const requests = await served({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url })
    assert.deepEqual(
      requests.map(({ path, type }) => [path, type]),
      [['/v1/traces', 'application/x-protobuf']],
    )
    assert.match(requests[0]!.body, /gen_ai\.request\.model/)
  })

  it('the sampler of the variables stands in place of `sample`', async () => {
    const settings = { endpoint: sink.url, sample: 1 }
    assert.deepEqual(await served({ OTEL_TRACES_SAMPLER: 'always_off' }, settings), [])
    const none = { endpoint: sink.url, sample: 0 }
    const known = sink.spans().length
    assert.equal((await served({ OTEL_TRACES_SAMPLER: 'always_on' }, none)).length, 1)
    const spans = sink.spans().slice(known)
    const [server, client] = [2, 3].map(wanted => spans.find(({ kind }) => kind === wanted)!)
    assert.equal(client!.parentSpanId, server!.spanId)
    assert.equal(client!.traceId, server!.traceId)
    assert.equal(server!.name, 'chat r')
  })

  it('say how many spans are sent at once, and are passed by where that is no number or none', async () => {
    const settings = { endpoint: sink.url, sample: 1 }
    assert.equal((await served({ OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1' }, settings)).length, 2)
    for (const size of ['many', '0', '0.5'])
      assert.equal((await served({ OTEL_BSP_MAX_EXPORT_BATCH_SIZE: size }, settings)).length, 1, size)
  })

  it('OTEL_SDK_DISABLED switches off what the configuration switches on', async () => {
    assert.deepEqual(await served({ OTEL_SDK_DISABLED: 'true' }, { endpoint: sink.url, sample: 1 }), [])
  })
})
