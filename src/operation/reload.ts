/*
 * The configuration as it changes. A new one is read when its file changes, on a signal, or when an operator says so; it is checked first,
 * and takes the place of the old one as a whole. One that is wrong changes nothing and is reported with line and column. Secrets are read
 * again every minute, and at once when a key is refused, from the text that counts: so they go on being read while the file is broken.
 *
 * One thing at a time: whatever asks for a reading while another is under way gets its own after it.
 */
import { dirname } from 'node:path'
import { type LoadedConfig, parseConfig, readText } from '../config/load.ts'
import { isLoopback } from '../config/notation.ts'
import { formatProblem, type Problem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import type { Environment } from '../config/secrets/sources.ts'
import { fingerprintOf } from '../config/shown.ts'
import { watchFile } from '../config/watch.ts'
import type { Clock } from '../core/clock.ts'
import type { Configuration, ConfigurationPages, Reload } from '../http/admin/configuration.ts'
import { available } from '../providers/registry.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface Reloads extends ConfigurationPages {
  /** Reads the file and puts it in place. Never rejects. */
  reload(why?: Reload['why']): Promise<Reload>
  /** Reads the secrets again soon. */
  readSecrets(): void
  close(): void
}

export interface ReloadsOptions {
  readonly file: string
  readonly env: Environment
  /** The configuration that counts at first, and the text that it was read from. */
  readonly first: Config
  readonly text: string
  /** What the listeners, and whatever else is for life, were started with. */
  readonly started: Config
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Puts a configuration in place. Rejects, and has changed nothing, when that fails. */
  readonly apply: (config: Config, text: string) => Promise<void>
}

const SECRETS_EVERY_MS = 60_000
/** However many keys are refused, secrets are not read more often than this. */
const SECRETS_PAUSE_MS = 1_000

/** What a process has for its whole life. */
const FOR_LIFE = [
  'server.listen',
  'server.max_body',
  'server.workers',
  'admin.listen',
  'state',
  'telemetry.traces',
  'telemetry.webhooks',
]

export function reloads({ file, env, first, text, started, clock, log, metrics, apply }: ReloadsOptions): Reloads {
  let good = { text, config: first, fingerprint: fingerprintOf(first), sinceMs: clock.now() }
  /** The text that was read last, good or not. */
  let seenText = text
  let last: Reload | undefined
  let secretProblems: readonly Problem[] = []
  let running: Promise<unknown> = Promise.resolve()
  let isClosed = false

  /** After all that was asked for before. */
  function inTurn<Value>(run: () => Promise<Value>): Promise<Value> {
    const turn = running.then(run)
    running = turn.catch(() => undefined)
    return turn
  }

  const parse = (from: string) => parseConfig(from, file, { env, available, folder: dirname(file) })

  async function replace(why: Reload['why']): Promise<Reload> {
    const read = await readText(file)
    if (!read.ok) return refused(why, read.problems)
    seenText = read.text
    return put(why, read.text, await parse(read.text))
  }

  async function put(why: Reload['why'], from: string, loaded: LoadedConfig): Promise<Reload> {
    if (!loaded.ok) return refused(why, loaded.problems)
    const { config, problemAt } = loaded
    const exposed = whyExposed(started, config)
    if (exposed !== undefined) return refused(why, [problemAt(['clients'], exposed)])
    try {
      // What is remembered stays where it is until the next start.
      await apply({ ...config, state: started.state }, from)
    } catch (thrown) {
      return refused(why, [problemAt([], thrown instanceof Error ? thrown.message : String(thrown))])
    }
    good = { text: from, config, fingerprint: fingerprintOf(config), sinceMs: clock.now() }
    secretProblems = []
    const needsRestart = changedForLife(started, config)
    log.info('config', { result: 'applied', why, ...(needsRestart.length > 0 && { needsRestart }) })
    return noted({ atMs: clock.now(), why, result: 'applied', problems: [] })
  }

  function refused(why: Reload['why'], problems: readonly Problem[]): Reload {
    log.error('config', {
      result: 'refused',
      why,
      problems: problems.map(formatProblem),
      remedy: 'the one before it still counts',
    })
    return noted({ atMs: clock.now(), why, result: 'refused', problems })
  }

  function noted(reload: Reload): Reload {
    metrics.count('llm_config_reloads_total', [reload.result])
    last = reload
    return reload
  }

  /** A file that was written anew with the same text is no change. */
  async function look(): Promise<void> {
    const read = await readText(file)
    if (!read.ok || read.text !== seenText) await replace('file')
  }

  /** What secrets hold now, for the text that counts; and for one that was refused, where they may have been what was wrong with it. */
  async function readSecrets(): Promise<void> {
    if (last?.result === 'refused' && seenText !== good.text) {
      const loaded = await parse(seenText)
      if (loaded.ok) return void (await put('secrets', seenText, loaded))
    }
    const loaded = await parse(good.text)
    if (!loaded.ok) {
      const before = secretProblems.map(formatProblem).join()
      secretProblems = loaded.problems
      if (before !== loaded.problems.map(formatProblem).join())
        log.warn('secrets', { problems: loaded.problems.map(formatProblem), remedy: 'those that were read before still count' })
      return
    }
    secretProblems = []
    if (fingerprintOf(loaded.config) !== good.fingerprint) await put('secrets', good.text, loaded)
  }

  const unwatch = watchFile(file, clock, () => void inTurn(look))
  let cancelSecrets = () => {}
  let isSoon = false
  function secretsAfter(ms: number): void {
    if (isClosed) return
    cancelSecrets()
    cancelSecrets = clock.after(ms, () => {
      isSoon = false
      void inTurn(readSecrets).finally(() => {
        if (!isSoon) secretsAfter(SECRETS_EVERY_MS)
      })
    })
  }
  secretsAfter(SECRETS_EVERY_MS)
  let readAtTicks = Number.NEGATIVE_INFINITY

  return {
    configuration: (): Configuration => ({
      config: good.config,
      file,
      sinceMs: good.sinceMs,
      last,
      needsRestart: changedForLife(started, good.config),
      secretProblems,
    }),
    reload: (why = 'admin') => inTurn(() => replace(why)),
    readSecrets() {
      if (isSoon) return
      isSoon = true
      const now = clock.ticks()
      readAtTicks = Math.max(now, readAtTicks + SECRETS_PAUSE_MS)
      secretsAfter(readAtTicks - now)
    },
    close() {
      isClosed = true
      unwatch()
      cancelSecrets()
    },
  }
}

function changedForLife(started: Config, config: Config): readonly string[] {
  const valueAt = (of: Config, path: string) =>
    path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], of)
  return FOR_LIFE.filter(path => fingerprintOf(valueAt(started, path)) !== fingerprintOf(valueAt(config, path)))
}

/** The listener stays where it was: what only a listener of this machine may do, it must not do elsewhere. */
function whyExposed({ server: { listen } }: Config, { server, clients }: Config): string | undefined {
  if (isLoopback(listen.host) || server.open || clients.length > 0) return undefined
  return 'others can still reach this process, which listens as it was started; without clients it needs a restart, or open: true'
}
