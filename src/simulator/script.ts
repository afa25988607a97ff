/*
 * Which rule a call meets. The first rule whose conditions all hold is carried out. Time and calls are counted from the start of the
 * script; `every` and `calls` look at the number of the call, from 1.
 *
 * A refusal has to be decided before there is a call, when the connection opens. What is random about it is drawn once: the lots of a
 * connection are kept for the first call on it, so that `share` means the same share whether a rule refuses or answers.
 */
import type { ScriptRule } from '../config/simulation.ts'

export interface RuleMatch {
  readonly index: number
  readonly rule: ScriptRule
}

/** What is known of a call when its rule is chosen. `undefined` in place of one: there is no call yet, only a connection. */
export interface CallTraits {
  readonly model: string | undefined
  readonly stream: boolean
}

/** One random number per rule, drawn when it is first asked for. */
export type Lots = (index: number) => number

export interface Script {
  /** Milliseconds since the script started. */
  elapsedMs(): number
  draw(): Lots
  /** Counts a call, and finds its rule. */
  call(traits: CallTraits, lots: Lots): RuleMatch | undefined
  /** The rule of a request that is no call, such as the list of models: it has no number and no model. */
  inquiry(lots: Lots): RuleMatch | undefined
  /** The rule that refuses a connection that has just been opened; it then counts as a call. */
  connection(lots: Lots): RuleMatch | undefined
  /** When nothing listens at all, in milliseconds since the start. */
  readonly downtimes: readonly { readonly fromMs: number; readonly toMs: number }[]
}

export function startScript(rules: readonly ScriptRule[], random: () => number): Script {
  const startedMs = performance.now()
  const elapsedMs = () => performance.now() - startedMs
  let count = 0

  function holds(
    rule: ScriptRule,
    index: number,
    number: number | undefined,
    traits: CallTraits | undefined,
    lots: Lots,
  ): boolean {
    const now = elapsedMs()
    const from = rule.from ?? 0
    if (now < from || (rule.for !== undefined && now >= from + rule.for)) return false
    if (rule.calls !== undefined && (number === undefined || number < rule.calls[0] || number > rule.calls[1])) return false
    if (rule.every !== undefined && (number === undefined || number % rule.every !== 0)) return false
    if (rule.model !== undefined && rule.model !== traits?.model) return false
    if (rule.stream !== undefined && rule.stream !== traits?.stream) return false
    return rule.share === undefined || lots(index) < rule.share
  }

  function first(number: number | undefined, traits: CallTraits | undefined, lots: Lots): RuleMatch | undefined {
    for (const [index, rule] of rules.entries()) {
      if (isDowntime(rule)) continue
      if (holds(rule, index, number, traits, lots)) return { index, rule }
    }
    return undefined
  }

  return {
    elapsedMs,
    draw() {
      const drawn = new Map<number, number>()
      return index => {
        const lot = drawn.get(index) ?? random()
        drawn.set(index, lot)
        return lot
      }
    },
    call: (traits, lots) => first(++count, traits, lots),
    inquiry: lots => first(undefined, { model: undefined, stream: false }, lots),
    connection(lots) {
      if (!rules.some(rule => refuses(rule) && !isDowntime(rule))) return undefined
      // A rule that asks for a model or for streams cannot be decided yet, and nothing behind it may be: the call itself will tell.
      const undecided = rules.findIndex(rule => rule.model !== undefined || rule.stream !== undefined)
      const match = first(count + 1, undefined, lots)
      if (match === undefined || !refuses(match.rule) || (undecided !== -1 && undecided < match.index)) return undefined
      count++
      return match
    },
    downtimes: rules.filter(isDowntime).map(rule => {
      const fromMs = rule.from ?? 0
      return { fromMs, toMs: rule.for === undefined ? Number.POSITIVE_INFINITY : fromMs + rule.for }
    }),
  }
}

/** Whether a rule ends connections as if nothing listened. */
export function refuses(rule: ScriptRule): boolean {
  return rule.refuse === true || rule.down === true
}

/** A `down` between two times. One that depends on calls cannot close the door, because a call has to come in first: it refuses instead. */
function isDowntime(rule: ScriptRule): boolean {
  const { share, every, calls, model, stream } = rule
  return rule.down === true && [share, every, calls, model, stream].every(condition => condition === undefined)
}
