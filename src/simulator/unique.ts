import { randomUUID } from 'node:crypto'

/** An id with this many hexadecimal digits (at most 32) after its prefix, as long as the real API's own. Unique across simulators. */
export function uniqueId(prefix: string, digits: number): string {
  return `${prefix}${randomUUID().replaceAll('-', '').slice(0, digits)}`
}
