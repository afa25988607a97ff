/* The gateway as a process: it reads its configuration, listens, and obeys signals; with several workers it has others do that. */
import { dirname } from 'node:path'
import { parseConfig, readText } from '../config/load.ts'
import type { Environment } from '../config/secrets/sources.ts'
import { available } from '../providers/registry.ts'
import { EXIT, fail, failWith } from './exit.ts'
import { type Instance, type InstanceOptions, instance } from './instance.ts'

export interface ServeOptions {
  readonly file: string
  readonly env: Environment
  readonly version: string
  /** What is printed when it listens; a log line when left out. */
  readonly greeting?: (url: string, adminUrl: string) => string
}

export async function serve(options: ServeOptions): Promise<void> {
  const { file, env } = options
  const read = await readText(file)
  if (!read.ok) return failWith(read.problems)
  const loaded = await parseConfig(read.text, file, { env, available, folder: dirname(file) })
  if (!loaded.ok) return failWith(loaded.problems)
  const { config } = loaded
  if (config.server.workers === 1) return serveAlone(options, await instance({ ...options, config, text: read.text }), config)
  // Loaded only for those that have some.
  const { serveWithWorkers } = await import('./workers/primary.ts')
  return serveWithWorkers(options, config, read.text)
}

/** Connections that wait to be taken. Beyond it they are not refused: their clients try again after one second, and then after three. */
export const BACKLOG = 2_048

async function serveAlone(
  { file, version, greeting }: ServeOptions,
  { server, admin, changes, log, stop }: Instance,
  config: InstanceOptions['config'],
): Promise<void> {
  const listen = (app: typeof admin, setting: string, { host, port }: { host: string; port: number }) =>
    app.listen({ host, port, backlog: BACKLOG }).catch((error: Error) => fail(EXIT.unavailable, `${setting}: ${error.message}`))
  const publicUrl = await listen(server.app, 'server.listen', config.server.listen)
  const adminUrl = await listen(admin, 'admin.listen', config.admin.listen)
  if (greeting !== undefined) process.stdout.write(greeting(publicUrl, adminUrl))
  else log.info('ready', { version, config: file, listen: publicUrl, admin: adminUrl })
  process.on('SIGHUP', () => void changes.reload('signal'))
  process.on('SIGTERM', () => void stop(0))
  process.on('SIGINT', () => void stop(0))
}
