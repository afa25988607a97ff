/** A real Prometheus for tests, on a port of its own, and what it answers. Debian's package `prometheus` holds both programs. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { had } from './debian.ts'
import { freePort } from './free-port.ts'

/** One series of an answer: its labels, and its values over time; one of them for an instant. NaN is a value. */
export interface Answered {
  readonly labels: Readonly<Record<string, string>>
  readonly values: readonly number[]
}

export interface Prometheus {
  /** What an expression is at a moment, in seconds since 1970; now when left out. Rejects with Prometheus' own words when it is wrong. */
  instant(expr: string, at?: number): Promise<readonly Answered[]>
  /** What it was between two moments, in seconds since 1970. */
  range(expr: string, from: number, to: number, step: number): Promise<readonly Answered[]>
  /** Resolves when it has scraped what is there now. */
  scraped(): Promise<void>
  stop(): Promise<void>
}

/** For a test's `skip`: why there is no Prometheus, or false. */
export const noPrometheus = (await had(['prometheus', 'promtool'], 'prometheus'))
  ? false
  : 'no prometheus and promtool are to be had here'
if (noPrometheus && process.env.CI === 'true') throw new Error(`Prometheus is needed: ${noPrometheus}`)

/** A configuration that scrapes one gateway every half second, as the job `understudy`. */
export const scraping = (url: string) => ({
  global: { scrape_interval: '500ms', scrape_timeout: '500ms' },
  scrape_configs: [{ job_name: 'understudy', static_configs: [{ targets: [new URL(url).host] }] }],
})

/** @param config as in prometheus.yml */
export async function startPrometheus(config: object): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-prometheus-'))
  const file = join(folder, 'prometheus.yml')
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config))
  const address = `127.0.0.1:${await freePort()}`
  const child = spawn(
    'prometheus',
    [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', chunk => (said += chunk))
  let over = false
  const ended = new Promise<void>(resolve => child.once('close', () => resolve())).then(() => {
    over = true
  })
  const isReady = () =>
    fetch(`http://${address}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await isReady())) {
    if (over) throw new Error(`prometheus did not start: ${said}`)
    await sleep(50)
  }

  async function ask(path: string, params: Readonly<Record<string, string>>): Promise<readonly Answered[]> {
    const response = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(params)}`)
    const { status, error, data } = (await response.json()) as any
    if (status !== 'success') throw new Error(`${error}\n${params.query}`)
    return data.result.map(({ metric, value, values }: any) => ({
      labels: metric,
      values: (values ?? [value]).map(([, text]: [number, string]) => Number(text)),
    }))
  }

  const instant = (query: string, at?: number) => ask('query', { query, ...(at !== undefined && { time: String(at) }) })
  return {
    instant,
    range: (query, from, to, step) => ask('query_range', { query, start: String(from), end: String(to), step: String(step) }),
    async scraped() {
      const asked = Date.now() / 1000
      for (;;) {
        const [latest] = await instant('min(timestamp(up == 1))')
        if (latest !== undefined && latest.values[0]! > asked) return
        if (over) throw new Error(`prometheus ended: ${said}`)
        await sleep(50)
      }
    },
    async stop() {
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
