/*
 * Answers. A whole one and a line of a streamed one have the same form, and a whole one is a stream of one line: a message with text,
 * thoughts and calls (each of them complete), and at the end `done`, a reason and the counts. The ids that OpenAI's clients expect are
 * made, and a reason for calls does not exist: they end with `stop` like everything else.
 */
import type { ChatEvent, FinishReason, Usage } from '../../core/chat.ts'
import { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import type { Decoded, Decoder, Frame } from '../../core/provider.ts'
import { madeToolId } from '../kit/tool-ids.ts'
import { errorInside } from './rules.ts'

type Fields = Readonly<Record<string, unknown>>

/** Throws a Fault when it is an error, or no answer: no message at all, or one that says nothing and is complete. */
export function decode(body: unknown): readonly ChatEvent[] {
  const line = asObject(body)
  throwIfFailed(line)
  if (line === undefined || asObject(line.message) === undefined)
    throw new Fault('upstream-garbled', { detail: 'a 200 without a message' })
  return reader().read({ ...line, done: true })
}

/** Decodes one streamed answer; a frame is one line. */
export function decoder(): Decoder {
  const answer = reader()
  let finished = false

  function push(frame: Frame): Decoded {
    const written = frame.data?.trim()
    if (written === undefined || written === '') return []
    const line = asObject(tryParse(written))
    if (line === undefined) return 'malformed'
    throwIfFailed(line)
    if (finished) return []
    finished = line.done === true
    return answer.read(line)
  }

  function end(): readonly ChatEvent[] {
    if (!finished) throw new Fault('upstream-truncated', { detail: 'the stream ended before its line with "done"' })
    return []
  }

  return { push, end }
}

function throwIfFailed(line: Fields | undefined): void {
  if (line?.error !== undefined && line.error !== null && line.error !== '') throw errorInside(line)
}

/** Reads the lines of one answer. */
function reader(): { read(line: Fields): readonly ChatEvent[] } {
  let started = false
  let said = false
  let calls = 0

  function read(line: Fields): readonly ChatEvent[] {
    const events: ChatEvent[] = []
    if (!started) {
      started = true
      events.push({ type: 'start', id: '', model: text(line.model) })
    }
    const message = asObject(line.message) ?? {}
    const thought = text(message.thinking)
    if (thought !== '') events.push({ type: 'reasoning-delta', choice: 0, text: thought })
    const words = text(message.content)
    if (words !== '') events.push({ type: 'text-delta', choice: 0, text: words })
    if (thought !== '' || words !== '') said = true
    if (Array.isArray(line.logprobs) && line.logprobs.length > 0) events.push(weighed(line.logprobs))
    for (const each of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
      const call = asObject(each)
      if (call !== undefined) events.push(...called(call, line))
    }
    if (line.done === true) events.push(...finish(line))
    return events
  }

  function called(call: Fields, line: Fields): readonly ChatEvent[] {
    const { name: given, arguments: input } = asObject(call.function) ?? {}
    const index = calls++
    const name = text(given)
    const json = asObject(input) === undefined ? text(input) || '{}' : JSON.stringify(input)
    const id = text(call.id) || madeToolId(text(line.created_at), text(line.model), index, name, json)
    return [
      { type: 'tool-start', choice: 0, index, id, name },
      { type: 'tool-delta', choice: 0, index, json },
    ]
  }

  function finish(line: Fields): readonly ChatEvent[] {
    const raw = text(line.done_reason)
    const reason: FinishReason = raw === 'length' ? 'length' : calls > 0 ? 'tool_calls' : 'stop'
    if (!said && reason === 'stop') throw new Fault('upstream-garbled', { detail: 'the answer is empty' })
    const usage = usageOf(line)
    const end: ChatEvent = { type: 'finish', choice: 0, reason, raw }
    return usage === undefined ? [end] : [end, { type: 'usage', usage }]
  }

  return { read }
}

/** Undefined when there is no count at all. A prompt that was cached as a whole is not counted by older versions: it is unknown. */
function usageOf(line: Fields): Usage | undefined {
  const input = count(line.prompt_eval_count)
  const output = count(line.eval_count)
  if (input === undefined && output === undefined) return undefined
  return { ...(input === undefined ? {} : { input }), ...(output === undefined ? {} : { output }) }
}

/** They have OpenAI's form but for what is left out where it is empty. */
function weighed(logprobs: readonly unknown[]): ChatEvent {
  const content = logprobs.flatMap(each => {
    const one = entry(each)
    const others: unknown = asObject(each)?.top_logprobs
    return one === undefined
      ? []
      : [{ ...one, top_logprobs: Array.isArray(others) ? others.flatMap(other => entry(other) ?? []) : [] }]
  })
  return { type: 'extra-delta', choice: 0, fields: { logprobs: { content, refusal: null } } }
}

function entry(value: unknown) {
  const { token, logprob, bytes } = asObject(value) ?? {}
  if (typeof token !== 'string' || typeof logprob !== 'number') return undefined
  return { token, logprob, bytes: Array.isArray(bytes) ? bytes : [...Buffer.from(token)] }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
