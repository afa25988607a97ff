/*
 * CPU time of a child, as the kernel counts it. Linux tells it to everybody; elsewhere the child is asked, and answers by a module that
 * is loaded into it for that alone.
 */
import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

export const HAS_PROC = existsSync('/proc/self/stat')
/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** What a child that is going to be measured needs to be started with. */
export const CPU_ARGS: readonly string[] = HAS_PROC ? [] : ['--import', new URL('./cpu-told.ts', import.meta.url).href]

/** User and system time of all its threads so far, in microseconds. */
export async function cpuMicros(child: ChildProcess): Promise<number> {
  if (HAS_PROC) {
    const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1')
    // The second field is the command in brackets, which may hold anything; the third is the first one after them.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [user, system] = [Number(fields[11]), Number(fields[12])]
    return ((user + system) / TICKS_PER_SECOND) * 1e6
  }
  return new Promise(resolve => {
    const hear = (message: unknown) => {
      const { cpuMicros: told } = message as { cpuMicros?: number }
      if (told === undefined) return
      child.off('message', hear)
      resolve(told)
    }
    child.on('message', hear)
    child.send('cpu')
  })
}

/** CPU time of a process and of all that it has started, where the kernel tells who that is; elsewhere its own. */
export async function cpuMicrosOfAll(child: ChildProcess): Promise<number> {
  const own = await cpuMicros(child)
  if (!HAS_PROC) return own
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
