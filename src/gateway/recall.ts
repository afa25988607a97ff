/*
 * The cache on the path of a call: a kept answer is given again; an equal call under way is waited for; otherwise the call goes its way,
 * and what it brings is written down as it passes. A follower is never worse off for having waited: it gives a flight half of the time that
 * it has, goes on by itself when two have failed, and what ends the leader's call does not end its own.
 */

import { isGood, type Answer as Kept } from '../cache/answers.ts'
import type { Flight, Landing } from '../cache/flights.ts'
import { answerKey } from '../cache/key.ts'
import { recording } from '../cache/recording.ts'
import type { Answer, Level, StandIn } from '../core/attempt.ts'
import type { ChatEvent, Piece, Pieces } from '../core/chat.ts'
import type { Fault } from '../core/fault.ts'
import { following } from './answer.ts'
import type { Gateway, Journey } from './gateway.ts'
import type { RouteCache } from './routes.ts'
import { exhausted } from './steps.ts'

/** With less time than this to wait for others, a call does not wait. */
const LEAST_WAIT_MS = 50
/** So many flights may fail before their followers, one after the other having taken the lead, all go for themselves. */
const MOST_FAILED = 2

/** @param answer takes the call to its targets; rejects with the Fault that the client is to be told */
export async function recalled(
  gateway: Gateway,
  journey: Journey,
  cache: RouteCache,
  answer: () => Promise<Answer>,
): Promise<Answer> {
  const wants = directives(journey.cacheControl)
  journey.cached = 'off'
  // At a level that was set by hand, what was answered at another is not what the operator wants to be said.
  if (wants === 'no-store' || (journey.level !== 'normal' && journey.level !== 'cached')) return answer()
  const key = keyOf(journey, cache)
  if (key === undefined) return answer()
  journey.cached = 'miss'
  if (wants === 'no-cache') return recorded(gateway, journey, cache, key, undefined, await answer())

  const boarded = await board(gateway, journey, key)
  if (boarded?.kind === 'answered') return givenAgain(journey, boarded.answer, 'hit', boarded.level)
  const flight = boarded?.kind === 'leads' ? boarded.flight : undefined
  // Nobody reads on for a client that has left: its flight must not wait for the end of the answer.
  if (flight !== undefined) journey.stop.hear(() => flight.land({ kind: 'left' }))
  try {
    const found = await gateway.answers.find(key, cache)
    if (found?.isFresh) {
      flight?.land({ kind: 'answered', answer: found.answer, level: journey.level })
      return givenAgain(journey, found.answer, 'hit', journey.level)
    }
    return recorded(gateway, journey, cache, key, flight, await answer())
  } catch (thrown) {
    flight?.land({ kind: journey.stop.fault === undefined ? 'failed' : 'left' })
    throw thrown
  }
}

type Boarded = Landing | { readonly kind: 'leads'; readonly flight: Flight }

/** Waits while others fly for this call. @returns an answer, a flight to lead, or undefined: go alone. Rejects when the client leaves. */
async function board(gateway: Gateway, journey: Journey, key: string): Promise<Boarded | undefined> {
  const { clock, flights } = gateway
  let failed = 0
  while (failed < MOST_FAILED) {
    const flight = flights.of(key)
    if (flight === undefined) return { kind: 'leads', flight: flights.begin(key) }
    const waitMs = (journey.deadlineTicks - clock.ticks()) / 2
    if (waitMs < LEAST_WAIT_MS) return undefined
    const landing = await landed(gateway, journey, flight, waitMs)
    if (landing === 'late') {
      // Whoever loses patience first leads in its place.
      if (flights.of(key) === flight) return { kind: 'leads', flight: flights.begin(key) }
    } else if (landing.kind === 'answered') return landing
    else if (landing.kind === 'too-large') return undefined
    else if (landing.kind === 'failed') failed++
  }
  return undefined
}

/** How the flight ended, or that it takes too long. Rejects when the client leaves. */
async function landed({ clock }: Gateway, journey: Journey, flight: Flight, waitMs: number): Promise<Landing | 'late'> {
  const since = clock.ticks()
  try {
    return await new Promise((resolve, reject) => {
      if (journey.stop.fault !== undefined) return reject(journey.stop.fault)
      const over = () => {
        unheard()
        journey.stop.unhear(stopped)
        cancel()
      }
      const unheard = flight.heard(landing => {
        over()
        resolve(landing)
      })
      const stopped = (fault: Fault) => {
        over()
        reject(fault)
      }
      journey.stop.hear(stopped)
      const cancel = clock.after(waitMs, () => {
        over()
        resolve('late')
      })
    })
  } finally {
    journey.upstreamMs += clock.ticks() - since
  }
}

