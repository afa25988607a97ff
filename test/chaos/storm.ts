/** One row of a run: a gateway and its simulators, calls by many clients at once, and then the books. Everything over real sockets, in one process. */
import { setTimeout as pause } from 'node:timers/promises'
import { chance } from '../core/random.ts'
import { countingClock } from '../support/clock.ts'
import { type Running, running, until } from '../support/running.ts'
import { type Accounts, books } from './accounts.ts'
import { call, type Heard } from './call.ts'
import type { Row } from './rows.ts'
import { stage } from './stage.ts'

/** For what ends a moment after the last answer, on a machine that others use. */
const PATIENCE_MS = 10_000

const AGAIN_MS = 100

/** How often somebody looks after the keys. */
const OPERATOR_EVERY_MS = 200

export interface Storm {
  readonly calls: number
  readonly atOnce: number
  readonly seed: number
}

export interface Result extends Accounts {
  readonly calls: number
  /** Answered to the last letter, by one provider. */
  readonly whole: number
  /** Answered to the last letter, by more than one. */
  readonly recovered: number
  /** Answered to the end without a word or more whose event was not JSON: counted and logged, as is promised, but not whole. */
  readonly lacking: number
  /** Ended with an error event. */
  readonly broken: number
  /** Ended with an error status. */
  readonly refused: number
  /** Whose client left. */
  readonly left: number
  readonly truncated: number
  readonly repeated: number
  /** What the books, the gateway or the simulators have left over. */
  readonly unsettled: number
  /** Of the calls that were answered: from the call to the end of its answer, in order. */
  readonly answeredMs: readonly number[]
  /** What is wrong, in words. */
  readonly problems: readonly string[]
}

export async function storm(row: Row, { calls, atOnce, seed }: Storm): Promise<Result> {
  const clients = chance(seed)
  const clock = countingClock()
  const gateway = await running(stage(row), { clock, random: chance(seed + 1).next, lots: chance(seed + 2).next })
  try {
    const idleTimers = clock.waiting()
    // A client may leave before its request has reached us.
    let arrived = 0
    gateway.server.app.server.on('request', () => arrived++)
    const heard: Heard[] = []
    let begun = 0
    const lane = async () => {
      while (begun < calls) heard.push(await call(gateway, begun++, clients))
    }
    const operator = setInterval(() => restoreKeys(gateway), OPERATOR_EVERY_MS)
    await Promise.all(Array.from({ length: atOnce }, lane))
    clearInterval(operator)

    const leftOver: string[] = []
    const empty = (what: string, count: () => number | Promise<number>, most = 0) =>
      until(what, async () => (await count()) <= most, PATIENCE_MS).catch(async () => leftOver.push(`${what}: ${await count()}`))
    const { targets } = gateway.assembled
    const { keys, paces } = gateway.assembled.gateway
    await empty('calls open at simulators', () =>
      [...gateway.simulators.values()].reduce((sum, { counts }) => sum + counts.open, 0),
    )
    await empty('calls under way', () => gateway.server.active())
    await empty('llm_in_flight', () => gateway.metric('llm_in_flight'))
    for (const provider of gateway.simulators.keys()) {
      await empty(`keys held of ${provider}`, () => keys.status(provider).reduce((sum, { inFlight }) => sum + inFlight, 0))
    }
    await empty('calls in flight, for choosers', () => targets.reduce((sum, { id }) => sum + paces.inFlight(id), 0))
    await empty('timers', () => clock.waiting(), idleTimers)
    // What was sent a moment before may not have been read yet, when this process is busy.
    const untilMs = performance.now() + PATIENCE_MS
    let settled = await books(gateway, row, heard, arrived)
    while (settled.problems.length > 0 && performance.now() < untilMs) {
      await pause(AGAIN_MS)
      settled = await books(gateway, row, heard, arrived)
    }
    const { problems, lines, ...accounts } = settled

    const count = (fits: (heard: Heard) => boolean) => heard.filter(fits).length
    const endingOf = ({ id }: Heard) => lines.get(id)?.ending
    const isUntold = ({ id, missing }: Heard) => missing > (lines.get(id)?.malformed ?? 0)
    const isAnswered = (each: Heard) => each.seen === 'complete' && !isUntold(each)
    const wrong = heard.filter(each => each.what !== undefined || isUntold(each))
    return {
      calls: heard.length,
      whole: count(each => isAnswered(each) && each.missing === 0 && endingOf(each) !== 'recovered'),
      recovered: count(each => isAnswered(each) && each.missing === 0 && endingOf(each) === 'recovered'),
      lacking: count(each => isAnswered(each) && each.missing > 0),
      broken: count(({ seen }) => seen === 'error event'),
      refused: count(({ seen }) => seen === 'error status'),
      left: count(({ seen }) => seen === 'left'),
      truncated: count(each => each.seen === 'truncated' || each.seen === 'cut off' || isUntold(each)),
      repeated: count(({ seen }) => seen === 'repeated'),
      unsettled: problems.length + leftOver.length,
      answeredMs: heard
        .filter(isAnswered)
        .map(({ ms }) => ms)
        .sort((a, b) => a - b),
      ...accounts,
      problems: [
        ...wrong.map(({ id, seen, what, missing }) => `${id}: ${seen}: ${what ?? `${missing} words are missing, untold`}`),
        ...leftOver,
        ...problems,
      ],
    }
  } finally {
    await gateway.close()
  }
}

/** Keys that are refused retire until somebody restores them; soon there would be none, and nothing that could go wrong. */
function restoreKeys({ simulators, assembled }: Running): void {
  const { keys } = assembled.gateway
  for (const provider of simulators.keys()) {
    for (const { name, state } of keys.status(provider)) if (state === 'retired') keys.set(provider, name, 'ready')
  }
}

export const isClean = ({ truncated, repeated, unsettled }: Result): boolean => truncated + repeated + unsettled === 0
