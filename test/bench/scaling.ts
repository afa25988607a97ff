/*
 * A section of the bench: whole calls by one worker and by two. A second core gives twice the calls only where one is free for it, and here
 * upstream and load generator want theirs, too. So beside the calls a second, what a call costs all processes of the gateway together is
 * told: as long as that stays the same, cores are what the calls a second are a matter of.
 */

import type { ChildProcess } from 'node:child_process'
import { cpuMicrosOfAll } from './cpu.ts'
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
      const before = await cpuMicrosOfAll(scaled.child)
      const { calls, ms } = await scaled.window()
      rates.push((calls / ms) * 1_000)
      costs.push(((await cpuMicrosOfAll(scaled.child)) - before) / calls)
    }
    await scaled.stop()
    lines.push(
      `  ${workers} worker${workers === 1 ? ' ' : 's'}   ${median(rates).toFixed(0)} a second, ${median(costs).toFixed(1)} µs for each\n`,
    )
  }
  return `whole call, 1 KB, as many as can be answered, by workers\n${lines.join('')}`
}
