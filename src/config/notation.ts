/** The small notations of the configuration that are not durations, sizes or shares: addresses, URLs, headers, names, secrets. */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import { tryParse } from '../core/json.ts'
import { secret } from './secrets/secret.ts'
import { duration, size } from './units.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port` or `[IPv6]:port`; undefined when the text is neither. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const [, v6, name, digits] = match
  const port = Number(digits)
  if (port > 65_535) return undefined
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined
  // A name of digits and dots alone is an IPv4 address with a slip in it.
  if (!/^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$/.test(name!) || (/^[\d.]+$/.test(name!) && isIP(name!) === 0)) return undefined
  return { host: name!, port }
}

/** Whether only this machine can reach it. */
export function isLoopback(host: string): boolean {
  const v4 = host.toLowerCase().replace(/^::ffff:/, '')
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIPv4(v4) && v4.startsWith('127.'))
}

const ADDRESS_FORM = 'write it as host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080'

/** host:port; `{ host, port }` after parsing. */
export const address = z.string().transform((text, context): Address => {
  const parsed = parseAddress(text)
  if (parsed !== undefined) return parsed
  context.addIssue(`"${text}" is not an address; ${ADDRESS_FORM}`)
  return z.NEVER
})

/** The same, left as text. */
export const addressText = z.string().refine(text => parseAddress(text) !== undefined, `not an address; ${ADDRESS_FORM}`)

/** The name of the simulator in a base_url that is one; undefined for any other. */
export function simulatorOf(baseUrl: string): string | undefined {
  return /^simulator:([^/]*)/.exec(baseUrl)?.[1]
}

/** Why a text is no URL to send to; undefined when it is one. The text is not repeated: it could hold a password. */
function wrongUrl(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || /\s/.test(text) || !URL.canParse(text))
    return 'not a URL that begins with http:// or https://'
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'a URL here must not hold a user name or password'
  return undefined
}

function wrongBaseUrl(text: string): string | undefined {
  if (text.startsWith('simulator:')) {
    return /^simulator:[\w.-]+(\/[\w./-]*)?$/.test(text) ? undefined : 'write a simulator as simulator:NAME/v1'
  }
  const wrong = wrongUrl(text)
  if (wrong?.includes('password')) return `${wrong}; give it under keys or headers`
  // Whether it may have a query depends on the type of the provider, which is not known here.
  return wrong ?? (text.includes('#') ? 'a base_url must not have a fragment' : undefined)
}

const urlText = (wrong: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = wrong(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

export const url = urlText(wrongUrl)
export const baseUrl = urlText(wrongBaseUrl)

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Visible characters, spaces and tabs; what HTTP and Node refuse beyond that could split a request in two. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** What frames a message belongs to the connection, and a second opinion on it is how requests are smuggled. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'keep-alive',
  'te',
  'trailer',
  'expect',
])

const headerName = z
  .string()
  .regex(HEADER_NAME, 'not the name of an HTTP header')
  .refine(name => !OWN_HEADERS.has(name.toLowerCase()), 'this header is set by the gateway itself')

/** Headers; names in lower case after parsing. */
export const headers = z
  .record(headerName, z.string().regex(HEADER_VALUE, 'holds a character that cannot stand in an HTTP header'))
  .transform(given => Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value])))

/** A provider key: one line, as it has to fit into a header. A key file in JSON, as clouds give for their accounts, is made one. */
export const providerKeyText = z
  .string()
  .min(1)
  .overwrite(text => (text.startsWith('{') ? inOneLine(text) : text))
  .regex(/^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/, {
    error: 'holds a character that cannot stand in an HTTP header (a line break, or a space at its end?)',
    abort: true,
  })

function inOneLine(text: string): string {
  const parsed = tryParse(text)
  return parsed === undefined ? text : JSON.stringify(parsed)
}

/** What a caller has to show as a bearer: visible ASCII. */
const bearer = z
  .string()
  .min(1)
  .regex(/^[\x21-\x7e]+$/, 'holds a character that cannot stand in a bearer token (a space or a line break?)')

export const providerKey = providerKeyText.transform(secret)
export const bearerSecret = bearer.transform(secret)
export const anySecret = z.string().min(1).transform(secret)

/** A name of the operator's own that shows up in labels and paths: a provider, a provider key, a simulator. */
export const plainName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'a name has up to 64 letters, digits, ".", "_" and "-", and begins with a letter or digit')

/** Visible ASCII without spaces. */
export const word = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'expected one word of up to 128 visible ASCII characters, without spaces')

export const positiveDuration = duration.refine(ms => ms > 0, 'must be longer than 0')
export const positiveSize = size.refine(bytes => bytes > 0, 'must be larger than 0')
export const count = z.int().min(1)
export const positive = z.number().gt(0)

/** A duration, or `off` (also as the boolean that older YAML reads it as). */
export const durationOrOff = z.union([
  z
    .string({ error: 'expected a duration such as "15s", or off' })
    .transform((text, context): number | 'off' => {
      if (text === 'off') return text
      const ms = positiveDuration.safeParse(text)
      if (ms.success) return ms.data
      context.addIssue(`${ms.error.issues[0]!.message}, or off`)
      return z.NEVER
    })
    .meta({ pattern: '^(off|\\d+(\\.\\d+)?\\s*(ms|s|m|h|d))$' }),
  off(),
])

/** The boolean false, as which older YAML reads `off`. */
export function off() {
  return z.literal(false).transform(() => 'off' as const)
}
