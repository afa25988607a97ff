/* Why a command to Redis failed, in the words of Redis, of the network or our own. What to do then is decided in degraded.ts. */
import { reasonOf } from './connection.ts'

/** `executed`: whether Redis has carried the command out, where that can be known. */
export interface Failure extends Error {
  readonly reason: string
  readonly executed: 'no' | 'unknown'
  /** Whether Redis as a whole is away, and not this command wrong. */
  readonly away: boolean
}

/** What Redis says when it is there and does not do its work. */
const AWAY = new Set(
  'READONLY OOM NOAUTH WRONGPASS NOPERM LOADING MISCONF CLUSTERDOWN MASTERDOWN NOREPLICAS BUSY TRYAGAIN MOVED ASK'.split(' '),
)
/** What ioredis says of commands that it never sent. */
const NEVER_SENT = /^(Stream isn't writeable|Cluster isn't ready)/

export function failure(reason: string, executed: Failure['executed'], away: boolean): Failure {
  return Object.assign(new Error(`Redis: ${reason}`), { reason, executed, away })
}

export function failureOf(error: Error): Failure {
  if (NEVER_SENT.test(error.message)) return failure('unreachable', 'no', true)
  if (error.name !== 'ReplyError') return failure(reasonOf(error), 'unknown', true)
  return refusal(error.message)
}

/** Redis has answered: it carries a command out, or says why not. */
export function refusal(said: string): Failure {
  const word = /^\w+/.exec(said)?.[0] ?? 'ERR'
  return failure(word, 'no', AWAY.has(word))
}
