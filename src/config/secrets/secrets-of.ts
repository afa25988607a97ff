/** All that a configuration holds and nobody but the gateway may see, wherever it stands: for taking it out of what is written. */
import type { Environment } from './sources.ts'

/** A header of a provider whose name says that its value is a credential. */
const TELLING = /auth|key|token|secret|password|cookie|credential/i
/** `scheme://user:password@host`; lists of hosts, as Sentinel has them, are no URLs to others. */
const WITH_PASSWORD = /^[a-z][a-z+.-]*:\/\/[^/@:]*:([^/@]+)@/i
/** In the query of an address. */
const TELLING_QUERY = /[?&](?:[\w-]*(?:key|token|secret|sig|signature|password|code))=([^&#]+)/gi

/**
 * Every closed secret, passwords and keys within addresses, and the values of headers that carry credentials; those that the standard
 * variables of OpenTelemetry give its exporter, too.
 */
export function secretsOf(config: object, env: Environment = {}): readonly string[] {
  const found = new Set<string>()
  collect(config, found)
  for (const name of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']) {
    for (const pair of (env[name] ?? '').split(',')) addCredential(decoded(pair.slice(pair.indexOf('=') + 1).trim()), found)
  }
  found.delete('')
  return [...found]
}

function collect(value: unknown, found: Set<string>, key = ''): void {
  if (typeof value === 'string') return collectText(value, key, found)
  if (typeof value !== 'object' || value === null) return
  if ('reveal' in value && typeof value.reveal === 'function') found.add(value.reveal())
  else if (Array.isArray(value)) for (const item of value) collect(item, found, key)
  else for (const [name, item] of Object.entries(value)) collect(item, found, key === 'headers' ? `headers.${name}` : name)
}

function collectText(text: string, key: string, found: Set<string>): void {
  if (key.startsWith('headers.') && TELLING.test(key)) return addCredential(text, found)
  const password = WITH_PASSWORD.exec(text)?.[1]
  if (password !== undefined) for (const form of [password, decoded(password)]) found.add(form)
  for (const [, secret] of text.matchAll(TELLING_QUERY)) for (const form of [secret!, decoded(secret!)]) found.add(form)
}

/** What stands behind `Bearer ` alone is the secret as well. */
function addCredential(text: string, found: Set<string>): void {
  found.add(text)
  found.add(text.slice(text.lastIndexOf(' ') + 1))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
