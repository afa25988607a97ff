/*
 * A provider is the translator for one API, and pure: no socket, no clock, no state between calls. Recorded bytes are therefore a
 * complete test of it. A new provider is one folder, one line in the registry and its recordings.
 */
import type { ZodType } from 'zod'
import type { Abilities, Target } from './attempt.ts'
import type { ChatCall, ChatEvent, DialectName } from './chat.ts'
import type { Fault } from './fault.ts'

/** What one attempt sends: a POST to the target's origin. */
export interface UpstreamRequest {
  /** With the target's base path in front. */
  readonly path: string
  readonly body: Uint8Array | string
  /** Headers of this call beside those of the target and the key; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
  /** Fields of the call that only tune and that this provider cannot honour. */
  readonly leftOut?: readonly string[]
}

/** One event of a streamed answer, as the framing found it. `data` is undefined where there were comments only. */
export interface Frame {
  readonly event?: string | undefined
  readonly data: string | undefined
  /** The text itself, where it has no data and is not in the stream's format at all: an error as bare JSON, a page of a proxy. */
  readonly unframed?: string
}

export type UpstreamHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** An answer that says it failed: a status that is not 2xx, or a 200 whose body holds an error. */
export interface UpstreamFailure {
  readonly status: number
  /** Names in lower case. */
  readonly headers: UpstreamHeaders
  /** The body as JSON, where it is JSON. */
  readonly body: unknown
  /** The beginning of the body as text. */
  readonly text: string
  /** When it came, in milliseconds since 1970: for a Retry-After that names a moment. */
  readonly receivedMs: number
}

/**
 * `malformed`: this frame makes no sense and is left out. `done`: the provider's own terminator; nothing after it counts. `unrelayed`: what
 * it says counts, but its bytes are not for a client (it finishes once more).
 */
export type Decoded = readonly ChatEvent[] | { readonly unrelayed: readonly ChatEvent[] } | 'malformed' | 'done'

/** What a frame that was understood says. */
export function eventsOf(decoded: Exclude<Decoded, string>): readonly ChatEvent[] {
  return 'unrelayed' in decoded ? decoded.unrelayed : decoded
}

/** Decodes one streamed answer. */
export interface Decoder {
  /** Throws a Fault when the frame is the provider's word that the answer failed. */
  push(frame: Frame): Decoded
  /** Called once, when the stream is over (after `done`, too): what remained, or a Fault that says it stopped too early. */
  end(): readonly ChatEvent[]
}

export interface Provider<Options = unknown> {
  readonly name: string
  /** Where this provider lives when the configuration does not say; undefined: base_url must be given. */
  readonly baseUrl: string | undefined
  /** Settings of this provider alone, checked when the configuration loads. */
  readonly options: ZodType<Options>
  /** What it speaks natively, so that it can be relayed to clients of the same dialect. */
  readonly dialect: DialectName | undefined
  /** Its id in the list of known prices, where that is not its name. */
  readonly pricedAs?: string
  /** Its name in OpenTelemetry's conventions for traces, where that is not its name. */
  readonly tracedAs?: string
  /** What is known of a model; left out, or undefined in part, is unknown, and unknown counts as able. */
  abilities?(model: string): Abilities
  /**
   * Whether it can be handed the beginning of an answer (`ChatCall.prefill`) to go on from, and how it answers then: with what follows
   * (`continued`), or with the beginning said again in front of it (`echoed`). Undefined: it cannot.
   */
  readonly prefill?: 'continued' | 'echoed'
  readonly framing: 'sse' | 'ndjson' | 'aws-events'
  /** Headers that show our key; computed once per target and key. Names in lower case. */
  authorize(key: string, target: Target<Options>): Readonly<Record<string, string>>
  /** Why this provider cannot honour the call in a way that changes the answer's meaning (n, audio …); undefined when it can. */
  refuses(call: ChatCall, target: Target<Options>): string | undefined
  /** @param key for those whose address depends on whose key it is; always given by the gateway */
  encode(call: ChatCall, target: Target<Options>, key?: string): UpstreamRequest
  /** Reads a whole answer. Throws a Fault when it is an error inside a 200, or no answer at all. */
  decode(body: unknown): readonly ChatEvent[]
  decoder(): Decoder
  classify(failure: UpstreamFailure): Fault
  /** For signatures and tokens that belong to one request (SigV4, OAuth). Returns the headers to add; rejects with a Fault. */
  sign?(request: UpstreamRequest, target: Target<Options>, key: string): Promise<Readonly<Record<string, string>>>
  /**
   * What `sign` gave for this key has been refused. True when signing once more can give something better, a fresh token in place of one
   * that was withdrawn before its time: then the attempt sends its request again, once.
   */
  renews?(key: string, signed: Readonly<Record<string, string>>, refused: Fault): boolean
}