/** Passes the pieces on and keeps what they say: for the followers of the flight, and, where it came to a good end, for later. */
function recorded(
  gateway: Gateway,
  journey: Journey,
  cache: RouteCache,
  key: string,
  flight: Flight | undefined,
  answer: Answer,
): Answer {
  // What stood in for an answer is none.
  if (journey.shownTarget !== undefined) {
    flight?.land({ kind: 'failed' })
    return answer
  }
  const { answers } = gateway
  const { stream, dialect } = journey.call!
  const record = recording(answers.maxEntryBytes)
  let fits = true
  let whole: Kept['whole']

  function take({ events, wire }: Piece): void {
    fits = record.add(events)
    if (!fits) flight?.land({ kind: 'too-large' })
    else if (wire !== undefined && !stream) whole = { dialect, text: Buffer.from(wire).toString('utf8') }
  }

  function complete(): void {
    if (!fits) return
    const { leftOut, level } = journey
    const { id: target, model } = journey.answeredBy!
    // Not every provider says who answered; while it was relayed, its bytes spoke for themselves.
    const start: readonly ChatEvent[] = record.events[0]?.type === 'start' ? [] : [{ type: 'start', id: '', model }]
    const kept: Kept = { events: [...start, ...record.events], target, leftOut, ...(whole && { whole }) }
    flight?.land({ kind: 'answered', answer: kept, level })
    if (level === 'normal' && journey.malformed === 0 && isGood(kept.events)) answers.keep(key, kept, cache)
  }

  const pieces: Pieces = {
    next: taker =>
      answer.pieces.next({
        take(piece) {
          try {
            if (piece === undefined) complete()
            else if (fits) take(piece)
          } catch (thrown) {
            return this.fail(thrown)
          }
          taker.take(piece)
        },
        fail(thrown) {
          flight?.land({ kind: 'failed' })
          taker.fail(thrown)
        },
      }),
  }
  return { ...answer, pieces }
}

/** For a step that asks no target: its answer, or nothing where it has none to give. */
export async function standIn(gateway: Gateway, journey: Journey, step: StandIn): Promise<Answer | undefined> {
  if (journey.stop.fault !== undefined) throw journey.stop.fault
  // Where the fault lies in the call, its client is told so: no waiting makes it better.
  if (exhausted(gateway, journey).kind !== 'exhausted') return undefined
  if (step.level === 'offline') return offline(journey, step.message)
  const cache = journey.route!.cache
  const key = cache === undefined || directives(journey.cacheControl) !== undefined ? undefined : keyOf(journey, cache)
  const found = key === undefined ? undefined : await gateway.answers.find(key, cache!)
  return found && givenAgain(journey, found.answer, found.isFresh ? 'hit' : 'stale', 'cached')
}

function givenAgain(journey: Journey, { target, events, whole, leftOut }: Kept, as: 'hit' | 'stale', level: Level): Answer {
  journey.cached = as
  journey.shownTarget = target
  const { stream, dialect } = journey.call!
  const piece = !stream && whole?.dialect === dialect ? { events, wire: Buffer.from(whole.text) } : { events }
  return askedOfNobody(piece, level, leftOut)
}

/** More choices than anybody offers. */
const MOST_CHOICES = 128

/** An honest answer, in the form that the client can read: nobody is asked, and nobody else is said to have answered. */
function offline(journey: Journey, message: string): Answer {
  const model = 'understudy/offline'
  journey.shownTarget = model
  const events: ChatEvent[] = [{ type: 'start', id: '', model }]
  for (let choice = 0; choice < Math.min(journey.call!.body.n ?? 1, MOST_CHOICES); choice++) {
    events.push({ type: 'text-delta', choice, text: message }, { type: 'finish', choice, reason: 'stop', raw: 'stop' })
  }
  events.push({ type: 'usage', usage: { input: 0, output: 0 } })
  return askedOfNobody({ events }, 'offline', [])
}

function askedOfNobody(piece: Piece, level: Level, leftOut: readonly string[]): Answer {
  return { target: undefined, pieces: following([piece], undefined), level, leftOut, drop() {} }
}

function keyOf({ call, client, route }: Journey, { version, isShared }: RouteCache): string | undefined {
  // Tools of other kinds are called in forms that events do not carry.
  if (call!.body.tools?.some(({ type }) => type !== 'function')) return undefined
  const { name, require } = client!
  return answerKey(call!, { client: isShared ? undefined : name, route: route!.name, version, require })
}

/** What the client says of the cache; the stricter word counts. */
function directives(cacheControl: string | undefined): 'no-store' | 'no-cache' | undefined {
  if (cacheControl === undefined) return undefined
  const words = cacheControl
    .toLowerCase()
    .split(',')
    .map(word => word.trim())
  if (words.includes('no-store')) return 'no-store'
  return words.includes('no-cache') ? 'no-cache' : undefined
}
