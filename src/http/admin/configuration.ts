/** The configuration that counts, what became of the last one that was to replace it, and the order to read it again. */
import type { FastifyInstance } from 'fastify'
import { formatPath, formatProblem, type Problem } from '../../config/problem.ts'
import type { Config } from '../../config/schema.ts'
import { shownConfig } from '../../config/shown.ts'

export interface Reload {
  readonly atMs: number
  /** What gave the occasion. */
  readonly why: 'file' | 'signal' | 'admin' | 'secrets'
  readonly result: 'applied' | 'refused'
  /** Of a configuration that was refused. */
  readonly problems: readonly Problem[]
}

export interface Configuration {
  /** The one that counts. */
  readonly config: Config
  readonly file: string
  /** Since when, in milliseconds since 1970. */
  readonly sinceMs: number
  /** The last attempt to replace it; undefined: there has been none. */
  readonly last: Reload | undefined
  /** Settings that have changed in the file and count from the next start. */
  readonly needsRestart: readonly string[]
  /** Why secrets could not be read again when that was last tried. */
  readonly secretProblems: readonly Problem[]
}

export interface ConfigurationPages {
  configuration(): Configuration
  reload(): Promise<Reload>
}

export function addConfiguration(app: FastifyInstance, pages: ConfigurationPages): void {
  app.get('/admin/config', async () => {
    const { config, file, sinceMs, last, needsRestart, secretProblems } = pages.configuration()
    return {
      file,
      since: new Date(sinceMs).toISOString(),
      last_reload: last === undefined ? null : shownReload(last),
      needs_restart: needsRestart,
      secret_problems: secretProblems.map(shownProblem),
      config: shownConfig(config),
    }
  })
  app.post('/admin/reload', async (_, reply) => {
    const reload = await pages.reload()
    const { needsRestart } = pages.configuration()
    return reply.code(reload.result === 'applied' ? 200 : 422).send({ ...shownReload(reload), needs_restart: needsRestart })
  })
}

function shownReload({ atMs, why, result, problems }: Reload) {
  return { at: new Date(atMs).toISOString(), why, result, problems: problems.map(shownProblem) }
}

function shownProblem(problem: Problem) {
  const { line, column, path, message } = problem
  return { line: line ?? null, column: column ?? null, path: formatPath(path), message, text: formatProblem(problem) }
}
