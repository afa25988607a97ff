/*
 * Equal calls at the same time go upstream once. The first one flies; those that come while it is under way wait for it to land and take
 * what it brings. A flight that lands without an answer leaves its followers where they were: the first of them flies in its place.
 */
import type { Level } from '../core/attempt.ts'
import type { Answer } from './answers.ts'

/** How a flight ended. */
export type Landing =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly level: Level }
  /** Nobody could answer. */
  | { readonly kind: 'failed' }
  /** Its client left; this says nothing about who was asked. */
  | { readonly kind: 'left' }
  /** There is an answer, but too large to be handed on. */
  | { readonly kind: 'too-large' }

export interface Flight {
  /** The first landing counts. */
  land(landing: Landing): void
  /** Tells of the landing, once. Returns what takes the listener away. */
  heard(listener: (landing: Landing) => void): () => void
}

export interface Flights {
  /** The one that is under way. */
  of(key: string): Flight | undefined
  /** Begins one; it takes the place of one that is under way. */
  begin(key: string): Flight
}

export function flights(): Flights {
  const underWay = new Map<string, Flight>()
  return {
    of: key => underWay.get(key),
    begin(key) {
      const listeners = new Set<(landing: Landing) => void>()
      let hasLanded = false
      const flight: Flight = {
        land(landing) {
          if (hasLanded) return
          hasLanded = true
          if (underWay.get(key) === flight) underWay.delete(key)
          for (const listener of listeners) listener(landing)
          listeners.clear()
        },
        heard(listener) {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
      }
      underWay.set(key, flight)
      return flight
    },
  }
}
