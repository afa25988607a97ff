/*
 * Client key → client. What a client shows is hashed at once and nothing else sees it; the hash is looked up and compared in constant
 * time, and an unknown key takes the same way as a known one.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { Fault } from '../core/fault.ts'
import type { ClientLimits } from '../limits/admit.ts'

export interface Client {
  readonly name: string
  /** Route names and patterns this client may ask for; undefined: all. */
  readonly routes: ReadonlySet<string> | undefined
  /** Tags that every target of its calls must have. */
  readonly require: readonly string[]
  /** Copied to logs and traces; undefined: none. */
  readonly tags: Readonly<Record<string, string>> | undefined
  /** Undefined: none. */
  readonly limits: ClientLimits | undefined
}

export interface Clients {
  /** Throws a Fault (unauthorized) when the header shows no known key. */
  identify(authorization: string | undefined): Client
  /** For operators, who ask on behalf of one. */
  named(name: string): Client | undefined
}

/** Who calls when nobody is asked for a key. */
export const ANYBODY: Client = { name: 'anonymous', routes: undefined, require: [], tags: undefined, limits: undefined }

/** SHA-256 in hex of a client key, as the configuration may hold it. */
export const keyHash = (key: string): string => hash('sha256', key, 'hex')

const HEX_LENGTH = 64
const NOBODY = Buffer.alloc(HEX_LENGTH)

/** @param known each client with the SHA-256 of its key, in hex */
export function clientsByKey(known: readonly { readonly client: Client; readonly keySha256: string }[]): Clients {
  const byHash = new Map(known.map(({ client, keySha256 }) => [keySha256, { client, hex: Buffer.from(keySha256, 'latin1') }]))
  /** Where the hash that was shown is laid for the comparison: one place, as this is done for every call. */
  const shownHex = Buffer.alloc(HEX_LENGTH)
  return {
    identify(authorization) {
      const shown = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      const hex = keyHash(shown ?? '')
      shownHex.write(hex, 'latin1')
      const found = byHash.get(hex)
      const same = timingSafeEqual(shownHex, found?.hex ?? NOBODY)
      if (shown === undefined || found === undefined || !same) throw new Fault('unauthorized')
      return found.client
    },
    named: name => known.find(({ client }) => client.name === name)?.client,
  }
}

export const openToAll: Clients = { identify: () => ANYBODY, named: name => (name === ANYBODY.name ? ANYBODY : undefined) }
