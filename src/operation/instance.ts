/*
 * The gateway inside a process, with what it needs to take a new configuration while it runs: calls get the gateway that counts when they
 * arrive, and keep it to their end; what only an older configuration needs is closed when its last call is over. Who listens where, and
 * what ends it, is for others to say.
 */
import type { Config } from '../config/schema.ts'
import { secretsOf } from '../config/secrets/secrets-of.ts'
import type { Environment } from '../config/secrets/sources.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { assemble } from '../gateway/assemble.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { storeOf } from '../gateway/store-of.ts'
import { adminServer } from '../http/admin.ts'
import { readiness } from '../http/health.ts'
import { overload } from '../http/overload.ts'
import { memoryOfAll, roomForBodies } from '../http/room.ts'
import { type ClientServer, clientServer } from '../http/server.ts'
import { turns } from '../http/turns.ts'
import { type Log, log } from '../telemetry/log.ts'
import { type Metrics, metrics } from '../telemetry/metrics.ts'
import { redaction } from '../telemetry/redaction.ts'
import { startTraces } from '../telemetry/traces.ts'
import { setUpCollector } from './collector.ts'
import { EXIT, fail } from './exit.ts'
import { type Reloads, reloads } from './reload.ts'
import { simulators } from './simulators.ts'
import { processesOf } from './size.ts'
import { CLOSE_MS, type Stop, stopping, within } from './stopping.ts'

export interface InstanceOptions {
  readonly file: string
  readonly env: Environment
  readonly version: string
  /** The configuration that it begins with, and the text that it was read from. */
  readonly config: Config
  readonly text: string
  /** What stays as it is for the life of the listeners; `config` when left out. */
  readonly started?: Config
  /** Told of the text of each configuration that has been put in place since. */
  readonly onApplied?: (text: string) => void
  /** It begins to end, for whatever reason. */
  readonly onStopping?: () => void
  /** The last thing before the process ends. */
  readonly onStopped?: () => Promise<void>
}

export interface Instance {
  readonly log: Log
  readonly metrics: Metrics
  /** Neither of the two listens yet. */
  readonly server: ClientServer
  readonly admin: ReturnType<typeof adminServer>
  readonly changes: Reloads
  readonly stop: Stop
}

/** Ends the process when it cannot begin. */
export async function instance(options: InstanceOptions): Promise<Instance> {
  const { file, env, version, config: first, text, started = first, onApplied, onStopping, onStopped } = options
  setUpCollector()
  const clock = systemClock
  const { redact, learn } = redaction(secretsOf(first, env))
  const logged = log(first.telemetry.log.level, redact)
  const measured = metrics(version)
  const parts = { clock, random: Math.random, log: logged, metrics: measured, redact }
  const store = await storeOf(first, parts).catch((error: Error) => fail(EXIT.unavailable, error.message))
  const inside = simulators()
  const prepared = await inside.prepare(first).catch((error: Error) => fail(EXIT.unavailable, error.message))
  inside.use(prepared)
  const traces = await startTraces({
    settings: first.telemetry.traces,
    env,
    version,
    clock,
    random: Math.random,
    log: logged,
    redact,
  })
  let current = assemble({
    ...parts,
    config: first,
    store,
    simulators: prepared.addresses,
    traces,
    onKeyRefused: () => changes.readSecrets(),
  })
  const state = readiness()
  const line = turns(clock)
  const mostBytes = roomForBodies(memoryOfAll(processesOf(first)))
  const guard = overload({ clock, log: logged, metrics: measured, turns: line, mostBytes })
  const server = clientServer(() => current, {
    maxBodyBytes: first.server.max_body,
    readiness: state,
    overload: guard,
    turns: line,
  })
  const unwatch = guard.watch()
  const retire = retirement(server, clock, async () => {
    current.settle()
    await inside.settle()
  })

  async function apply(config: Config, from: string): Promise<void> {
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
    onApplied?.(from)
  }

  const changes: Reloads = reloads({ file, env, first, started, text, clock, log: logged, metrics: measured, apply })
  const admin = adminServer({ current: () => current, metrics: measured, readiness: state, pages: changes })
  const drainMs = () => current.config.server.drain
  const stop = stopping({ server, readiness: state, log: logged, drainMs, onStopping }, async () => {
    changes.close()
    unwatch()
    await within(CLOSE_MS, admin.close())
    await within(CLOSE_MS, Promise.all([current.close(), traces?.close(), inside.close()]))
    if (onStopped !== undefined) await within(CLOSE_MS, onStopped())
  })
  // A mistake of ours in one call must not take the others with it. What nobody waited for is written down; what was thrown past
  // everybody may have left things half done, so the process ends in good order and whoever runs it starts a new one.
  process.on('unhandledRejection', reason => logged.error('unhandled rejection', { detail: textOf(reason) }))
  process.on('uncaughtException', error => {
    logged.error('uncaught exception', { detail: textOf(error) })
    void stop(EXIT.software)
  })
  return { log: logged, metrics: measured, server, admin, changes, stop }
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

const textOf = (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))
