/*
 * The tokens that keys were exchanged for: the one place where a provider remembers something between calls. Whoever needs a token waits
 * for one and the same exchange; a token is renewed some minutes before it ends, and while that fails the old one serves until it does.
 * Under the hash of its key, so that nobody who looks at this finds one.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import type { Grant } from './credentials.ts'

type Headers = Grant['headers']

export interface Tokens {
  /** The headers that show a token for this key. Rejects as the exchange does. */
  headersFor(key: string): Promise<Headers>
  /** These headers have been refused: unless there are newer ones, they are forgotten. */
  forget(key: string, refused: Headers): void
}

interface Entry {
  grant: Grant | undefined
  /** When it is time for a new one, in milliseconds since 1970. */
  renewAtMs: number
  renewing: Promise<Grant> | undefined
}

/** Clocks differ, and a call may take minutes to reach the one who checks the token. */
const EARLY_MS = 5 * 60_000
/** Between two tries to renew what still serves. */
const PATIENCE_MS = 30_000

export function tokens(clock: Clock, exchange: (key: string) => Promise<Grant>): Tokens {
  const entries = new Map<string, Entry>()

  function entryOf(key: string): Entry {
    const name = createHash('sha256').update(key).digest('base64url')
    let entry = entries.get(name)
    if (entry === undefined) {
      // Keys get new values now and then; those of old ones end by themselves.
      for (const [old, { grant, renewing }] of entries) {
        if (renewing === undefined && (grant === undefined || grant.expiresMs <= clock.now())) entries.delete(old)
      }
      entry = { grant: undefined, renewAtMs: 0, renewing: undefined }
      entries.set(name, entry)
    }
    return entry
  }

  function renewed(entry: Entry, key: string): Promise<Grant> {
    entry.renewing ??= exchange(key)
      .then(grant => {
        const lifeMs = grant.expiresMs - clock.now()
        entry.grant = grant
        entry.renewAtMs = clock.now() + Math.max(lifeMs - EARLY_MS, lifeMs / 2)
        return grant
      })
      .finally(() => {
        entry.renewing = undefined
      })
    return entry.renewing
  }

  return {
    async headersFor(key) {
      const entry = entryOf(key)
      const { grant } = entry
      if (grant === undefined || grant.expiresMs <= clock.now()) return (await renewed(entry, key)).headers
      if (entry.renewAtMs <= clock.now()) {
        // It is good for a while yet: nobody has to wait, and nobody has to fail.
        entry.renewAtMs = clock.now() + PATIENCE_MS
        renewed(entry, key).catch(() => undefined)
      }
      return grant.headers
    },
    forget(key, refused) {
      const entry = entryOf(key)
      if (entry.grant?.headers === refused) entry.grant = undefined
    },
  }
}
