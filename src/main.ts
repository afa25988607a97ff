#!/usr/bin/env node
/* The commands. Here alone the process is known: its arguments, its environment, its signals and its end. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { COMMANDS } from './commands.ts'
import { jsonSchema } from './config/json-schema.ts'
import { loadConfig, loadScript, PLAIN_SCRIPT } from './config/load.ts'
import { formatProblem, type Problem } from './config/problem.ts'
import type { Config } from './config/schema.ts'
import { secretsOf } from './config/secrets/secrets-of.ts'
import { SPOKEN } from './config/simulation.ts'
import { summary } from './config/summary.ts'
import { systemClock } from './core/clock.ts'
import { assemble } from './gateway/assemble.ts'
import { keyHash } from './gateway/clients.ts'
import { storeOf } from './gateway/store-of.ts'
import { adminServer } from './http/admin.ts'
import { readiness } from './http/health.ts'
import { clientServer } from './http/server.ts'
import { available } from './providers/registry.ts'
import { type Simulator, startSimulator } from './simulator/simulator.ts'
import { log } from './telemetry/log.ts'
import { metrics } from './telemetry/metrics.ts'
import { redaction } from './telemetry/redaction.ts'
import { startTraces } from './telemetry/traces.ts'

/** Of sysexits.h: the command line is wrong; an address is taken; a mistake of ours; something is wrong in the configuration. */
const EXIT = { usage: 64, unavailable: 69, software: 70, config: 78 } as const

const DEMO = fileURLToPath(new URL('../config/demo.yaml', import.meta.url))
const OWN_FILE = 'understudy.yaml'

function usage(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, [takes, does]]) => `  understudy ${`${name} ${takes}`.trim()}\n      ${does}`,
  )
  return `understudy ${packageJson.version}\n\n${lines.join('\n')}\n`
}

function fail(code: number, text: string): never {
  process.stderr.write(`${text}\n`)
  process.exit(code)
}

const failWith = (problems: readonly Problem[]) => fail(EXIT.config, problems.map(formatProblem).join('\n'))

async function read(file: string): Promise<Config> {
  const loaded = await loadConfig(file, { env: process.env, available })
  return loaded.ok ? loaded.config : failWith(loaded.problems)
}

async function serve(file: string | undefined): Promise<void> {
  const path = file ?? (existsSync(OWN_FILE) ? OWN_FILE : DEMO)
  const config = await read(path)
  const { redact } = redaction(secretsOf(config, process.env))
  const logged = log(config.telemetry.log.level, redact)
  const measured = metrics(packageJson.version)
  const parts = { clock: systemClock, random: Math.random, log: logged, metrics: measured }
  const store = await storeOf(config, parts).catch((error: Error) => fail(EXIT.unavailable, error.message))
  const simulators = await startAll(config)
  const traces = await startTraces({
    settings: config.telemetry.traces,
    env: process.env,
    version: packageJson.version,
    clock: systemClock,
    log: logged,
    redact,
  })
  const { gateway, targets, providerNames, spending, close } = assemble({
    config,
    ...parts,
    store,
    simulators: new Map([...simulators].map(([name, { url }]) => [name, url])),
    redact,
    traces,
  })
  const state = readiness()
  const server = clientServer(gateway, { maxBodyBytes: config.server.max_body, readiness: state })
  const token = config.admin.token?.reveal()
  const admin = adminServer({ gateway, targets, providerNames, spending, metrics: measured, readiness: state, token })

  const listen = (app: typeof admin, setting: string, { host, port }: { host: string; port: number }) =>
    app.listen({ host, port }).catch((error: Error) => fail(EXIT.unavailable, `${setting}: ${error.message}`))
  const publicUrl = await listen(server.app, 'server.listen', config.server.listen)
  const adminUrl = await listen(admin, 'admin.listen', config.admin.listen)
  if (path === DEMO) process.stdout.write(demoText(publicUrl, adminUrl))
  else logged.info('ready', { version: packageJson.version, config: path, listen: publicUrl, admin: adminUrl })

  let stopping = false
  const stop = async (exitCode: number) => {
    // A second signal means: now.
    if (stopping) return server.endAll()
    stopping = true
    state.drain()
    logged.info('draining', { calls: server.active() })
    await idle(server.active, config.server.drain)
    server.endAll()
    await Promise.all([server.app.close(), admin.close()])
    await Promise.all([close(), traces?.close(), ...[...simulators.values()].map(simulator => simulator.close())])
    logged.info('stopped')
    logged.flush()
    process.exit(exitCode)
  }
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

const textOf = (thrown: unknown) => (thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))

