/** The commands: what was asked for, in which arguments and environment. What one of them alone needs is loaded when it is asked for. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { COMMANDS } from './commands.ts'
import { loadConfig, loadScript } from './config/load.ts'
import { formatProblem } from './config/problem.ts'
import type { ProviderConfig } from './config/schema.ts'
import { PLAIN_SIMULATOR, SPOKEN } from './config/simulation.ts'
import { summary } from './config/summary.ts'
import { unwise } from './config/unwise.ts'
import { keyHash } from './gateway/clients.ts'
import { EXIT, fail, failWith } from './operation/exit.ts'
import { serve } from './operation/serve.ts'
import { available, providers } from './providers/registry.ts'
import { knownAbilities } from './usage/known.ts'

const DEMO = fileURLToPath(new URL('../config/demo.yaml', import.meta.url))
const OWN_FILE = 'understudy.yaml'

function usage(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, [takes, does]]) => `  understudy ${`${name} ${takes}`.trim()}\n      ${does}`,
  )
  return `understudy ${packageJson.version}\n\n${lines.join('\n')}\n`
}

async function serveFrom(file: string | undefined): Promise<void> {
  const path = file ?? (existsSync(OWN_FILE) ? OWN_FILE : DEMO)
  const greeting = path === DEMO ? { greeting: demoText } : {}
  return serve({ file: path, env: process.env, version: packageJson.version, ...greeting })
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
  const loaded = await loadConfig(file, { env: process.env, available })
  if (!loaded.ok) return failWith(loaded.problems)
  const { config, problemAt } = loaded
  process.stdout.write(`${summary(config).trimEnd()}\n`)
  const doubts = unwise(config, problemAt, isPriced)
  if (doubts.length === 0) return
  process.stdout.write(`\nLegal, and perhaps not meant:\n\n${doubts.map(formatProblem).join('\n')}\n`)
}

/** Whether the lists that are built in know what a model costs. */
function isPriced({ type }: ProviderConfig, model: string): boolean {
  const provider = providers.get(type)!
  return (provider.abilities?.(model).price ?? knownAbilities(provider.pricedAs ?? provider.name, model).price) !== undefined
}

async function drillFor(file: string | undefined): Promise<void> {
  if (file === undefined) fail(EXIT.usage, `drill takes --config FILE\n\n${usage()}`)
  const { drilled, drillSources } = await import('./config/drilled.ts')
  const { drill } = await import('./operation/drill.ts')
  const { drillReport } = await import('./operation/drill-report.ts')
  // Nothing is asked of anybody outside: secrets are made up, and a token that is missing is none of the drill's business.
  const env = { UNDERSTUDY_ADMIN_TOKEN: 'drill', ...process.env }
  const loaded = await loadConfig(file, { env, available, from: drillSources })
  if (!loaded.ok) return failWith(loaded.problems)
  const { text, isWell } = drillReport(await drill(drilled(loaded.config)))
  process.stdout.write(text)
  process.exitCode = isWell ? 0 : 1
}

async function simulate(speaks: string | undefined, listen: string | undefined, file: string | undefined): Promise<void> {
  const spoken = SPOKEN.find(one => one === speaks)
  if (speaks !== undefined && spoken === undefined)
    fail(EXIT.usage, `"${speaks}": a simulator speaks one of ${SPOKEN.join(', ')}`)
  const loaded = file === undefined ? undefined : await loadScript(file)
  if (loaded?.ok === false) failWith(loaded.problems)
  const script = loaded?.ok ? loaded.script : PLAIN_SIMULATOR
  const { startSimulator } = await import('./simulator/simulator.ts')
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

async function writeSchema(): Promise<void> {
  const { jsonSchema } = await import('./config/json-schema.ts')
  process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
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

/** Carries out the command of this process. Ends the process where it is called wrongly, or cannot be carried out. */
export async function run(): Promise<void> {
  const { values, positionals } = parsed()
  const [command, ...rest] = positionals
  if (values.version) return void process.stdout.write(`${packageJson.version}\n`)
  if (values.help || command === undefined) return void process.stdout.write(usage())
  switch (command) {
    case 'serve':
      return serveFrom(values.config)
    case 'check':
      return check(values.config)
    case 'drill':
      return drillFor(values.config)
    case 'simulator':
      return simulate(values.speaks, values.listen, values.script)
    case 'keys':
      return newKey(rest[0], rest[1])
    case 'schema':
      return writeSchema()
    default:
      return fail(EXIT.usage, `There is no command "${command}".\n\n${usage()}`)
  }
}
