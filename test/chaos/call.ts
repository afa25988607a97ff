/*
 * One call of a run, and what its client saw. What was said is compared with what providers say: an answer is one of theirs from the first
 * letter to the last; one that broke off is the beginning of one, and says that it broke off.
 */
import { hugeToken, type Voice } from '../../src/simulator/answer.ts'
import { synthesise } from '../../src/simulator/synthesis.ts'
import type { Chance } from '../core/random.ts'
import { type ReadStream, type Running, readStream } from '../support/running.ts'
import { HUGE } from './rows.ts'
import { ANSWER, OTHER_ANSWER, PROVIDERS, ROUTES } from './stage.ts'

const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' } },
  required: ['city', 'days'],
}
const WEATHER = { type: 'function', function: { name: 'get_weather', parameters: PARAMETERS } }
const WEATHER_CALL = `get_weather${JSON.stringify(synthesise(PARAMETERS))}`

/** How often each kind of call comes. */
const KINDS: readonly (readonly [weight: number, more: object])[] = [
  [50, { stream: true }],
  [20, {}],
  [10, { stream: true, tools: [WEATHER] }],
  [4, { tools: [WEATHER] }],
  [6, { stream: true, n: 2 }],
  [3, { n: 2 }],
  [7, { stream: true, logprobs: true, top_logprobs: 2 }],
]
const BY_WEIGHT = KINDS.flatMap(([weight, more]) => Array<object>(weight).fill(more))

/** The share of clients that leave, at some moment of the first so many milliseconds. */
const LEAVES = { share: 0.07, withinMs: 350 }

/** How it ended for the client. The last three must never be. */
export type Seen = 'complete' | 'error event' | 'error status' | 'left' | 'truncated' | 'repeated' | 'cut off'

export interface Heard {
  readonly id: string
  readonly seen: Seen
  readonly ms: number
  /** Words that are missing from an answer that is otherwise whole. */
  readonly missing: number
  /** Of those that must never be: what was seen. */
  readonly what?: string
}

/** What a client says to be found again by, at the gateway and at the simulators. */
export const idIn = (text: string): string | undefined => /chaos-\d+/.exec(text)?.[0]

export async function call(gateway: Running, number: number, chance: Chance): Promise<Heard> {
  const id = `chaos-${number}`
  const more = chance.pick(BY_WEIGHT) as { readonly stream?: boolean; readonly n?: number }
  const body = {
    model: chance.pick(ROUTES),
    messages: [{ role: 'user', content: `This is ${id}.` }],
    max_tokens: 10_000,
    ...more,
  }
  const leaving = new AbortController()
  const timer = chance.next() < LEAVES.share && setTimeout(() => leaving.abort(), chance.next() * LEAVES.withinMs)
  const started = performance.now()
  const heard = (seen: Seen, missing = 0, what?: string): Heard => {
    if (timer !== false) clearTimeout(timer)
    return { id, seen, ms: performance.now() - started, missing, ...(what !== undefined && { what }) }
  }
  try {
    const response = await gateway.call(body, { signal: leaving.signal, headers: { 'x-request-id': id } })
    if (response.status !== 200) {
      const { error } = (await response.json()) as { error?: { message?: unknown } }
      return typeof error?.message === 'string' ? heard('error status') : heard('cut off', 0, `status ${response.status} alone`)
    }
    const mayContinue = body.model.startsWith('prefill-')
    return heard(
      ...(more.stream
        ? judgedStream(await readStream(response), more.n ?? 1, mayContinue)
        : judgedWhole(await response.json(), mayContinue)),
    )
  } catch (error) {
    if (leaving.signal.aborted) return heard('left')
    return heard('cut off', 0, String(error))
  }
}

type Judged = readonly [seen: Seen, missing?: number, what?: string]

const ANSWERS: readonly string[] = [ANSWER, OTHER_ANSWER, WEATHER_CALL]
const HUGE_TOKENS = PROVIDERS.map(name => hugeToken({ name } as Voice))

function judgedWhole(body: any, mayContinue: boolean): Judged {
  const spoken = body.choices.map(
    ({ message }: any) => (message.content ?? '') + (message.tool_calls ?? []).map(toolCall).join(''),
  )
  return judged(spoken, spoken.length, true, mayContinue)
}

const toolCall = ({ function: called }: any) => (called?.name ?? '') + (called?.arguments ?? '')

