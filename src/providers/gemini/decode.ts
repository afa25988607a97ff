/*
 * Answers, whole and streamed. A stream has no terminator: it is over when the connection is. An error may follow the events as bare
 * JSON, without the stream's framing; it is the last word, whatever reason to finish came before (older models give one with every event).
 */
import type { ChatEvent } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoded, Decoder, Frame } from '../../core/provider.ts'
import { answerOf, type Classify, errorInside, type Fields } from './answer.ts'

/** An error is far smaller than this; what is larger is none. */
const LONGEST_TAIL = 256 * 1024

/** Throws a Fault when the body is an error or no answer. */
export function decodeWhole(body: unknown, classify: Classify): readonly ChatEvent[] {
  const answer = answerOf(classify, true)
  const events = chunksOf(body)?.flatMap(chunk => answer.take(chunk))
  if (events === undefined)
    throw new Fault('upstream-garbled', { detail: 'a 200 that is neither an object nor a list of objects' })
  // What ends a choice comes before what it cost, as in every other answer.
  const usage = events.filter(event => event.type === 'usage').slice(-1)
  return [...events.filter(event => event.type !== 'usage'), ...answer.end(), ...usage]
}

/** The chunks of an answer; undefined where something is none. */
function chunksOf(body: unknown): readonly Fields[] | undefined {
  const chunks = (Array.isArray(body) ? (body as readonly unknown[]) : [body]).map(asObject)
  return chunks.every(chunk => chunk !== undefined) ? chunks : undefined
}

export function streamDecoder(classify: Classify): Decoder {
  const answer = answerOf(classify, false)
  let tail = ''

  function push(frame: Frame): Decoded {
    if (frame.data === undefined) {
      if (frame.unframed !== undefined && tail.length < LONGEST_TAIL) tail += frame.unframed
      return []
    }
    const chunks = chunksOf(tryParse(frame.data))
    return chunks === undefined ? 'malformed' : chunks.flatMap(chunk => answer.take(chunk))
  }

  function end(): readonly ChatEvent[] {
    const said = tail === '' ? undefined : tryParse(tail)
    const error = asObject(Array.isArray(said) ? said[0] : said)
    if (error?.error !== undefined && error.error !== null) throw errorInside(classify, error)
    return answer.end()
  }

  return { push, end }
}
