/*
 * The end of a journey from outside: the client has left, or the gateway must stop. It does what an AbortSignal does, with a Fault for a
 * reason, and costs a fraction of it: one is made for every call, and hardly any ever comes to pass.
 */
import type { Fault } from './fault.ts'

export interface Stop {
  /** Why it came, once it has come. */
  readonly fault: Fault | undefined
  /** Calls `listener` when it comes, once. Returns what takes the listener away. */
  heard(listener: (fault: Fault) => void): () => void
}

export interface Stopper extends Stop {
  /** The first fault counts. */
  stop(fault: Fault): void
}

export function stopper(): Stopper {
  let listeners: ((fault: Fault) => void)[] = []
  const own = {
    fault: undefined as Fault | undefined,
    heard(listener: (fault: Fault) => void) {
      listeners.push(listener)
      return () => {
        const at = listeners.indexOf(listener)
        if (at !== -1) listeners.splice(at, 1)
      }
    },
    stop(fault: Fault) {
      if (own.fault !== undefined) return
      own.fault = fault
      const told = listeners
      listeners = []
      for (const listener of told) listener(fault)
    },
  }
  return own
}
