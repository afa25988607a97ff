/* A rate in memory: what was used in the current window and in the one before it, which fades as the current one passes. */
import type { Want } from '../core/store.ts'

export type RateWant = Want & { readonly kind: 'rate' }

/** Two neighbouring windows of a rate: what was used in the current one and in the one before it. */
export interface Windows {
  index: number
  current: number
  previous: number
  expiresAt: number
}

export const newWindows = (): Windows => ({ index: 0, current: 0, previous: 0, expiresAt: 0 })

/** Brings them to the present; `now` as the clock has it. */
export function moveOn(windows: Windows, { windowMs }: RateWant, now: number): void {
  const index = Math.floor(now / windowMs)
  if (windows.index !== index) {
    windows.previous = windows.index === index - 1 ? windows.current : 0
    windows.current = 0
    windows.index = index
  }
  windows.expiresAt = (index + 2) * windowMs
}

const passedMs = (windows: Windows, windowMs: number, now: number) => now - windows.index * windowMs

export function usedOf(windows: Windows, { windowMs }: RateWant, now: number): number {
  return windows.current + windows.previous * (1 - passedMs(windows, windowMs, now) / windowMs)
}

/** What was counted in an older window is corrected there, as long as it still counts. */
export function correct(windows: Windows, counted: number, difference: number): void {
  if (counted === windows.index) windows.current = Math.max(0, windows.current + difference)
  else if (counted === windows.index - 1) windows.previous = Math.max(0, windows.previous + difference)
}

/** How long until `amount` fits: the previous window fades linearly, then the current one becomes the previous. */
export function rateRetryAfter({ limit, amount, windowMs }: RateWant, windows: Windows, now: number): number {
  const passed = passedMs(windows, windowMs, now)
  const free = limit - amount
  if (free < 0) return windowMs
  if (windows.current <= free && windows.previous > 0) {
    return Math.max(0, windowMs * (1 - (free - windows.current) / windows.previous) - passed)
  }
  if (windows.current <= free) return 0
  return windowMs - passed + Math.max(0, windowMs * (1 - free / windows.current))
}
