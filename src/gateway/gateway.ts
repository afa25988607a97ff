/** Everything that a journey needs, in one list. `assemble.ts` makes it from the configuration; tests pass their own. */

import type { Answers } from '../cache/answers.ts'
import type { Flights } from '../cache/flights.ts'
import type { AttemptRecord, Ending, Level, Plan, Target } from '../core/attempt.ts'
import type { ChatCall, Usage } from '../core/chat.ts'
import type { Clock } from '../core/clock.ts'
import type { Fault } from '../core/fault.ts'
import type { Stop } from '../core/stop.ts'
import type { Permit } from '../limits/admit.ts'
import type { Spend } from '../limits/spend.ts'
import type { Circuits } from '../resilience/circuit.ts'
import type { Keys } from '../resilience/keys.ts'
import type { Levels } from '../resilience/levels.ts'
import type { Paces } from '../resilience/pace.ts'
import type { CallTrace, Traces } from '../telemetry/traces.ts'
import type { Pools } from '../upstream/pools.ts'
import type { Client, Clients } from './clients.ts'
import type { Ledger } from './ledger.ts'
import type { Prices } from './prices.ts'
import type { Probing } from './probing.ts'
import type { Route, Routes } from './routes.ts'
import type { Bodies, Transcript } from './transcript.ts'

export type HeadersShown = 'none' | 'summary' | 'full'

export interface Gateway {
  readonly clock: Clock
  readonly random: () => number
  readonly clients: Clients
  readonly routes: Routes
  readonly keys: Keys
  readonly circuits: Circuits
  readonly paces: Paces
  readonly levels: Levels
  readonly answers: Answers
  readonly flights: Flights
  readonly pools: Pools
  readonly ledger: Ledger
  readonly prices: Prices
  readonly probing: Pick<Probing, 'behind' | 'whyUnwell'>
  /** Of providers; some have a cap. */
  readonly spend: Spend
  readonly headersShown: HeadersShown
  /** Undefined: nobody wants any. */
  readonly traces: Traces | undefined
  /** Of which calls prompt and answer are logged. */
  readonly bodies: Bodies
  /** The text without any secret of ours: for all that comes from upstreams and is shown to somebody. */
  readonly redact: (text: string) => string
}

/** One call's life, from its first byte to its settlement: the only thing in the gateway that changes as a call goes on. */
export interface Journey {
  /** x-request-id. */
  readonly id: string
  readonly startedAtMs: number
  readonly startedTicks: number
  /** Comes when the client leaves or the gateway must stop. */
  readonly stop: Stop
  /** Undefined: it is not written down, and there is none to hand on. */
  readonly trace: CallTrace | undefined
  /** What was asked and said, where the log is to have it. */
  transcript: Transcript | undefined
  client: Client | undefined
  call: ChatCall | undefined
  route: Route | undefined
  /** What the client says of caches, in the header of that name. */
  cacheControl: string | undefined
  /** How far the route has come down for this call: as it was set by hand, or as its answer was found. */
  level: Level
  /** What became of it at the cache; undefined: its route has none. */
  cached: 'hit' | 'miss' | 'stale' | 'off' | undefined
  deadlineTicks: number
  /** Estimated tokens of the call, to reserve of limits. */
  tokens: number
  plan: Plan
  /** How far the plan has been walked. */
  at: number
  /** What its client's limits let pass, and what the client is told of them; undefined where there are none. */
  permit: Permit | undefined
  limitHeaders: Readonly<Record<string, string>> | undefined
  readonly attempts: AttemptRecord[]
  /** The attempt that failed last, for deciding on the next step. */
  last: { readonly target: Target; readonly fault: Fault } | undefined
  readonly tried: Target[]
  /** The smallest moment at which something that was passed over, or told us to wait, comes back; milliseconds since 1970. */
  retryAtMs: number | undefined
  /** After a context-too-long: the context that was too small. */
  contextOver: number | undefined
  /** Whether the step under way was paid for from the route's extra attempts. */
  tookExtra: boolean
  /** Whether a step has been taken beside another, or was wanted: once per call. */
  hedged: boolean
  /** Whether the target of a broken answer has been asked for it again: once per call. */
  askedAgain: boolean
  /** The target whose answer the client was given first. */
  answeredBy: Target | undefined
  /** Shown in its place where no target was asked and nothing is to be paid: whose kept answer it is, or that we are offline. */
  shownTarget: string | undefined
  firstTokenMs: number | undefined
  /** Of the answer as the client got it; what was paid for stands with the attempts. */
  usage: Usage | undefined
  leftOut: readonly string[]
  malformed: number
  /** Milliseconds spent waiting for upstreams, pauses before a retry included: what is left of the whole is ours. */
  upstreamMs: number
  /** How many attempts wait for their upstreams now, and since when there has been one. */
  waits: number
  waitsSince: number
  ending: Ending | undefined
}
