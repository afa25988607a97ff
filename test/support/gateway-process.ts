/** The gateway as it is shipped, as a process of its own, for what only a process can show: its memory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface GatewayProcess {
  readonly child: ChildProcess
  readonly port: number
  memory(): Promise<Memory>
  /** A series of its metrics; the sum of all that begin so. */
  metric(beginning: string): Promise<number>
  stop(): Promise<void>
}

/** In bytes, after the garbage was collected. */
export interface Memory {
  /** What the machine has set aside for it. */
  readonly residentBytes: number
  /** What its heap and its buffers hold. */
  readonly usedBytes: number
  /** How many files and connections are open. */
  readonly descriptors: number
  /** What keeps its event loop going, by kinds: connections, timers, requests to the system. */
  readonly waitsFor: readonly string[]
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const MEMORY_TOLD = new URL('./memory-told.ts', import.meta.url).href
const PATIENCE_MS = 20_000

/**
 * @param config without the sections `server` and `admin`; ports are free ones
 * @param nodeArgs for Node itself
 */
export async function gatewayProcess(config: object, nodeArgs: readonly string[] = []): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'understudy-gateway-'))
  const file = join(folder, 'understudy.yaml')
  const listen = '127.0.0.1:0'
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ server: { listen }, admin: { listen }, ...config }))
  const child = spawn(process.execPath, [...nodeArgs, '--import', MEMORY_TOLD, MAIN, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  const stopped = new Promise<void>(resolve => child.once('close', () => resolve()))
  async function stop(): Promise<void> {
    process.off('exit', kill)
    kill()
    await stopped
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const ready = await readyLine(child)
    const admin = `http://${new URL(ready.admin).host}`
    async function metric(beginning: string): Promise<number> {
      const text = await (await fetch(`${admin}/metrics`)).text()
      const values = text.split('\n').filter(line => line.startsWith(beginning))
      return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
    }
    const memory = () =>
      new Promise<Memory>(resolve => {
        child.once('message', told => resolve(told as Memory))
        child.send('memory')
      })
    return { child, port: Number(new URL(ready.listen).port), memory, metric, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** It takes free ports, and says which ones in its log. */
function readyLine(child: ChildProcess): Promise<{ readonly listen: string; readonly admin: string }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the gateway did not say that it is ready')), PATIENCE_MS)
    child.once('close', code => reject(new Error(`the gateway ended (${code})`)))
    // Read to the end, or the pipe fills up and its writing waits.
    createInterface({ input: child.stdout! }).on('line', line => {
      if (!line.includes('"msg":"ready"')) return
      clearTimeout(timer)
      resolve(JSON.parse(line))
    })
  })
}
