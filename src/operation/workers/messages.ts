/*
 * What the primary and its workers say to each other. The primary has the listeners: it hands each connection of a client to a worker, and
 * asks workers what operators ask it. A connection counts as handed over when the worker says so; until then it can go to another.
 */
import type { Environment } from '../../config/secrets/sources.ts'
import type { Reload } from '../../http/admin/configuration.ts'
import type { AdminAnswer, AdminQuestion } from '../../http/admin/front.ts'
import type { Snapshot } from '../../telemetry/snapshots.ts'

/** The first thing that a worker hears. */
export interface Start {
  readonly kind: 'start'
  readonly file: string
  readonly env: Environment
  readonly version: string
  /** The configuration that counts. */
  readonly text: string
  /** The one that the primary listens by. */
  readonly listeningBy: string
}

export type ToWorker =
  | Start
  /** Comes with the socket. */
  | { readonly kind: 'connection'; readonly id: number }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  /** Your place has been taken: answer what you have, and what still comes over it. */
  | { readonly kind: 'leave' }
  /** As on SIGTERM. */
  | { readonly kind: 'stop' }
  /** What is being stopped is ended now. */
  | { readonly kind: 'hurry' }

export type ToPrimary =
  | { readonly kind: 'ready' }
  | { readonly kind: 'taken'; readonly id: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown }
  /** A configuration was put in place. */
  | { readonly kind: 'applied'; readonly text: string }
  /** It begins to end, whether it was told to or not. */
  | { readonly kind: 'stopping' }
  /** The last word before it ends. */
  | { readonly kind: 'counted'; readonly snapshot: Snapshot }

export type Question =
  | ({ readonly of: 'admin' } & AdminQuestion)
  | { readonly of: 'metrics' }
  /** Read the file again, as on SIGHUP. */
  | { readonly of: 'reload' }

/** By what the question is of. */
export interface Answers {
  readonly admin: AdminAnswer
  readonly metrics: Snapshot
  readonly reload: Reloaded
}

export interface Reloaded {
  readonly result: Reload['result']
  readonly needsRestart: readonly string[]
}
