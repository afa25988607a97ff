/*
 * Error bodies, brought into one form. Everybody copies OpenAI's `{"error": {message, type, param, code}}` and nobody keeps to it: errors
 * come flat, as a string, as a list of places, as `detail`, inside an array, with numbers for codes, with the real reason two levels
 * down, and from the proxies in front as HTML. The content type tells nothing. Whatever cannot be read is left out; nothing here throws.
 */
import { asObject, tryParse } from '../../core/json.ts'
import type { UpstreamFailure } from '../../core/provider.ts'

/** What a provider said about a failure. `message` is '' where it said nothing that a person could read. */
export interface Told {
  /** The HTTP status; for an error inside a 2xx, the status that the error itself names, if any. */
  readonly status: number
  readonly type?: string
  /** Numbers as text. */
  readonly code?: string
  readonly message: string
  readonly param?: string
}

type Fields = Readonly<Record<string, unknown>>

/** Longer messages are cut: the reason stands at the beginning. */
const LONGEST_MESSAGE = 8_000

/** Reads any error body. */
export function told(failure: UpstreamFailure): Told {
  const found = read(failure)
  const { type, code, param } = found
  return {
    status: failure.status >= 200 && failure.status < 300 ? (found.status ?? failure.status) : failure.status,
    message: (found.message ?? '').trim().slice(0, LONGEST_MESSAGE),
    ...(type === undefined ? {} : { type }),
    ...(code === undefined ? {} : { code }),
    ...(param === undefined ? {} : { param }),
  }
}

type Found = { readonly [Key in keyof Told]?: Told[Key] | undefined }

function read(failure: UpstreamFailure): Found {
  const body = Array.isArray(failure.body) ? failure.body[0] : failure.body
  const outer = asObject(body)
  if (outer === undefined) return { message: readable(typeof body === 'string' ? body : failure.text) }
  const inner = asObject(outer.error)
  const said = inner === undefined ? ofFlat(outer) : ofNested(inner, outer)
  return { ...said, type: said.type ?? headerType(failure) }
}

/** `{"error": {…}}` of OpenAI and its relatives, Azure, Anthropic and Google. */
function ofNested(error: Fields, outer: Fields): Found {
  const metadata = asObject(error.metadata)
  const details = Array.isArray(error.details) ? error.details.map(asObject) : []
  const reason = details.find(detail => text(detail?.reason) !== undefined)?.reason
  const filter = asObject(error.innererror)?.code
  const said = messageOf(error) ?? text(error.error) ?? text(outer.message)
  return {
    status: statusIn(error.code) ?? statusIn(error.status_code) ?? statusIn(error.status) ?? statusIn(outer.status_code),
    type: text(error.type) ?? text(metadata?.error_type) ?? text(error.status),
    // The more telling word first: Google's and Azure's `code` only repeats the status.
    code:
      text(reason) ??
      text(metadata?.limit_source) ??
      text(filter) ??
      word(error.code) ??
      text(asObject(error.details)?.error_code),
    message: withCause(said, metadata?.raw),
    param: text(error.param),
  }
}

/** Flat bodies: Mistral, Cerebras, Cohere, AWS, older vLLM, FastAPI, and a bare `"error": "…"`. */
function ofFlat(outer: Fields): Found {
  const places = Array.isArray(outer.detail) ? outer.detail.map(asObject).filter(place => place !== undefined) : []
  const type = text(outer.type) ?? text(outer.error_type) ?? afterHash(text(outer.__type))
  return {
    status: statusIn(outer.code) ?? statusIn(outer.raw_status_code) ?? statusIn(outer.status_code) ?? statusIn(outer.error_code),
    type: type === 'error' ? undefined : type,
    code: word(outer.code) ?? word(outer.error_code),
    message: readable(text(outer.error)) ?? messageOf(outer) ?? text(outer.detail) ?? listed(places),
    param: text(outer.param) ?? placeOf(places[0]),
  }
}

/** A message is a sentence, or (Mistral) the validator's list in place of one. */
function messageOf(fields: Fields): string | undefined {
  const message = fields.message ?? fields.Message
  const within = asObject(message)
  if (within === undefined) return readable(text(message))
  return Array.isArray(within.detail) ? listed(within.detail.map(asObject)) : JSON.stringify(within)
}

/** A router's own message says little ("Provider returned error"); what the provider behind it said, as text or as JSON, comes after it. */
function withCause(message: string | undefined, raw: unknown): string | undefined {
  const parsed = asObject(typeof raw === 'string' ? tryParse(raw) : raw)
  const error = asObject(parsed?.error) ?? parsed
  const words =
    error === undefined
      ? readable(text(raw))
      : [error.type, error.code, messageOf(error) ?? text(parsed?.error)].filter(isText).join(' ')
  return words === undefined || words === '' ? message : `${message ?? ''}: ${words}`
}

function listed(places: readonly (Fields | undefined)[]): string | undefined {
  const lines = places.map(place => [placeOf(place), text(place?.msg) ?? text(place?.message)].filter(isText).join(': '))
  return lines.length > 0 ? lines.filter(line => line !== '').join('; ') : undefined
}

function placeOf(place: Fields | undefined): string | undefined {
  return Array.isArray(place?.loc) ? place.loc.join('.') : undefined
}

/** AWS names the error in a header, followed by a colon and a URL. */
function headerType(failure: UpstreamFailure): string | undefined {
  const header = failure.headers['x-amzn-errortype']
  const first = typeof header === 'string' || header === undefined ? header : header[0]
  return afterHash(first?.split(':')[0]?.trim())
}

function afterHash(name: string | undefined): string | undefined {
  return name?.slice(name.lastIndexOf('#') + 1)
}

/** The text, unless it is a page made for browsers. */
function readable(written: string | undefined): string | undefined {
  return written === undefined || /^\s*<(?:!|\?|[a-z])/i.test(written) ? undefined : written
}

function statusIn(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{3}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isInteger(number) && number >= 300 && number <= 599 ? number : undefined
}

function word(value: unknown): string | undefined {
  return typeof value === 'number' ? String(value) : text(value)
}

function text(value: unknown): string | undefined {
  return isText(value) ? value : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