async function startAll({ simulators }: Config): Promise<Map<string, Simulator>> {
  const started = new Map<string, Simulator>()
  for (const simulator of simulators) {
    const one = await startSimulator(simulator).catch((error: Error) =>
      fail(EXIT.unavailable, `simulators.${simulator.name}: ${error.message}`),
    )
    started.set(simulator.name, one)
  }
  return started
}

/** Resolves when nothing is under way any more, or after `mostMs`. */
function idle(active: () => number, mostMs: number): Promise<void> {
  const until = systemClock.ticks() + mostMs
  return new Promise(resolve => {
    const timer = setInterval(() => {
      if (active() > 0 && systemClock.ticks() < until) return
      clearInterval(timer)
      resolve()
    }, 20)
  })
}

function demoText(url: string, adminUrl: string): string {
  const call = (more: string, options: string) =>
    `  curl ${options} ${url}/v1/chat/completions -H 'content-type: application/json' \\\n` +
    `    -d '{"model": "demo", ${more}"messages": [{"role": "user", "content": "Who answers?"}]}'\n`
  return [
    `understudy ${packageJson.version}, the demo: three simulated providers, one of which fails often. No keys needed.`,
    `Listening on ${url}; metrics on ${adminUrl}/metrics. Ctrl-C stops it.`,
    '',
    'A call; its headers tell who answered and after how many attempts. Try it a few times:',
    '',
    call('', '-i'),
    'A stream:',
    '',
    call('"stream": true, ', '-N'),
    'One log line per call follows.',
    '',
  ].join('\n')
}

async function check(file: string | undefined): Promise<void> {
  if (file === undefined) fail(EXIT.usage, `check takes --config FILE\n\n${usage()}`)
  process.stdout.write(`${summary(await read(file)).trimEnd()}\n`)
}

async function simulate(speaks: string | undefined, listen: string | undefined, file: string | undefined): Promise<void> {
  const spoken = SPOKEN.find(one => one === speaks)
  if (speaks !== undefined && spoken === undefined)
    fail(EXIT.usage, `"${speaks}": a simulator speaks one of ${SPOKEN.join(', ')}`)
  const loaded = file === undefined ? undefined : await loadScript(file)
  if (loaded?.ok === false) failWith(loaded.problems)
  const script = loaded?.ok ? loaded.script : PLAIN_SCRIPT
  const simulator = await startSimulator({
    ...script,
    name: 'simulator',
    ...(spoken && { speaks: spoken }),
    ...(listen && { listen }),
  }).catch((error: Error) => fail(EXIT.unavailable, error.message))
  process.stdout.write(`${spoken ?? script.speaks} simulator on ${simulator.url}\n`)
  const stop = () => void simulator.close().then(() => process.exit(0))
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

function newKey(verb: string | undefined, name: string | undefined): void {
  if (verb !== 'new' || name === undefined) fail(EXIT.usage, `keys takes: new NAME\n\n${usage()}`)
  const key = `us-${randomBytes(32).toString('base64url')}`
  process.stdout.write(
    `The key, for ${name}; it is shown this once and kept nowhere:\n\n  ${key}\n\n` +
      `For the configuration:\n\n  clients:\n    - name: ${name}\n      key_sha256: ${keyHash(key)}\n`,
  )
}

const OPTIONS = {
  config: { type: 'string' },
  speaks: { type: 'string' },
  listen: { type: 'string' },
  script: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

function parsed() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true })
  } catch (error) {
    return fail(EXIT.usage, `${(error as Error).message}\n\n${usage()}`)
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parsed()
  const [command, ...rest] = positionals
  if (values.version) return void process.stdout.write(`${packageJson.version}\n`)
  if (values.help || command === undefined) return void process.stdout.write(usage())
  switch (command) {
    case 'serve':
      return serve(values.config)
    case 'check':
      return check(values.config)
    case 'simulator':
      return simulate(values.speaks, values.listen, values.script)
    case 'keys':
      return newKey(rest[0], rest[1])
    case 'schema':
      return void process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
    default:
      return fail(EXIT.usage, `There is no command "${command}".\n\n${usage()}`)
  }
}

await main()
