/*
 * How soon the gateway is ready: from the start of the process to its word that it listens, on the configuration that the package brings
 * as an example, with ports of its own and without Redis, which somebody else would have to run. Once as ever, and once as if nothing were
 * there of what Node keeps from one start to the next.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Children } from './children.ts'
import { median } from './table.ts'

const EXAMPLE = new URL('../../config/understudy.example.yaml', import.meta.url)
const STARTS = 5
const MOST_MS = 1_000

export async function startSection(own: Children): Promise<string> {
  const text = readFileSync(EXAMPLE, 'utf8')
    .replace(/^( +listen): .*$/gm, '$1: 127.0.0.1:0')
    .replace(/^ +redis:.*\n(?: +#.*\n)?/m, '')
  const secrets = Object.fromEntries(
    [...text.matchAll(/env:(\w+)/g)].map(([, name]) => [name!, `value-of-${name}-0123456789abcdef`]),
  )
  const config = own.file('example.yaml', text)
  const took: number[] = []
  const tookFirst: number[] = []
  for (let start = 0; start < STARTS; start++) {
    tookFirst.push(await startedMs(own, config, { ...secrets, NODE_DISABLE_COMPILE_CACHE: '1' }))
    took.push(await startedMs(own, config, secrets))
  }
  const [ms, firstMs] = [took, tookFirst].map(each => median(each).toFixed(0))
  return `ready on config/understudy.example.yaml after ${ms} ms, where it is started first after ${firstMs} ms; at most ${MOST_MS}\n`
}

async function startedMs(own: Children, config: string, env: Readonly<Record<string, string>>): Promise<number> {
  const log = own.file('start.log', '')
  const began = performance.now()
  const child = own.start('gateway', '../../src/main.ts', ['serve', '--config', config], { output: log, env })
  while (!readFileSync(log, 'utf8').includes('"msg":"ready"')) {
    if (performance.now() - began > 20 * MOST_MS) throw new Error('the gateway did not say that it is ready')
    await pause(5)
  }
  const ms = performance.now() - began
  await own.stop(child)
  return ms
}