function judgedStream({ chunks, done, error }: ReadStream, choices: number, mayContinue: boolean): Judged {
  const spoken = Array<string>(choices).fill('')
  const roles = Array<number>(choices).fill(0)
  const finishes = Array<number>(choices).fill(0)
  for (const { delta, index, finish_reason: finish } of chunks.flatMap(chunk => chunk.choices ?? [])) {
    spoken[index] += (delta?.content ?? '') + (delta?.tool_calls ?? []).map(toolCall).join('')
    if (delta?.role !== undefined) roles[index]!++
    if (finish !== null && finish !== undefined) finishes[index]!++
  }
  if (roles.some(count => count > 1) || finishes.some(count => count > 1)) {
    return ['repeated', 0, `${roles} roles, ${finishes} finishes`]
  }
  if (new Set(chunks.map(({ id }) => id)).size > 1) return ['repeated', 0, 'two ids in one stream']
  if (!done && error === undefined) return ['truncated', 0, `no end: ${spoken}`]
  if (done && finishes.includes(0)) return ['truncated', 0, `no finish: ${spoken}`]
  return judged(spoken, choices, done, mayContinue)
}

/** @param mayContinue whether one may have been handed the beginning of what another said */
function judged(spoken: readonly string[], choices: number, complete: boolean, mayContinue: boolean): Judged {
  let missing = 0
  for (const text of spoken) {
    const lack = lackOf(text, choices) ?? (mayContinue ? lackOfContinued(text, choices) : undefined)
    if (lack === undefined) return ['repeated', 0, shown(text)]
    if (!complete) continue
    if (lack === 'the rest') return ['truncated', 0, shown(text)]
    missing += lack
  }
  return [complete ? 'complete' : 'error event', missing]
}

/** Both ends of it, where it is long. */
const shown = (text: string) =>
  text.length <= 300 ? text : `${text.slice(0, 150)} … ${text.slice(-150)} (${text.length} characters)`

/** How many words `text` lacks of the answer that it is, or that it is the beginning of one; undefined: it is nobody's answer. */
function lackOf(text: string, choices: number): number | 'the rest' | undefined {
  if (ANSWERS.includes(text)) return 0
  const huge = HUGE_TOKENS.find(token => text.startsWith(token))
  if (huge !== undefined) {
    const count = Math.ceil(HUGE / choices / huge.length)
    if (text === huge.repeat(count)) return 0
    return huge.repeat(count).startsWith(text) ? 'the rest' : undefined
  }
  if (ANSWERS.some(answer => answer.startsWith(text)) || HUGE_TOKENS.some(token => token.startsWith(text))) return 'the rest'
  const lacks = ANSWERS.map(answer => lackedTokens(answer, text)).filter(lack => lack !== undefined)
  return lacks.length === 0 ? undefined : Math.min(...lacks)
}

/** Two huge answers begin with fewer equal letters than that. */
const ALIKE = 32

/**
 * The same for a huge answer that was handed another's beginning: it goes on with its own words all the same, as others do where the beginning
 * is that of a huge one. Nobody who is not huge does that, or an answer said twice would pass.
 */
function lackOfContinued(text: string, choices: number): number | 'the rest' | undefined {
  const huge = HUGE_TOKENS.map(token => token.repeat(Math.ceil(HUGE / token.length)))
  for (const begun of [...ANSWERS, ...huge]) {
    const longest = alike(begun, text)
    for (let at = longest; at > Math.max(0, longest - ALIKE); at--) {
      const rest = text.slice(at)
      if (huge.includes(begun) === HUGE_TOKENS.some(token => rest.startsWith(token.slice(0, ALIKE)))) continue
      const lack = lackOf(rest, choices)
      if (lack !== undefined) return lack
    }
  }
  return undefined
}

/** How many letters at their beginnings are the same. */
function alike(one: string, other: string): number {
  let at = 0
  while (at < one.length && one[at] === other[at]) at++
  return at
}

/** Where `text` is the answer with some of its words (or fragments of a tool's arguments) left out: how many; at its end none may be. */
function lackedTokens(answer: string, text: string): number | undefined {
  const tokens = answer === WEATHER_CALL ? answer.match(/get_weather|.{1,8}/gs)! : answer.match(/\S+\s*/g)!
  let rest = text
  let lacked = 0
  for (const token of tokens) {
    if (rest.startsWith(token)) rest = rest.slice(token.length)
    else lacked++
  }
  return rest === '' ? lacked : undefined
}
