/*
 * The processes of a bench. However the bench ends, none of them outlives it and nothing of theirs stays on the disk; and a child that
 * ends before the bench does ends the bench, with what it had to say.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Children {
  /** A new file in the bench's own folder. @returns its path */
  file(name: string, text: string): string
  /** @param module relative to this folder  @param output a file for its standard output; dropped when left out */
  start(name: string, module: string, args: readonly string[], options?: StartOptions): ChildProcess
  /** A process that was started otherwise becomes one of them. */
  adopt(name: string, child: ChildProcess, output?: string): ChildProcess
  /** What `pick` finds in a message of the child. Rejects when it takes too long. */
  heard<Value>(child: ChildProcess, pick: (message: never) => Value | undefined): Promise<Value>
  /** Asks it to end, and waits until it has. */
  stop(child: ChildProcess): Promise<void>
}

export interface StartOptions {
  readonly execArgs?: readonly string[]
  readonly output?: string
  /** On top of what the bench has itself. */
  readonly env?: Readonly<Record<string, string>>
}

export const FAILED = 2
const PATIENCE_MS = 30_000
/** The end of what a child wrote is enough to see why it died. */
const MOST_STDERR = 8_000

export function children(): Children {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-bench-'))
  const running = new Set<ChildProcess>()

  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.on(signal, () => process.exit(code))

  function start(
    name: string,
    module: string,
    args: readonly string[],
    { execArgs = [], output, env }: StartOptions = {},
  ): ChildProcess {
    const out = output === undefined ? 'ignore' : openSync(output, 'a')
    const path = fileURLToPath(new URL(module, import.meta.url))
    const child = spawn(process.execPath, [...execArgs, path, ...args], {
      stdio: ['ignore', out, 'pipe', 'ipc'],
      cwd: folder,
      env: { ...process.env, ...env },
    })
    return adopt(name, child, output)
  }

  function adopt(name: string, child: ChildProcess, output?: string): ChildProcess {
    let said = ''
    running.add(child)
    child.stderr!.on('data', chunk => {
      said = (said + chunk).slice(-MOST_STDERR)
    })
    const failed = (how: string) => {
      if (!running.delete(child)) return
      const written = output === undefined ? '' : readFileSync(output, 'utf8').slice(-MOST_STDERR)
      process.stderr.write(`The ${name} ${how}.\n${said}${written}`)
      process.exit(FAILED)
    }
    child.on('error', error => failed(`did not start: ${error.message}`))
    // Not `exit`: what it wrote last may still be on its way then.
    child.on('close', (code, signal) => failed(`ended (${signal ?? `code ${code}`})`))
    return child
  }

  return {
    file(name, text) {
      const path = join(folder, name)
      writeFileSync(path, text)
      return path
    },
    start,
    adopt,
    heard: (child, pick) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no word from ${child.spawnargs.at(-1)} within ${PATIENCE_MS} ms`)),
          PATIENCE_MS,
        )
        const hear = (message: unknown) => {
          const value = pick(message as never)
          if (value === undefined) return
          clearTimeout(timer)
          child.off('message', hear)
          resolve(value)
        }
        child.on('message', hear)
      }),
    stop: child =>
      new Promise(resolve => {
        running.delete(child)
        child.once('close', () => resolve())
        child.kill('SIGTERM')
      }),
  }
}
