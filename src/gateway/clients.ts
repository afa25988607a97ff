/*
 * Client key → client. What a client shows is hashed at once and nothing else sees it; the hash is looked up and compared in constant
 * time, and an unknown key takes the same way as a known one.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { Fault } from '../core/fault.ts'

export interface Client {
  readonly name: string
  /** Route names and patterns this client may ask for; undefined: all. */
  readonly routes: ReadonlySet<string> | undefined
  /** Tags that every target of its calls must have. */
  readonly require: readonly string[]
  /** Copied to logs and traces. */
  readonly tags: Readonly<Record<string, string>>
}

export interface Clients {
  /** Throws a Fault (unauthorized) when the header shows no known key. */
  identify(authorization: string | undefined): Client
}

/** Who calls when nobody is asked for a key. */
export const ANYBODY: Client = { name: 'anonymous', routes: undefined, require: [], tags: {} }

const NOBODY = Buffer.alloc(32)

/** SHA-256 in hex of a client key, as the configuration may hold it. */
export const keyHash = (key: string): string => hash('sha256', key, 'hex')

/** @param known each client with the SHA-256 of its key, in hex */
export function clientsByKey(known: readonly { readonly client: Client; readonly keySha256: string }[]): Clients {
  const byHash = new Map(
    known.map(({ client, keySha256 }) => {
      const digest = Buffer.from(keySha256, 'hex')
      return [digest.toString('latin1'), { client, digest }]
    }),
  )
  return {
    identify(authorization) {
      const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      const digest = hash('sha256', shown ?? '', 'buffer')
      const found = byHash.get(digest.toString('latin1'))
      const same = timingSafeEqual(digest, found?.digest ?? NOBODY)
      if (shown === undefined || found === undefined || !same) throw new Fault('unauthorized')
      return found.client
    },
  }
}

export const openToAll: Clients = { identify: () => ANYBODY }
