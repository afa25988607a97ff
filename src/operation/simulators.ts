/** The simulators of a configuration, as it changes: those that are in both go on, with their new script; the others come and go. */
import type { Config } from '../config/schema.ts'
import type { Simulator } from '../simulator/simulator.ts'

export interface Simulators {
  /**
   * Starts those that are new. Nothing else changes yet. Rejects, and has started none, when one cannot listen.
   * @returns where they all are, by name
   */
  prepare(config: Config): Promise<Prepared>
  /** From now on the calls of this configuration come. */
  use(prepared: Prepared): void
  /** Ends those that are not in use; call it when the last call to them is over. */
  settle(): Promise<void>
  close(): Promise<void>
}

export interface Prepared {
  readonly addresses: ReadonlyMap<string, string>
  readonly running: ReadonlyMap<string, Running>
}

interface Running {
  readonly simulator: Simulator
  /** Without its script: two that have the same are the same. */
  readonly settings: string
  readonly config: Config['simulators'][number]
}

export function simulators(): Simulators {
  let inUse: ReadonlyMap<string, Running> = new Map()
  const all = new Set<Simulator>()

  return {
    async prepare(config) {
      const running = new Map<string, Running>()
      const fresh: Simulator[] = []
      try {
        for (const one of config.simulators) {
          const settings = JSON.stringify({ ...one, script: undefined })
          const known = inUse.get(one.name)
          const simulator = known?.settings === settings ? known.simulator : await started(one)
          if (simulator !== known?.simulator) fresh.push(simulator)
          running.set(one.name, { simulator, settings, config: one })
        }
      } catch (thrown) {
        await Promise.all(fresh.map(simulator => simulator.close()))
        throw thrown
      }
      for (const simulator of fresh) all.add(simulator)
      return { addresses: new Map([...running].map(([name, { simulator }]) => [name, simulator.url])), running }
    },
    use({ running }) {
      for (const [name, { simulator, config }] of running) {
        const known = inUse.get(name)
        // A script begins anew when it is put in place: one that has not changed is left alone.
        if (known?.simulator !== simulator || JSON.stringify(known.config.script) === JSON.stringify(config.script)) continue
        simulator.script(config.script)
      }
      inUse = running
    },
    async settle() {
      const used = new Set([...inUse.values()].map(({ simulator }) => simulator))
      const unused = [...all].filter(simulator => !used.has(simulator))
      for (const simulator of unused) all.delete(simulator)
      await Promise.all(unused.map(simulator => simulator.close()))
    },
    async close() {
      await Promise.all([...all].map(simulator => simulator.close()))
    },
  }
}

async function started(config: Config['simulators'][number]): Promise<Simulator> {
  try {
    // Only a demo, a test or a drill has any.
    const { startSimulator } = await import('../simulator/simulator.ts')
    return await startSimulator(config)
  } catch (thrown) {
    throw new Error(`simulators.${config.name}: ${(thrown as Error).message}`)
  }
}
