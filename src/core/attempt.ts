/*
 * How a call becomes tries. A plan is a flat list of steps made before the first try: retry, weight, fallback and degradation only
 * decide the order of that list.
 */
import type { ChatCall, Pieces, Usage } from './chat.ts'
import type { Fault, FaultName } from './fault.ts'
import type { Provider } from './provider.ts'

/** US$ per million tokens. What is left out costs as much as input. */
export interface Rates {
  readonly input: number
  readonly cachedInput?: number
  readonly cacheWrite?: number
  readonly output: number
}

/** Rates, and those that hold instead for all tokens of a call whose input is larger than `above` tokens; the smallest `above` first. */
export interface Price extends Rates {
  readonly tiers?: readonly { readonly above: number; readonly rates: Rates }[]
}

export type Feature = 'tools' | 'vision' | 'json_schema'

/** What a model can do. What is undefined is unknown, and unknown counts as able. */
export interface Abilities {
  /** Tokens that prompt and answer may have together. */
  readonly context?: number
  readonly maxOutput?: number
  readonly supports?: ReadonlySet<Feature>
  readonly price?: Price
  /** Whether the operator says that it goes on from the beginning of an answer. */
  readonly prefill?: boolean
}

export interface Timeouts {
  readonly connectMs: number
  /** Until the first content of a stream, or the first byte of a whole answer. */
  readonly firstTokenMs: number
  /** The longest silence between two reads of an answer. */
  readonly idleMs: number
  readonly totalMs: number
}

export interface RetryPolicy {
  readonly attempts: number
  readonly firstMs: number
  readonly factor: number
  readonly maxMs: number
  /** A Retry-After up to this long is waited for when no other key is free. */
  readonly rateLimitWaitMs: number
}

/** One model at one provider; what a circuit protects. */
export interface Target<Options = unknown> {
  /** `provider/model`, with the operator's name for the provider. */
  readonly id: string
  readonly providerName: string
  readonly model: string
  /** The model for metric labels: `other` where a caller made the name up. */
  readonly label: string
  readonly provider: Provider<Options>
  readonly options: Options
  readonly origin: string
  /** The path of base_url, without a slash at its end. */
  readonly basePath: string
  /** The query of base_url with its question mark; empty where there is none. */
  readonly query: string
  /** Header names in lower case; added to every upstream request. */
  readonly headers: Readonly<Record<string, string>>
  readonly tags: ReadonlySet<string>
  readonly timeouts: Timeouts
  readonly retry: RetryPolicy
  readonly abilities: Abilities
}

export type PassedOver = 'circuit-open' | 'no-key' | 'no-time' | 'incapable' | 'tag' | 'spend-cap' | 'extra-attempts'

/** How far a route has come down: `normal`, or one of its rungs. */
export const LEVELS = ['normal', 'reduced', 'minimal', 'cached', 'offline'] as const
export type Level = (typeof LEVELS)[number]

export interface Step {
  readonly target: Target
  /** 0 for the first try of this target; from 1 on a retry, which is made only when the fault before it allows the same target again. */
  readonly again: number
  /** What is known before the first try, from the call and the configuration alone. */
  readonly passedOver?: PassedOver
  /** The rung that this step belongs to, where it is not one of the normal ones. */
  readonly rung?: ReducedStep
}

/** What a rung makes of a call. */
export interface ReducedStep {
  readonly level: 'reduced' | 'minimal'
  /** The call with less in it. */
  readonly call: ChatCall
  /** What was in the call and is not in this one. */
  readonly leftOut: readonly Feature[]
}

/** A step that asks no target: an answer from the cache, however old, or the word that we are offline. */
export type StandIn = { readonly level: 'cached' } | { readonly level: 'offline'; readonly message: string }

export type Plan = readonly (Step | StandIn)[]

/** An answer whose first content has arrived, or all of it: the commit point. */
export interface Answer {
  /** Undefined where nobody was asked: a kept answer, or the word that we are offline. */
  readonly target: Target | undefined
  readonly pieces: Pieces
  /** Where it comes from a rung: its level. */
  readonly level?: Level
  /** Fields of the call that the provider could not honour. */
  readonly leftOut: readonly string[]
  /** Nobody wants the rest of it: lets go of it, and blames nobody. */
  drop(): void
}

/** How one try went. */
export type Outcome =
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly fault: Fault }
  | { readonly kind: 'passed-over'; readonly reason: PassedOver; readonly retryAtMs?: number }

/**
 * Why a try is made, where it is not simply the next one: beside another that is slow, to go on with a broken answer in one way or the
 * other, or though its circuit is open because every circuit is.
 */
export type Role = 'hedge' | RecoveryKind | 'last-resort'

/** A new answer that repeats what the client has, or the beginning handed on for another to go on from. */
export type RecoveryKind = 'splice' | 'prefill'

/** One try as it is written down: in the log line, the metrics and the trail. Complete when the try is over. */
export interface AttemptRecord {
  readonly target: Target
  /** The provider key's public name. */
  readonly key?: string
  /** `cancelled`: another answer came first, or what it said could not be used. */
  readonly outcome: 'answered' | 'cancelled' | FaultName | `passed-over:${PassedOver}`
  /** From the first byte sent (or the decision to pass over) to the outcome. */
  readonly ms: number
  readonly role?: Role
  /** Its first content came later than `slow` of the route allows. */
  readonly slow?: true
  readonly detail?: string
  readonly status?: number
  /** How often the provider was sent it, where that is not once: never, or again because a kept connection died before any answer. */
  sends?: number
  /** What it used, as told by the provider or, where an answer broke off untold, estimated from what came. */
  usage?: Usage
  /** An answer that broke off after its first content: why. */
  broke?: FaultName
}

/** How a call ended: exactly one per call. */
export type Ending =
  | { readonly kind: 'complete' }
  | { readonly kind: 'recovered' }
  /** Nothing of an answer was sent. */
  | { readonly kind: 'refused'; readonly fault: Fault }
  /** The answer broke off after content had been sent, and the client was told. */
  | { readonly kind: 'broken'; readonly fault: Fault }
  | { readonly kind: 'abandoned' }
