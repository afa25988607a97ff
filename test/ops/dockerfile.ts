/*
 * The steps of a Dockerfile, carried out in a folder instead of an image: what they copy from where, and what they run, with the same things
 * in reach and no others. It knows the instructions that this project's Dockerfile uses, and refuses others.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** The Node that runs the tests, and who runs them, stand in for those of the image. */
const PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`
const asOurselves = (command: string) => command.replaceAll('chown node ', `chown ${process.getuid!()} `)

export interface Instruction {
  readonly name: string
  readonly rest: string
}

export interface Built {
  /** Where the last stage's files are. */
  readonly root: string
  readonly workdir: string
  readonly env: Readonly<Record<string, string>>
  /** How it is started: ENTRYPOINT and CMD. */
  readonly command: readonly string[]
  readonly healthcheck: readonly string[]
}

export const instructionsIn = (dockerfile: string): readonly Instruction[] =>
  dockerfile
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => {
      const [, name, rest] = /^(\w+)\s+(.*)$/.exec(line)!
      return { name: name!, rest: rest!.trim() }
    })

/** Whether .dockerignore, whose later lines override the earlier ones, lets a file or folder of the context in. */
function letsIn(ignore: string, name: string): boolean {
  let isIn = true
  for (const line of ignore.split('\n').map(one => one.trim())) {
    if (line === '*' || line === name) isIn = false
    if (line === `!${name}`) isIn = true
  }
  return isIn
}

interface Stage {
  readonly root: string
  workdir: string
  readonly env: Record<string, string>
}

/**
 * @param into an empty folder
 * @param around variables that what is run gets on top of those of this process
 */
export async function build(context: string, into: string, around: Readonly<Record<string, string>> = {}): Promise<Built> {
  const ignore = readFileSync(join(context, '.dockerignore'), 'utf8')
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  let entrypoint: readonly string[] = []
  let command: readonly string[] = []
  let healthcheck: readonly string[] = []
  for (const { name, rest } of instructionsIn(readFileSync(join(context, 'Dockerfile'), 'utf8'))) {
    if (name === 'FROM') {
      const as = / AS (\w+)$/.exec(rest)?.[1] ?? 'last'
      stage = { root: join(into, as), workdir: '/', env: {} }
      mkdirSync(stage.root)
      stages.set(as, stage)
      continue
    }
    const { root, workdir, env } = stage!
    switch (name) {
      case 'WORKDIR':
        stage!.workdir = rest
        mkdirSync(join(root, rest), { recursive: true })
        break
      case 'ENV': {
        const [key, value] = rest.split('=')
        env[key!] = value!
        break
      }
      case 'COPY':
        copy(rest, { context, ignore, stages, root, workdir })
        break
      case 'RUN':
        await execute('sh', ['-c', asOurselves(rest)], {
          cwd: join(root, workdir),
          env: { ...process.env, PATH, ...around, ...env },
        })
        break
      case 'ENTRYPOINT':
        entrypoint = JSON.parse(rest)
        break
      case 'CMD':
        command = JSON.parse(rest)
        break
      case 'HEALTHCHECK':
        healthcheck = JSON.parse(/ CMD (\[.*\])$/.exec(rest)![1]!)
        break
      case 'USER':
      case 'EXPOSE':
        break
      default:
        throw new Error(`${name} is not known here`)
    }
  }
  const { root, workdir, env } = stage!
  return { root, workdir, env, command: [...entrypoint, ...command], healthcheck }
}

interface Reach {
  readonly context: string
  readonly ignore: string
  readonly stages: ReadonlyMap<string, Stage>
  readonly root: string
  readonly workdir: string
}

function copy(rest: string, { context, ignore, stages, root, workdir }: Reach): void {
  const words = rest.split(/\s+/)
  const from = /^--from=(.+)$/.exec(words[0]!)?.[1]
  const [destination, ...sources] = (from === undefined ? words : words.slice(1)).reverse()
  for (const source of sources) {
    if (from === undefined && !letsIn(ignore, source)) throw new Error(`.dockerignore keeps ${source} out`)
    const original = from === undefined ? join(context, source) : join(stages.get(from)!.root, source)
    const place = join(root, workdir, destination!)
    // Of a folder, what is in it is copied; a file goes into the folder.
    const to = statSync(original).isDirectory() ? place : join(place, basename(source))
    cpSync(original, to, { recursive: true })
  }
}
