/*
 * The gateway as several processes. This one has the listeners and no gateway: it hands connections to workers, answers operators out of
 * what the workers say, writes their log lines as one stream, and keeps as many of them running as are wanted. A listener that outlives the
 * workers is what lets them be exchanged under load without a call noticing.
 */
import { createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { parseConfig } from '../../config/load.ts'
import type { Config } from '../../config/schema.ts'
import { secretsOf } from '../../config/secrets/secrets-of.ts'
import { systemClock } from '../../core/clock.ts'
import { adminFront } from '../../http/admin/front.ts'
import { available } from '../../providers/registry.ts'
import { gatheringOutput, log } from '../../telemetry/log.ts'
import { metrics } from '../../telemetry/metrics.ts'
import { redaction } from '../../telemetry/redaction.ts'
import { exposition, mergedSnapshot, written } from '../../telemetry/snapshots.ts'
import { EXIT, fail } from '../exit.ts'
import { BACKLOG, type ServeOptions } from '../serve.ts'
import { processesOf } from '../size.ts'
import { CLOSE_MS, within } from '../stopping.ts'
import { crew } from './crew.ts'
import { member } from './member.ts'

/** What a new worker has as the new configuration says; anything else that needs a restart needs one of the whole. */
const ROLLED = new Set(['server.max_body', 'state', 'telemetry.traces', 'telemetry.webhooks'])
/** After the drain: for last words and for what is closed then. */
const LAST_MS = 4_000

export async function serveWithWorkers(options: ServeOptions, started: Config, startedText: string): Promise<void> {
  const { file, env, version, greeting } = options
  const clock = systemClock
  const { redact, learn } = redaction(secretsOf(started, env))
  // The lines of workers come without secrets, and whole.
  const output = gatheringOutput(lines => lines)
  const logged = log(started.telemetry.log.level, redact, output)
  const own = metrics(version)
  const size = processesOf(started)
  let config = started
  let text = startedText
  let learning: Promise<unknown> = Promise.resolve()

  /** A worker has put another configuration in place, and so will the others. */
  function applied(next: string): void {
    if (next === text) return
    text = next
    learning = learning.then(async () => {
      const loaded = await parseConfig(next, file, { env, available, folder: dirname(file) })
      if (!loaded.ok) return
      config = loaded.config
      learn(secretsOf(config))
      logged.setLevel(config.telemetry.log.level)
    })
  }

  const workers = crew({
    size,
    clock,
    log: logged,
    enlist: () =>
      member({
        start: { kind: 'start', file, env, version, text, listeningBy: startedText },
        onLines: lines => output.write(lines),
        onApplied: applied,
      }),
  })
  const listener = createServer({ pauseOnConnect: true }, workers.give)
  const publicUrl = await listening(listener, started.server.listen)
  const admin = adminFront({
    token: () => config.admin.token?.reveal(),
    maxBodyBytes: started.server.max_body,
    readiness: { ready: workers.isReady },
    async scrape(accept = '') {
      const all = [await own.snapshot(), ...(await workers.snapshots())]
      return exposition(written(mergedSnapshot(all, isShared)), accept)
    },
    askOne: question => workers.askOne({ of: 'admin', ...question }),
    async askAll(question) {
      const answers = await workers.askAll({ of: 'admin', ...question })
      await learning
      return answers
    },
  })
  const isShared = (providerName: string) => config.providers[providerName]?.spend_cap !== undefined
  const adminUrl = await admin
    .listen(started.admin.listen)
    .catch((error: Error) => fail(EXIT.unavailable, `admin.listen: ${error.message}`))
  await workers.begin().catch((code: number) => process.exit(code))
  if (greeting !== undefined) process.stdout.write(greeting(publicUrl, adminUrl))
  else logged.info('ready', { version, config: file, listen: publicUrl, admin: adminUrl, workers: size })

  /** In place where that can be; what else has changed is in place when there are new workers. */
  async function reload(): Promise<void> {
    const answers = await workers.askAll({ of: 'reload' })
    const isGood = answers.length > 0 && answers.every(({ result }) => result === 'applied')
    if (!isGood || !answers.some(({ needsRestart }) => needsRestart.some(path => ROLLED.has(path)))) return
    logged.info('workers are replaced', { workers: size })
    if (await workers.roll()) logged.info('workers were replaced', { workers: size })
  }

  let isStopping = false
  async function stop(exitCode: number): Promise<void> {
    if (isStopping) return workers.stop(LAST_MS)
    isStopping = true
    await workers.stop(config.server.drain + LAST_MS)
    listener.close()
    await within(CLOSE_MS, admin.close())
    logged.info('stopped')
    output.flush()
    process.exit(exitCode)
  }

  process.on('SIGHUP', () => void reload())
  process.on('SIGTERM', () => void stop(0))
  process.on('SIGINT', () => void stop(0))
  process.on('unhandledRejection', reason => logged.error('unhandled rejection', { detail: String(reason) }))
  process.on('uncaughtException', error => {
    logged.error('uncaught exception', { detail: error.stack ?? error.message })
    void stop(EXIT.software)
  })
}

function listening(listener: Server, { host, port }: { host: string; port: number }): Promise<string> {
  return new Promise(resolve => {
    listener.once('error', error => fail(EXIT.unavailable, `server.listen: ${error.message}`))
    listener.listen({ host, port, backlog: BACKLOG }, () => {
      const { address, port, family } = listener.address() as { address: string; port: number; family: string }
      resolve(`http://${family === 'IPv6' ? `[${address}]` : address}:${port}`)
    })
  })
}
