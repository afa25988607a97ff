/** The gateway as a process of its own, with a configuration file that a test may change while it runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './running.ts'

export const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export const TOKEN = 'the-token'

export interface Started {
  readonly folder: string
  readonly file: string
  readonly url: string
  readonly adminUrl: string
  readonly child: ChildProcess
  /** Its log lines so far, parsed. */
  logs(): readonly Record<string, any>[]
  /** Writes the file in place, all at once. */
  write(yaml: string): Promise<void>
  call(body: object, headers?: Record<string, string>): Promise<Response>
  /** Of the admin API, with its token: the JSON, whatever the status. */
  admin(path: string, method?: 'GET' | 'POST', body?: object): Promise<any>
  /** The value of all series of a metric whose line holds this text. */
  metric(name: string, holds?: string): Promise<number>
  readonly ended: Promise<number | null>
  /** Ends it, if it has not ended, and takes its files away. */
  close(): Promise<void>
}

export const LISTEN = `server: {listen: "127.0.0.1:0"}\nadmin: {listen: "127.0.0.1:0", token: ${TOKEN}}\n`

export async function started(yaml: string): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-test-'))
  const file = join(folder, 'understudy.yaml')
  await writeFile(file, yaml)
  return startedFrom(folder, file)
}

/** From a file that is there already, in a folder that is this test's own. */
export async function startedFrom(folder: string, file: string): Promise<Started> {
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout.on('data', chunk => (out += chunk))
  child.stderr.on('data', chunk => (err += chunk))
  let isOver = false
  const ended = new Promise<number | null>(resolve =>
    child.once('close', code => {
      isOver = true
      resolve(code)
    }),
  )
  await until('it is ready', () => out.includes('"ready"') || isOver, 20_000)
  if (isOver) throw new Error(err)
  const logs = () =>
    out
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line))
  const ready = logs().find(({ msg }) => msg === 'ready')!
  const [url, adminUrl] = [ready.listen, ready.admin]
  return {
    folder,
    file,
    url,
    adminUrl,
    child,
    logs,
    write: text => writeFile(file, text),
    call: (body, headers = {}) =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], ...body }),
      }),
    async admin(path, method = 'GET', body) {
      const response = await fetch(adminUrl + path, {
        method,
        headers: { authorization: `Bearer ${TOKEN}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return response.json()
    },
    async metric(name, holds = '') {
      const text = await (await fetch(`${adminUrl}/metrics`)).text()
      return text
        .split('\n')
        .filter(line => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(holds))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
    },
    ended,
    async close() {
      if (!isOver) child.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Starts it, runs the test, and ends it whatever came of that. */
export async function during(yaml: string, run: (gateway: Started) => Promise<void>): Promise<void> {
  const gateway = await started(yaml)
  try {
    await run(gateway)
  } finally {
    await gateway.close()
  }
}
