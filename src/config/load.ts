/** From a file to a configuration, or to everything that is wrong with it. */
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { asObject } from '../core/json.ts'
import { type Examined, examine } from './examine.ts'
import type { Flaw } from './issues.ts'
import { notYet } from './not-yet.ts'
import type { Path, Problem } from './problem.ts'
import { clientRules, listenerRules, workerRules } from './rules/client-rules.ts'
import type { Ground } from './rules/ground.ts'
import { providerRules } from './rules/provider-rules.ts'
import { routeRules } from './rules/route-rules.ts'
import { AVAILABLE_TYPES, type Config, config } from './schema.ts'
import { type Environment, type Source, sources, whyUnreadable } from './secrets/sources.ts'
import { PLAIN_SIMULATOR, type SimulatorConfig, script, simulator } from './simulation.ts'

export interface LoadOptions {
  readonly env: Environment
  /** The provider types that can be used: the names in the registry of providers. */
  readonly available?: ReadonlySet<string>
  /** Where values come from that are `scheme:reference` as a whole, by the scheme; the real places when left out. */
  readonly from?: ReadonlyMap<string, Source>
}

export type LoadedConfig =
  /** `problemAt`: for what is found to be wrong with it later. */
  | { readonly ok: true; readonly config: Config; readonly problemAt: (path: Path, message: string) => Problem }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** A simulator as a file of its own describes it. */
export type Script = Omit<SimulatorConfig, 'name'>
export type LoadedScript =
  | { readonly ok: true; readonly script: Script }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Reads and checks a configuration file. Never rejects because of what the file holds. */
export async function loadConfig(file: string, options: LoadOptions): Promise<LoadedConfig> {
  const read = await readText(file)
  return read.ok ? parseConfig(read.text, file, { ...options, folder: dirname(file) }) : read
}

/** The same for a text. `folder`: what a relative `file:./…` is relative to. */
export async function parseConfig(
  text: string,
  fileName: string,
  options: LoadOptions & { readonly folder?: string },
): Promise<LoadedConfig> {
  const { env, available = AVAILABLE_TYPES, folder = '.', from = sources(env, folder) } = options
  const examined = await examine(text, fileName, {
    schema: config,
    prepare: tree => takeAdminToken(tree, env),
    outside: { env, sources: from },
    rules: (tree, quote) => [...applyRules(tree, available, quote), ...notYet(tree)],
  })
  return examined.ok ? { ok: true, config: examined.value, problemAt: examined.problemAt } : examined
}

const ADMIN_TOKEN = 'UNDERSTUDY_ADMIN_TOKEN'

/** The default token, written out or not, is no token when its variable is not set: on loopback that is nothing wrong. */
function takeAdminToken(tree: Record<string, unknown>, env: Environment): void {
  const isSet = env[ADMIN_TOKEN] !== undefined && env[ADMIN_TOKEN] !== ''
  const admin = (tree.admin === undefined ? {} : asObject(tree.admin)) as Record<string, unknown> | undefined
  if (admin === undefined || (admin.token !== undefined && admin.token !== `env:${ADMIN_TOKEN}`)) return
  if (isSet) tree.admin = { ...admin, token: `env:${ADMIN_TOKEN}` }
  else delete admin.token
}

function applyRules(tree: unknown, available: ReadonlySet<string>, quote: (path: Path, text: string) => string): readonly Flaw[] {
  const flaws: Flaw[] = []
  const top = asObject(tree)
  if (top === undefined) return flaws
  const ground: Ground = {
    tree: top,
    available,
    quote,
    report: (path, message, at = 'value') => flaws.push({ path, at, message }),
  }
  for (const rule of [providerRules, routeRules, clientRules, listenerRules, workerRules]) rule(ground)
  return flaws
}

const simulatorAlone = simulator.omit({ name: true })
const scriptFile = z.union([script.transform(rules => ({ script: rules })), simulatorAlone], {
  error: 'expected a list of rules, or a mapping that describes a simulator',
})

/** Reads a simulator's script: a list of rules, or a simulator without its name. Nothing in it is taken from outside. */
export async function loadScript(file: string): Promise<LoadedScript> {
  const read = await readText(file)
  if (!read.ok) return read
  const examined: Examined<z.output<typeof scriptFile>> = await examine(read.text, file, { schema: scriptFile })
  return examined.ok ? { ok: true, script: { ...PLAIN_SIMULATOR, ...examined.value } } : examined
}

export type ReadText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** The text of a configuration file, or why there is none. */
export async function readText(file: string): Promise<ReadText> {
  const fail = (message: string): ReadText => ({ ok: false, problems: [{ file, path: [], message }] })
  try {
    const bytes = await readFile(file)
    return { ok: true, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (error) {
    const isText = !(error instanceof TypeError)
    return fail(isText ? `cannot read the file: ${whyUnreadable(error)}` : 'the file is not UTF-8 text')
  }
}
