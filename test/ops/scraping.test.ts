/* config/prometheus.yml as it stands, with real programs at the addresses that it names: it sees a gateway, and when it is not ready. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { had } from '../support/debian.ts'
import { freePort } from '../support/free-port.ts'
import { noPrometheus, type Prometheus, startPrometheus } from '../support/prometheus-server.ts'
import { running, until } from '../support/running.ts'

const CONFIG = fileURLToPath(new URL('../../config', import.meta.url))
const PROBER = 'prometheus-blackbox-exporter'

const noProber = (await had([PROBER], PROBER)) ? false : `no ${PROBER} is to be had here`
if (noProber && process.env.CI === 'true') throw new Error(`the prober is needed: ${noProber}`)

/** One with the module that its image brings. */
async function startProber(): Promise<{ readonly address: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-prober-'))
  const file = join(folder, 'config.yml')
  await writeFile(file, JSON.stringify({ modules: { http_2xx: { prober: 'http' } } }))
  const address = `127.0.0.1:${await freePort()}`
  const child = spawn(PROBER, [`--config.file=${file}`, `--web.listen-address=${address}`], { stdio: 'ignore' })
  const ended = new Promise(resolve => child.once('close', resolve))
  const isUp = () =>
    fetch(`http://${address}/-/healthy`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until('the prober listens', isUp, 10_000)
  return {
    address,
    async stop() {
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true })
    },
  }
}

test('the configuration of Prometheus finds the gateway, and sees it ready until it drains', {
  skip: noPrometheus || noProber,
}, async () => {
  const gateway = await running(`
simulators: [{ name: s }]
providers: { p: { type: openai-compatible, base_url: "simulator:s/v1" } }
routes: { r: [p/m] }
`)
  const prober = await startProber()
  let prometheus: Prometheus | undefined
  try {
    const text = (await readFile(join(CONFIG, 'prometheus.yml'), 'utf8'))
      .replaceAll('gateway:9090', new URL(gateway.adminUrl).host)
      .replaceAll('blackbox:9115', prober.address)
      .replace('alerts.yml', join(CONFIG, 'alerts.yml'))
    const config = parse(text)
    // The prober keeps half a second of the timeout for itself.
    config.global = { scrape_interval: '2s', scrape_timeout: '2s', evaluation_interval: '500ms' }
    const started = await startPrometheus(config)
    prometheus = started
    const value = async (expr: string) => (await started.instant(expr))[0]?.values[0]

    await until('it is scraped', async () => (await value('up{job="understudy"}')) === 1, 20_000)
    assert.equal(await value('llm_build_info'), 1)
    await until('it is ready', async () => (await value('probe_success{job="understudy-ready"}')) === 1, 20_000)
    // Before the first scrape there was no gateway.
    await until('nothing is wrong', async () => (await started.instant('ALERTS')).length === 0, 20_000)

    gateway.readiness.drain()
    await until('it is not ready', async () => (await value('probe_success{job="understudy-ready"}')) === 0, 20_000)
    await until('the alert waits', async () => (await value('ALERTS{alertname="UnderstudyUnready"}')) === 1, 20_000)
    assert.equal(await value('up{job="understudy"}'), 1)
  } finally {
    await Promise.all([prometheus?.stop(), prober.stop(), gateway.close()])
  }
})
