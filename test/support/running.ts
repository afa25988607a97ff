/** A whole gateway on free ports, from a configuration as an operator would write it, with simulators behind it and its logs in reach. */
import assert from 'node:assert/strict'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { secretsOf } from '../../src/config/secrets/secrets-of.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import type { Store } from '../../src/core/store.ts'
import { type Assembled, assemble } from '../../src/gateway/assemble.ts'
import { storeOf } from '../../src/gateway/store-of.ts'
import type { ConfigurationPages } from '../../src/http/admin/configuration.ts'
import { adminServer } from '../../src/http/admin.ts'
import { readiness } from '../../src/http/health.ts'
import { type ClientServer, clientServer, type ServerOptions } from '../../src/http/server.ts'
import { available } from '../../src/providers/registry.ts'
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts'
import { log } from '../../src/telemetry/log.ts'
import { metrics } from '../../src/telemetry/metrics.ts'
import { redaction } from '../../src/telemetry/redaction.ts'
import { startTraces } from '../../src/telemetry/traces.ts'

export interface Running {
  readonly url: string
  readonly adminUrl: string
  readonly assembled: Assembled
  readonly server: ClientServer
  readonly readiness: ReturnType<typeof readiness>
  readonly simulators: ReadonlyMap<string, Simulator>
  /** The log lines so far, parsed. */
  logs(): readonly Record<string, any>[]
  /** The value of one series, such as `llm_requests_total{route="a"}`; labels may be given in part, and values of all that fit are added. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /** Posts a chat call. `body` is JSON unless it is text. */
  call(body: unknown, init?: { readonly headers?: Record<string, string>; readonly signal?: AbortSignal }): Promise<Response>
  close(): Promise<void>
}

export const HELLO = [{ role: 'user', content: 'Hello' }] as const

export interface RunningOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly random?: () => number
  /** What the simulators draw from, for rules with a share. */
  readonly lots?: () => number
  readonly clock?: Clock
  /** One that it shares with others. */
  readonly store?: Store
  readonly slowSenders?: ServerOptions['slowSenders']
  readonly turns?: ServerOptions['turns']
  /** OpenTelemetry's variables. */
  readonly otel?: Readonly<Record<string, string>>
}

export async function running(yaml: string, options: RunningOptions = {}): Promise<Running> {
  const loaded = await parseConfig(yaml, 'test.yaml', { env: options.env ?? {}, available })
  if (!loaded.ok) throw new Error(loaded.problems.map(problem => JSON.stringify(problem)).join('\n'))
  const { config } = loaded
  const clock = options.clock ?? systemClock
  const lines: string[] = []
  const { redact } = redaction(secretsOf(config))
  const logged = log('debug', redact, { write: line => lines.push(line) })
  const traces = await startTraces({
    random: Math.random,
    settings: config.telemetry.traces,
    env: { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', ...options.otel },
    version: 'test',
    clock,
    log: logged,
    redact,
  })
  const measured = metrics('test')
  const simulators = new Map<string, Simulator>()
  for (const simulator of config.simulators)
    simulators.set(simulator.name, await startSimulator(simulator, { random: options.lots ?? Math.random }))
  const random = options.random ?? Math.random
  const assembled = assemble({
    config,
    store: options.store ?? (await storeOf(config, { clock, random, log: logged, metrics: measured })),
    clock,
    random,
    log: logged,
    metrics: measured,
    simulators: new Map([...simulators].map(([name, { url }]) => [name, url])),
    redact,
    traces,
  })
  const state = readiness()
  const { slowSenders, turns } = options
  const current = () => assembled
  const server = clientServer(current, {
    maxBodyBytes: config.server.max_body,
    readiness: state,
    ...(slowSenders !== undefined && { slowSenders }),
    ...(turns !== undefined && { turns }),
  })
  const admin = adminServer({ current, metrics: measured, readiness: state, pages: unchanging(config, clock) })
  const url = await server.app.listen({ host: '127.0.0.1', port: 0 })
  const adminUrl = await admin.listen({ host: '127.0.0.1', port: 0 })

  return {
    url,
    adminUrl,
    assembled,
    server,
    readiness: state,
    simulators,
    logs: () => lines.map(line => JSON.parse(line)),
    async metric(name, labels = {}) {
      const { text } = await measured.scrape()
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
      return text
        .split('\n')
        .filter(
          line => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && wanted.every(label => line.includes(label)),
        )
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
    },
    call: (body, init = {}) =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...init.headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...(init.signal !== undefined && { signal: init.signal }),
      }),
    async close() {
      server.endAll()
      server.app.server.closeAllConnections()
      await Promise.all([server.app.close(), admin.close()])
      await Promise.all([assembled.close(), traces?.close()])
      await Promise.all([...simulators.values()].map(simulator => simulator.close()))
    },
  }
}

/** Nothing of it can be changed here: what changes a configuration is tested as a process. */
function unchanging(config: Config, clock: Clock): ConfigurationPages {
  const sinceMs = clock.now()
  return {
    configuration: () => ({ config, file: 'test.yaml', sinceMs, last: undefined, needsRestart: [], secretProblems: [] }),
    reload: async () => ({ atMs: sinceMs, why: 'admin', result: 'refused', problems: [] }),
  }
}

/** What a streamed answer came to, read the way a careful client does. */
export interface ReadStream {
  readonly text: string
  readonly finish: string | null
  readonly done: boolean
  readonly error: { readonly message: string; readonly type: string; readonly code: string | null } | undefined
  readonly chunks: readonly any[]
}

export async function readStream(response: Response): Promise<ReadStream> {
  const raw = await response.text()
  const chunks: any[] = []
  let done = false
  let error: ReadStream['error']
  for (const block of raw.split(/\r?\n\r?\n/)) {
    const data = block
      .split(/\r?\n/)
      .filter(line => line.startsWith('data:'))
      .map(line => line.slice(5).trim())
      .join('\n')
    if (data === '') continue
    assert.equal(done, false, 'nothing comes after [DONE]')
    assert.equal(error, undefined, 'nothing comes after an error event')
    if (data === '[DONE]') done = true
    else {
      const chunk = JSON.parse(data)
      if (chunk.error === undefined) chunks.push(chunk)
      else error = chunk.error
    }
  }
  const choices = chunks.flatMap(chunk => chunk.choices ?? [])
  return {
    text: choices.map(choice => choice.delta?.content ?? '').join(''),
    finish: choices.find(choice => choice.finish_reason !== null && choice.finish_reason !== undefined)?.finish_reason ?? null,
    done,
    error,
    chunks,
  }
}

/** Resolves when `check` holds; rejects with `what` after `mostMs`. For effects that follow an answer without being part of it. */
export async function until(what: string, check: () => boolean | Promise<boolean>, mostMs = 3_000): Promise<void> {
  const end = performance.now() + mostMs
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${mostMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
