/** What clients speak: parse a call; write pieces, whole answers and faults. One implementation per folder of `dialects/`. */
import type { ChatCall, DialectName, Piece } from './chat.ts'
import type { Fault } from './fault.ts'

/** Writes one answer, whole or as a stream, from its pieces. */
export interface AnswerWriter {
  /** What of this piece goes out now; undefined when nothing does (always, for a whole answer). */
  write(piece: Piece): Uint8Array | undefined
  /** What ends a complete answer: the terminator of a stream, or the whole body. */
  end(): Uint8Array
  /** The last words of a stream that broke off: an error event and no terminator. */
  fail(fault: Fault): Uint8Array
  /** A sign of life that no client takes for content. */
  heartbeat(): Uint8Array
}

export interface Dialect {
  readonly name: DialectName
  /** Throws a Fault (bad-request) that names the place and the remedy. */
  parse(bytes: Buffer): ChatCall
  /** `createdMs`: the moment to write as the answer's creation, where the provider gave none. */
  writer(call: ChatCall, createdMs: number): AnswerWriter
  /** The body of an answer that is a refusal, for any status. */
  refusal(fault: Fault): Uint8Array
}
