/** A configuration as it may be shown, and as it may be compared. */
import { createHash } from 'node:crypto'
import type { Config } from './schema.ts'
import type { Secret } from './secrets/secret.ts'

const HIDDEN = '[secret]'

/** Names as in the file, durations in milliseconds, sizes in bytes; nothing in it is secret. */
export function shownConfig(config: Config): unknown {
  const { providers, clients, telemetry } = config
  const shown = {
    ...config,
    // Who needs a header of an own making may need it for a credential.
    providers: Object.fromEntries(
      Object.entries(providers).map(([name, one]) => [name, { ...one, headers: hidden(Object.keys(one.headers)) }]),
    ),
    clients: clients.map(one => ({ ...one, ...(one.key_sha256 !== undefined && { key_sha256: HIDDEN }) })),
    telemetry: {
      ...telemetry,
      webhooks: telemetry.webhooks.map(one => ({ ...one, url: `${new URL(one.url).origin}/${HIDDEN}` })),
    },
  }
  return JSON.parse(JSON.stringify(shown))
}

const hidden = (names: readonly string[]) => Object.fromEntries(names.map(name => [name, HIDDEN]))

/** Two configurations have the same one when they are the same, secrets included; nothing can be learnt from it. */
export function fingerprintOf(part: unknown): string {
  const text = JSON.stringify(part, function (this: Record<string, unknown>, key, value) {
    const original = this[key] as Partial<Secret> | undefined
    return typeof original?.reveal === 'function' ? original.reveal() : value
  })
  return createHash('sha256')
    .update(text ?? '')
    .digest('hex')
}
