/*
 * The end of a journey from outside: the client has left, or the gateway must stop. It does what an AbortSignal does, with a Fault for a
 * reason, and costs a fraction of it: one is made for every call, and hardly any ever comes to pass.
 */
import type { Fault } from './fault.ts'

export interface Stop {
  /** Why it came, once it has come. */
  readonly fault: Fault | undefined
  /** Calls `listener` when it comes, once. */
  hear(listener: StopListener): void
  /** This listener is not called any more. */
  unhear(listener: StopListener): void
}

export type StopListener = (fault: Fault) => void

export interface Stopper extends Stop {
  /** The first fault counts. */
  stop(fault: Fault): void
}

export function stopper(): Stopper {
  return new Stopping()
}

class Stopping implements Stopper {
  fault: Fault | undefined = undefined
  private listeners: StopListener[] = []

  hear(listener: StopListener): void {
    this.listeners.push(listener)
  }

  unhear(listener: StopListener): void {
    const at = this.listeners.indexOf(listener)
    if (at !== -1) this.listeners.splice(at, 1)
  }

  stop(fault: Fault): void {
    if (this.fault !== undefined) return
    this.fault = fault
    const told = this.listeners
    this.listeners = []
    for (const listener of told) listener(fault)
  }
}
