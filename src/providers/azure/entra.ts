/*
 * Bearer tokens in place of keys. A key that reads `entra` stands for whatever identity this machine has (a managed one, a workload's,
 * the environment's, a developer's login), and `TENANT:CLIENT_ID:CLIENT_SECRET` for an application's. A token holds about an hour, so
 * one is kept for each identity and fetched again shortly before it ends, once for all calls that wait for it; while the old one still
 * holds, nobody has to know that the new one could not be had.
 */
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'

export interface Token {
  readonly text: string
  /** In milliseconds since 1970. */
  readonly expiresMs: number
}

/** Fetches a token for an identity; whatever it throws beside a Fault means that nobody could be asked. */
export type Credential = () => Promise<Token>

/** The tokens of identities, which are named by provider keys. */
export interface Tokens {
  /** The text for a bearer. Rejects with a Fault. */
  of(key: string): Promise<string>
  /** This token has been refused: it is not used again. False where another would be refused as well, since this one is new. */
  withdraw(key: string, text: string): boolean
}

/** Fetched again when it is about to hold for less than this. */
const EARLY_MS = 5 * 60_000
/** How long a fetch may take. */
const PATIENCE_MS = 15_000
/** What is refused within this time was never any good. */
const NEW_MS = 60_000

/** TENANT:CLIENT_ID:CLIENT_SECRET; client ids are UUIDs, and keys of resources have no colons. */
const APPLICATION = /^([0-9A-Za-z.-]+):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(.+)$/i

/** Whether a provider key names an identity. */
export function isEntra(key: string): boolean {
  return key === 'entra' || APPLICATION.test(key)
}

export interface Application {
  readonly tenant: string
  readonly clientId: string
  readonly secret: string
}

/** The application that a key names; undefined for any other key. */
export function applicationOf(key: string): Application | undefined {
  const match = APPLICATION.exec(key)
  return match === null ? undefined : { tenant: match[1]!, clientId: match[2]!, secret: match[3]! }
}

/** @param credentialOf how the tokens of an identity are fetched; asked again after a token was withdrawn, as libraries remember them, too */
export function entraTokens(clock: Clock, credentialOf: (key: string) => Credential): Tokens {
  const kept = new Map<string, Kept>()

  return {
    of(key) {
      let token = kept.get(key)
      if (token === undefined) {
        token = keeping(clock, credentialOf(key))
        kept.set(key, token)
      }
      return token.text()
    },
    withdraw(key, text) {
      const token = kept.get(key)
      // Another call may have withdrawn it already, and what is kept now is a better one.
      if (token?.held() !== text) return true
      if (token.ageMs() < NEW_MS) return false
      kept.delete(key)
      return true
    },
  }
}

interface Kept {
  text(): Promise<string>
  /** What was fetched last. */
  held(): string | undefined
  ageMs(): number
}

function keeping(clock: Clock, credential: Credential): Kept {
  let token: Token | undefined
  let fetchedMs = 0
  let fetching: Promise<Token> | undefined

  async function fetchNow(): Promise<Token> {
    try {
      token = await patiently(clock, credential)
      fetchedMs = clock.now()
      return token
    } finally {
      fetching = undefined
    }
  }

  async function text(): Promise<string> {
    const held = token
    if (held !== undefined && held.expiresMs - EARLY_MS > clock.now()) return held.text
    fetching ??= fetchNow()
    try {
      return (await fetching).text
    } catch (thrown) {
      if (held !== undefined && held.expiresMs > clock.now()) return held.text
      throw thrown
    }
  }

  return { text, held: () => token?.text, ageMs: () => clock.now() - fetchedMs }
}

function patiently(clock: Clock, credential: Credential): Promise<Token> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(PATIENCE_MS, () =>
      reject(new Fault('upstream-timeout', { detail: `no token for this identity within ${PATIENCE_MS} ms` })),
    )
    credential()
      .then(resolve, thrown => reject(thrown instanceof Fault ? thrown : unasked(thrown)))
      .finally(cancel)
  })
}

function unasked(thrown: unknown): Fault {
  return new Fault('upstream-unreachable', {
    detail: `no token for this identity: ${thrown instanceof Error ? thrown.name : 'unknown'}`,
  })
}
