/** Lists that others wrote. */
import { asObject } from '../../core/json.ts'

/** The objects in a list; nothing else of it, and none of what is no list. */
export function objectsIn(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? (value as readonly unknown[]).map(asObject).filter(each => each !== undefined) : []
}
