/* Recorded bytes, damaged in the ways that networks, proxies and next year's versions damage them. */
import type { Chance } from '../core/random.ts'

const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  Number.MAX_VALUE,
  '',
  'x',
  '\ud800',
  [],
  {},
  [null],
  [[]],
  { type: 7 },
  { error: {} },
  'ERROR',
]

/** The text with one to four things wrong with it. */
export function mutated(text: string, chance: Chance): string {
  let damaged = text
  for (let times = 1 + chance.below(4); times > 0; times--) {
    damaged = chance.pick([oddValue, oddValue, bytesGone, lineTwice, linesSwapped, letterChanged])(damaged, chance)
  }
  return damaged
}

/** One value of one line's JSON is something else, or gone. */
function oddValue(text: string, chance: Chance): string {
  const lines = text.split('\n')
  const at = chance.below(lines.length)
  const line = lines[at]!
  const start = line.indexOf('{')
  if (start === -1) return text
  try {
    const parsed: unknown = JSON.parse(line.slice(start))
    damage(parsed as Record<string, unknown>, chance)
    lines[at] = line.slice(0, start) + JSON.stringify(parsed)
  } catch {
    return text
  }
  return lines.join('\n')
}

function damage(value: Record<string, unknown>, chance: Chance): void {
  const keys = Object.keys(value)
  if (keys.length === 0) return
  const key = chance.pick(keys)
  const inner = value[key]
  if (typeof inner === 'object' && inner !== null && chance.next() < 0.8) damage(inner as Record<string, unknown>, chance)
  else if (chance.next() < 0.2) delete value[key]
  else value[key] = chance.pick(ODD)
}

function bytesGone(text: string, chance: Chance): string {
  const at = chance.below(text.length)
  return text.slice(0, at) + text.slice(at + chance.below(40))
}

function lineTwice(text: string, chance: Chance): string {
  const lines = text.split('\n')
  const at = chance.below(lines.length)
  return [...lines.slice(0, at), lines[at]!, lines[at]!, ...lines.slice(at + 1)].join('\n')
}

function linesSwapped(text: string, chance: Chance): string {
  const lines = text.split('\n')
  const [one, other] = [chance.below(lines.length), chance.below(lines.length)]
  const kept = lines[one]!
  lines[one] = lines[other]!
  lines[other] = kept
  return lines.join('\n')
}

function letterChanged(text: string, chance: Chance): string {
  const at = chance.below(text.length)
  return text.slice(0, at) + chance.pick(['"', '{', '}', '[', '\n', '\r', '\\', ':', '0', 'é']) + text.slice(at + 1)
}
