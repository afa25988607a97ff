/*
 * A section of the bench: whole calls by one worker and by two. A second core gives twice the calls only where one is free for it, and here
 * upstream and load generator want theirs, too. So beside the calls a second, what a call costs all processes of the gateway together is
 * told: as long as that stays the same, cores are what the calls a second are a matter of.
 */

import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpuMicros } from './cpu.ts'
import { median, type Run } from './table.ts'

const SIZES = [1, 2] as const
const RUNS = 3

/** A gateway with so many workers, and a window of load on it. */
export interface Scaled {
  readonly child: ChildProcess
  window(): Promise<Omit<Run, 'cpuMicros'>>
  stop(): Promise<void>
}

export async function scalingSection(start: (workers: number) => Promise<Scaled>): Promise<string> {
  const lines: string[] = []
  for (const workers of SIZES) {
    const scaled = await start(workers)
    const [rates, costs]: [number[], number[]] = [[], []]
    await scaled.window()
    for (let run = 0; run < RUNS; run++) {
      const before = await all(scaled.child)
      const { calls, ms } = await scaled.window()
      rates.push((calls / ms) * 1_000)
      costs.push(((await all(scaled.child)) - before) / calls)
    }
    await scaled.stop()
    lines.push(
      `  ${workers} worker${workers === 1 ? ' ' : 's'}   ${median(rates).toFixed(0)} a second, ${median(costs).toFixed(1)} µs for each\n`,
    )
  }
  return `whole call, 1 KB, as many as can be answered, by workers\n${lines.join('')}`
}

/** CPU time of a process and of all that it has started, where the kernel tells who that is. */
async function all(child: ChildProcess): Promise<number> {
  const own = await cpuMicros(child)
  const others = childrenOf(child.pid!).map(pid => cpuMicros({ pid } as ChildProcess))
  return (await Promise.all(others)).reduce((sum, each) => sum + each, own)
}

function childrenOf(pid: number): readonly number[] {
  const parentOf = (id: string) => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, 'latin1')
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    } catch {
      return undefined
    }
  }
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && parentOf(name) === pid)
    .map(Number)
}
