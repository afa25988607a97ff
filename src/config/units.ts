/** Durations, sizes and shares as people write them, as zod types: "250ms", "2s", "5m", "24h"; "64KB", "32MB"; "5%". */
import { z } from 'zod'

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1_024, MB: 1_024 ** 2, GB: 1_024 ** 3 }

/** The milliseconds of a duration, or undefined when the text is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim())
  return match === null ? undefined : Number(match[1]) * DURATION_UNITS_MS[match[2]!]!
}

/** A duration; milliseconds after parsing. */
export const duration = z
  .string({ error: 'expected a duration such as "250ms", "2s", "5m" or "24h"' })
  .transform((text, context) => {
    const ms = parseDuration(text)
    if (ms !== undefined) return ms
    context.addIssue(`"${text}" is not a duration; write one such as "250ms", "2s", "5m" or "24h"`)
    return z.NEVER
  })
  .meta({ pattern: '^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)$' })

/** A size; bytes after parsing. */
export const size = z
  .string({ error: 'expected a size such as "64KB" or "32MB"' })
  .transform((text, context) => {
    const match = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)$/i.exec(text.trim())
    if (match !== null) return Math.floor(Number(match[1]) * SIZE_UNITS[match[2]!.toUpperCase()]!)
    context.addIssue(`"${text}" is not a size; write one such as "64KB" or "32MB"`)
    return z.NEVER
  })
  .meta({ pattern: '^\\d+(\\.\\d+)?\\s*([Bb]|[KkMmGg][Bb])$' })

/** A share: "20%" or a number from 0 to 1; a number from 0 to 1 after parsing. */
export const share = z
  .union([z.string(), z.number()], { error: 'expected a share such as "20%" or 0.2' })
  .transform((value, context) => {
    const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim()) : null
    const number = typeof value === 'number' ? value : match === null ? Number.NaN : Number(match[1]) / 100
    if (number >= 0 && number <= 1) return number
    context.addIssue(`"${value}" is not a share; write one such as "20%" or 0.2`)
    return z.NEVER
  })
