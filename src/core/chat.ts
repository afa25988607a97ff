/*
 * What travels. A call stays in OpenAI's chat shape with unknown fields kept; an answer is a stream of pieces, whole answers
 * included: a piece is what one read from the network completed, as events that say what it means and, when the provider wrote
 * it in the client's own dialect, the very bytes to pass on.
 */
import type { JsonObjectSource } from './json.ts'

/** The APIs that clients speak. */
export type DialectName = 'chat' | 'messages' | 'responses'

export interface TextPart {
  readonly type: 'text'
  readonly text: string
  readonly [field: string]: unknown
}
/** Any content part of OpenAI's chat API: text, image_url, input_audio, file, refusal … */
export type ContentPart = TextPart | { readonly type: string; readonly [field: string]: unknown }

export interface ToolCall {
  readonly id: string
  readonly type?: string
  readonly function: { readonly name: string; readonly arguments: string }
  readonly [field: string]: unknown
}

export interface ChatMessage {
  readonly role: string
  readonly content?: string | readonly ContentPart[] | null
  readonly tool_calls?: readonly ToolCall[]
  readonly tool_call_id?: string
  readonly name?: string
  readonly [field: string]: unknown
}

export interface ChatTool {
  readonly type: string
  readonly function?: {
    readonly name: string
    readonly description?: string
    readonly parameters?: Record<string, unknown>
    readonly strict?: boolean | null
  }
  readonly [field: string]: unknown
}

/** The JSON of `POST /v1/chat/completions`: the fields that the gateway reads, checked by the dialect, and whatever else came. */
export interface ChatBody {
  readonly model: string
  readonly messages: readonly ChatMessage[]
  readonly stream?: boolean | null
  readonly stream_options?: { readonly include_usage?: boolean | null; readonly [field: string]: unknown } | null
  readonly max_tokens?: number | null
  readonly max_completion_tokens?: number | null
  readonly temperature?: number | null
  readonly top_p?: number | null
  readonly n?: number | null
  readonly stop?: string | readonly string[] | null
  readonly tools?: readonly ChatTool[] | null
  readonly tool_choice?: string | { readonly type: string; readonly [field: string]: unknown } | null
  readonly parallel_tool_calls?: boolean | null
  readonly response_format?: { readonly type: string; readonly [field: string]: unknown } | null
  readonly reasoning_effort?: string | null
  readonly user?: string | null
  readonly [field: string]: unknown
}

/** One request, parsed. */
export interface ChatCall {
  /** The dialect that the client spoke, and in which `source` is written. */
  readonly dialect: DialectName
  /** The route that the client asked for. */
  readonly model: string
  readonly stream: boolean
  /** Whether the client wants the usage event at the end of a stream. */
  readonly wantsUsage: boolean
  readonly body: ChatBody
  /**
   * The body for who looks at fields, at types, and at what is ASCII: what other texts say is not to be relied on, as they may have one
   * character for each of their bytes. It is there at once, while the body itself is only made when somebody asks for it, and for a call
   * that is passed on nobody does.
   */
  readonly shape: ChatBody
  /**
   * What the client already has of the answer: the provider is to go on from there, in its own way, and only those that can
   * (`Provider.prefill`) are ever asked.
   */
  readonly prefill?: string
  /** The client's own bytes and where their top-level values lie, so that a relay can replace some and pass the rest on. */
  readonly source: JsonObjectSource
}

/** OpenAI's five reasons to finish. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'function_call'

/**
 * Token counts that do not overlap, so that sums and prices are right whatever way a provider counts: `input` is without `cached`
 * and `cacheWrite`, `output` is without `reasoning`. A count that the provider did not tell is undefined, which is not zero.
 */
export interface Usage {
  readonly input?: number
  /** Input read from the provider's prompt cache. */
  readonly cached?: number
  /** Input written to the provider's prompt cache. */
  readonly cacheWrite?: number
  readonly output?: number
  readonly reasoning?: number
}

/** Tokens of the answer, thoughts included; 0 where nothing was told. */
export function answerTokens(usage: Usage | undefined): number {
  return (usage?.output ?? 0) + (usage?.reasoning ?? 0)
}

/** All tokens that were told of. */
export function totalTokens({ input = 0, cached = 0, cacheWrite = 0, output = 0, reasoning = 0 }: Usage): number {
  return input + cached + cacheWrite + output + reasoning
}

/** Names are <noun>-<what happened>; `choice` is OpenAI's choice index. */
export type ChatEvent =
  /** `createdS`: when the provider says it began, in seconds since 1970. */
  | { readonly type: 'start'; readonly id: string; readonly model: string; readonly createdS?: number }
  | { readonly type: 'text-delta'; readonly choice: number; readonly text: string }
  | { readonly type: 'reasoning-delta'; readonly choice: number; readonly text: string; readonly signature?: string }
  | { readonly type: 'refusal-delta'; readonly choice: number; readonly text: string }
  /** `extra`: further fields of the tool call (signatures), which the client has to send back. */
  | {
      readonly type: 'tool-start'
      readonly choice: number
      readonly index: number
      readonly id: string
      readonly name: string
      readonly extra?: Readonly<Record<string, unknown>>
    }
  | { readonly type: 'tool-delta'; readonly choice: number; readonly index: number; readonly json: string }
  /** What has a place in OpenAI's delta (or message) but no meaning for the gateway: logprobs, annotations, audio … carried through. */
  | { readonly type: 'extra-delta'; readonly choice: number; readonly fields: Readonly<Record<string, unknown>> }
  /** `raw` is the reason as the provider said it. */
  | { readonly type: 'finish'; readonly choice: number; readonly reason: FinishReason; readonly raw: string }
  | { readonly type: 'usage'; readonly usage: Usage }
  /**
   * Of the gateway itself: what follows comes from another answer, which goes on where the first one broke off. `trail`: the attempts so
   * far, where clients may see them.
   */
  | { readonly type: 'answer-recovered'; readonly kind: 'splice' | 'prefill'; readonly trail?: string }

/** What one read from the network completed. */
export interface Piece {
  readonly events: readonly ChatEvent[]
  /** Present when the provider wrote the client's dialect in the form that the client asked for (whole or stream): to pass on as it is. */
  readonly wire?: Uint8Array
}

/** An answer, piece by piece. */
export interface Pieces {
  /** Asks for the next piece. The taker is told once, perhaps before this returns. One at a time. */
  next(taker: Taker): void
}

/** Who takes an answer's pieces. A stream has thousands: so it is told of them, and not promised each. */
export interface Taker {
  /** The next one; undefined when the answer is complete. Must not throw. */
  take(piece: Piece | undefined): void
  /** It is not going to be complete: a Fault, or a fault of ours. Must not throw. */
  fail(thrown: unknown): void
}

/** Whether this event gives the client something of the answer: the first one that does is the commit point. */
export function isContent(event: ChatEvent): boolean {
  switch (event.type) {
    case 'text-delta':
    case 'refusal-delta':
    case 'reasoning-delta':
      return event.text !== ''
    case 'tool-start':
      return true
    case 'extra-delta':
      return 'audio' in event.fields || 'images' in event.fields
    default:
      return false
  }
}
