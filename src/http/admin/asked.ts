/** What operators ask for, taken from paths and bodies; and how they are told that it makes no sense. */
import { parseDuration } from '../../config/units.ts'
import { Fault } from '../../core/fault.ts'

export const bad = (message: string, param: string) => new Fault('bad-request', { message, param, code: 'invalid_value' })
export const notFound = (message: string) => new Fault('unknown-route', { message, code: 'not_found' })

const LONGEST_MS = 365 * 24 * 3_600_000

/** Milliseconds; undefined when there is none. */
export function durationIn(value: unknown): number | undefined {
  const ms = value === undefined ? undefined : parseDuration(String(value))
  if (value !== undefined && ms === undefined) throw bad('"for" must be a duration such as "10m".', 'for')
  if (ms !== undefined && ms > LONGEST_MS) throw bad('"for" must not be longer than 365d; leave it out for no end.', 'for')
  return ms
}

/** What a star in a route of the listener stands for. */
export const starOf = (params: unknown) => (params as { '*': string })['*']

/** An object with a moment as text, where there is one. */
export const momentAs = <Name extends string>(name: Name, atMs: number | undefined) =>
  (atMs === undefined ? {} : { [name]: new Date(atMs).toISOString() }) as Partial<Record<Name, string>>
