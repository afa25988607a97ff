/*
 * What an API must be able to do to be simulated: read a call, and write answers and failures in its own shapes. A wire knows no socket,
 * no timer and no script; it turns an ask into text. What goes wrong with that text on its way is the business of delivery.ts.
 */
import type { Answer, Ask } from './answer.ts'

/** A call that is answered with an error. What is left out is filled in by the API, fitting the status. */
export interface Failure {
  readonly status: number
  readonly message?: string | undefined
  readonly type?: string | undefined
  readonly code?: string | null
  readonly param?: string | null
  /** Seconds to wait, where the script says so in a header and the API in the body. */
  readonly retryAfterS?: number | undefined
}

/** What the address of a call tells of it, where the API says that there and not in the body. */
export interface Addressed {
  readonly model?: string
  readonly stream?: boolean
  /** Whether the events of a stream come as one list. */
  readonly isList?: boolean
}

/** One answer about to be written. */
export interface Turn {
  readonly ask: Ask
  /** One per choice. */
  readonly answers: readonly Answer[]
  /** Milliseconds since 1970. */
  readonly createdMs: number
}

/**
 * One event of a stream. `frame` carries form only (the role, the start of a block), `token` carries one token of content, `finish` says
 * why the answer ended, `usage` what it cost and nothing else, and `done` that the stream is over.
 */
export interface StreamEvent {
  readonly part: 'frame' | 'token' | 'finish' | 'usage' | 'done'
  /** The `event:` line, where the API writes one. */
  readonly event?: string
  /** What stands after `data: `. */
  readonly json: string
  /** What ends its lines; LF when left out. */
  readonly lineEnd?: '\r\n'
}

/** What a failure may mention. */
export interface Mention {
  readonly model: string | undefined
  readonly method: string
  readonly path: string
  readonly requestId: string
}

export interface Wire {
  /** What the address of a call tells, with the path without its version; undefined where calls are not sent. */
  callAt(path: string, query: URLSearchParams): Addressed | undefined
  /** The status whose error this API is known to send in the middle of a 200. */
  readonly lateFailureStatus: number
  /** What the parsed body asks for, or what is wrong with it. `undefined` means that it was not JSON. */
  read(body: unknown, at: Addressed): Ask | Failure
  /** How a wrong key is refused. */
  readonly refusedKey: Failure
  /** How a call is refused that ends with the beginning of the answer. */
  readonly refusedPrefill: Failure
  newRequestId(): string
  /** Headers of an answer, content type included. */
  headers(requestId: string, stream: boolean): Readonly<Record<string, string>>
  failureHeaders(requestId: string, status: number): Readonly<Record<string, string>>
  /** The JSON of an error. */
  failure(failure: Failure, mention: Mention): string
  failureEvent(failure: Failure, mention: Mention): StreamEvent
  /** One that tells what the answer costs and nothing else. */
  usageEvent(turn: Turn): StreamEvent
  /** The JSON of a whole answer; with `empty`, of one that holds nothing. */
  whole(turn: Turn, empty: boolean): string
  /** A stream, written lazily; with `empty`, one that holds nothing. */
  events(turn: Turn, empty: boolean): Iterable<StreamEvent>
  /** The JSON of the list of models. */
  models(): string
}

/** An event as it goes over the wire. */
export function frameOf(event: StreamEvent): string {
  return `${openingOf(event)}${event.json}${endOf(event)}`
}

/** An event up to the middle of its JSON. */
export function halfOf(event: StreamEvent): string {
  return `${openingOf(event)}${halfJson(event.json)}`
}

/** What follows the data of an event. */
export function endOf(event: StreamEvent): string {
  const lineEnd = event.lineEnd ?? '\n'
  return lineEnd + lineEnd
}

/** The first half of a JSON object, which is never JSON. */
export function halfJson(json: string): string {
  return json.slice(0, Math.ceil(json.length / 2))
}

function openingOf(event: StreamEvent): string {
  return event.event === undefined ? 'data: ' : `event: ${event.event}\ndata: `
}
