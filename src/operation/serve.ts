/*
 * The gateway as a process: it starts, takes a new configuration while it runs, and stops in good order. Calls get the gateway that counts
 * when they arrive, and keep it to their end; what only an older configuration needs is closed when its last call is over.
 */
import { dirname } from 'node:path'
import { parseConfig, readText } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { secretsOf } from '../config/secrets/secrets-of.ts'
import type { Environment } from '../config/secrets/sources.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { assemble } from '../gateway/assemble.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { storeOf } from '../gateway/store-of.ts'
import { adminServer } from '../http/admin.ts'
import { readiness } from '../http/health.ts'
import { type ClientServer, clientServer } from '../http/server.ts'
import { available } from '../providers/registry.ts'
import { type Log, log } from '../telemetry/log.ts'
import { metrics } from '../telemetry/metrics.ts'
import { redaction } from '../telemetry/redaction.ts'
import { startTraces } from '../telemetry/traces.ts'
import { EXIT, fail, failWith } from './exit.ts'
import { type Reloads, reloads } from './reload.ts'
import { simulators } from './simulators.ts'

export interface ServeOptions {
  readonly file: string
  readonly env: Environment
  readonly version: string
  /** What is printed when it listens; a log line when left out. */
  readonly greeting?: (url: string, adminUrl: string) => string
}

export async function serve({ file, env, version, greeting }: ServeOptions): Promise<void> {
  const clock = systemClock
  const read = await readText(file)
  if (!read.ok) return failWith(read.problems)
  const loaded = await parseConfig(read.text, file, { env, available, folder: dirname(file) })
  if (!loaded.ok) return failWith(loaded.problems)
  const started = loaded.config

  const { redact, learn } = redaction(secretsOf(started, env))
  const logged = log(started.telemetry.log.level, redact)
  const measured = metrics(version)
  const parts = { clock, random: Math.random, log: logged, metrics: measured, redact }
  const store = await storeOf(started, parts).catch((error: Error) => fail(EXIT.unavailable, error.message))
  const inside = simulators()
  const prepared = await inside.prepare(started).catch((error: Error) => fail(EXIT.unavailable, error.message))
  inside.use(prepared)
  const traces = await startTraces({ settings: started.telemetry.traces, env, version, clock, log: logged, redact })
  let current = assemble({
    ...parts,
    config: started,
    store,
    simulators: prepared.addresses,
    traces,
    onKeyRefused: () => changes.readSecrets(),
  })
  const state = readiness()
  const server = clientServer(() => current, { maxBodyBytes: started.server.max_body, readiness: state })
  const retire = retirement(server, clock, async () => {
    current.settle()
    await inside.settle()
  })

  async function apply(config: Config): Promise<void> {
    learn(secretsOf(config))
    const next = await inside.prepare(config)
    const before = current
    try {
      current = before.over(config, next.addresses)
    } catch (thrown) {
      await inside.settle()
      throw thrown
    }
    inside.use(next)
    logged.setLevel(config.telemetry.log.level)
    retire(before.gateway)
  }

  const changes: Reloads = reloads({ file, env, started, text: read.text, clock, log: logged, metrics: measured, apply })
  const admin = adminServer({ current: () => current, metrics: measured, readiness: state, pages: changes })

  const listen = (app: typeof admin, setting: string, { host, port }: { host: string; port: number }) =>
    app.listen({ host, port }).catch((error: Error) => fail(EXIT.unavailable, `${setting}: ${error.message}`))
  const publicUrl = await listen(server.app, 'server.listen', started.server.listen)
  const adminUrl = await listen(admin, 'admin.listen', started.admin.listen)
  if (greeting !== undefined) process.stdout.write(greeting(publicUrl, adminUrl))
  else logged.info('ready', { version, config: file, listen: publicUrl, admin: adminUrl })

  const stop = stopping({ server, readiness: state, log: logged, drainMs: () => current.config.server.drain }, async () => {
    changes.close()
    await within(CLOSE_MS, admin.close())
    await within(CLOSE_MS, Promise.all([current.close(), traces?.close(), inside.close()]))
  })
  process.on('SIGHUP', () => void changes.reload('signal'))
  process.on('SIGTERM', () => void stop(0))
  process.on('SIGINT', () => void stop(0))
  // A mistake of ours in one call must not take the others with it. What nobody waited for is written down; what was thrown past
  // everybody may have left things half done, so the process ends in good order and whoever runs it starts a new one.
  process.on('unhandledRejection', reason => logged.error('unhandled rejection', { detail: textOf(reason) }))
  process.on('uncaughtException', error => {
    logged.error('uncaught exception', { detail: textOf(error) })
    void stop(EXIT.software)
  })
}

const RETIRE_EVERY_MS = 250

/** Gateways that count no more and still have calls. @param settled called when the last of them has none */
function retirement(server: ClientServer, clock: Clock, settled: () => Promise<void>): (gateway: Gateway) => void {
  let retired: Gateway[] = []
  function look(): void {
    retired = retired.filter(server.uses)
    if (retired.length > 0) clock.after(RETIRE_EVERY_MS, look)
    else void settled()
  }
  return gateway => {
    retired.push(gateway)
    if (retired.length === 1) clock.after(RETIRE_EVERY_MS, look)
  }
}

/**
 * What is on its way to us when the signal comes still gets an answer: until then connections that are idle stay open, for a call that is
 * sent into one just as we close it has no answer, and nobody can tell whether it was begun.
 */
const ON_THE_WAY_MS = 250
/** Time for last words to reach clients that still read. */
const LAST_WORDS_MS = 500
/** Time for what is to be closed, and for what is to be written somewhere else. */
const CLOSE_MS = 600
const LOOK_EVERY_MS = 20

interface Stopped {
  readonly server: ClientServer
  readonly readiness: ReturnType<typeof readiness>
  readonly log: Log
  readonly drainMs: () => number
}

/**
 * Stops: not ready at once; calls and streams come to their end within the drain; the rest is ended with an error event. A second signal
 * means now. It is over at most two seconds after the drain, whatever clients or stores do.
 */
function stopping({ server, readiness: state, log: logged, drainMs }: Stopped, closed: () => Promise<void>) {
  let hurry: (() => void) | undefined
  return async (exitCode: number): Promise<void> => {
    if (hurry !== undefined) return hurry()
    const hurried = new Promise<void>(resolve => {
      hurry = resolve
    })
    state.drain()
    logged.info('draining', { calls: server.active() })
    await Promise.race([idle(server, drainMs(), ON_THE_WAY_MS), hurried])
    server.endAll()
    await idle(server, LAST_WORDS_MS)
    server.app.server.closeAllConnections()
    await within(CLOSE_MS, server.app.close())
    await closed()
    logged.info('stopped')
    logged.flush()
    process.exit(exitCode)
  }
}

/**
 * Resolves when nothing is under way any more, or after `mostMs`. Connections that fall idle meanwhile are closed.
 * @param leastMs until then it waits in any case, and closes none
 */
function idle(server: ClientServer, mostMs: number, leastMs = 0): Promise<void> {
  const startedTicks = systemClock.ticks()
  return new Promise(resolve => {
    const timer = setInterval(() => {
      const waitedMs = systemClock.ticks() - startedTicks
      if (waitedMs < Math.min(leastMs, mostMs)) return
      server.closeIdle()
      if (server.active() > 0 && waitedMs < mostMs) return
      clearInterval(timer)
      resolve()
    }, LOOK_EVERY_MS)
  })
}

/** Resolves when it is done, however, or after `ms`. Its timer keeps the process alive until then. */
function within(ms: number, done: Promise<unknown>): Promise<void> {
  return new Promise(resolve => {
    const over = () => {
      clearInterval(timer)
      resolve()
    }
    const timer = setInterval(over, ms)
    done.then(over, over)
  })
}

const textOf = (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
