/*
 * OpenAI, and everybody who speaks like it. A relative is what it does differently, as data: fields it does not know, fields it calls
 * something else, the ids it accepts, what its errors mean. The call itself is not translated: the client's bytes go on, with only those
 * top-level values replaced that must differ. A conversation is written again only where one of its messages has to change.
 */
import { z } from 'zod'
import type { Abilities, Target } from '../../core/attempt.ts'
import type { ChatCall, ChatMessage } from '../../core/chat.ts'
import { spliceObject } from '../../core/json.ts'
import type { Provider, UpstreamRequest } from '../../core/provider.ts'
import { classifyBy, type Rule } from '../kit/failure.ts'
import { beginningOf, whyNotBegun } from '../kit/prefill.ts'
import { renameToolIds, shortToolId } from '../kit/tool-ids.ts'
import { type Asked, inability } from './abilities.ts'
import { type AnswerTraits, answerDecoder, decodeAnswer } from './answer.ts'
import { isDefault } from './defaults.ts'
import { abilities } from './known-models.ts'
import type { Rewrite } from './messages.ts'
import { refusedFields, renamedFields, roles } from './models.ts'

/** Top-level values to replace; an undefined one takes the field out. */
export type Edits = Readonly<Record<string, unknown>>

/** How a relative is handed an answer that has begun, and told to go on with it. */
export interface Prefill {
  /** Whether it answers with what follows alone, or says the beginning again. */
  readonly answers: 'continued' | 'echoed'
  /** Fields of the last message, which is the beginning. Left out: that an assistant's message is the last one is enough. */
  readonly message?: Readonly<Record<string, unknown>>
  /** Fields of the call. */
  readonly call?: Edits
  /** Where such calls go, in place of the target's base path. */
  readonly basePath?: (basePath: string) => string
}

/** What a relative does differently. */
export interface Relative {
  readonly name: string
  /** Left out: base_url must be configured. */
  readonly baseUrl?: string
  /** Its id in the list of known prices, where that is not its name. */
  readonly pricedAs?: string
  /** Its name in traces, where that is not its name. */
  readonly tracedAs?: string
  /** What is known of its models. */
  readonly abilities?: (model: string) => Abilities
  readonly path?: string
  /** Usage comes unasked, and to ask for it is an error. */
  readonly usageUnasked?: true
  /** The only fields it takes: every other is left out. */
  readonly knows?: ReadonlySet<string>
  /** Fields that it refuses, or ignores, and that only tune. */
  readonly drops?: readonly string[] | ((call: ChatCall, target: Target) => readonly string[])
  /** Its own names for fields. */
  readonly renames?: Readonly<Record<string, string>> | ((call: ChatCall, target: Target) => Readonly<Record<string, string>>)
  /** Values that it wants differently. What stands here as undefined is left out. */
  readonly adjust?: (call: ChatCall, target: Target) => Edits
  /** Messages that it wants differently, one rewrite after the other. */
  readonly messages?: readonly Rewrite[] | ((call: ChatCall, target: Target) => readonly Rewrite[])
  /** What it cannot do at all. */
  readonly cannot?: readonly Asked[]
  /** Further reasons not to take a call. */
  readonly refuses?: (call: ChatCall, target: Target) => string | undefined
  readonly rules?: readonly Rule[]
  /** Its answers are not quite OpenAI's, so that a client of OpenAI's must not get its bytes as they are. */
  readonly writesOtherwise?: true
  /** It can go on with an answer that has begun. */
  readonly prefill?: Prefill
  /** It counts reasoning beside completion_tokens, not inside. */
  readonly reasoningBeside?: true
  /** Its streams may end with [DONE] and usage, and no finish reason. */
  readonly finishMayBeMissing?: true
}

/** A provider that speaks OpenAI's chat API, but for what `relative` says. */
export function openAIFamily(relative: Relative): Provider {
  const rules = relative.rules ?? []
  const path = relative.path ?? '/chat/completions'
  const { prefill } = relative
  const traits: AnswerTraits = {
    rules,
    reasoningBeside: relative.reasoningBeside ?? false,
    finishMayBeMissing: relative.finishMayBeMissing ?? false,
  }

  function encode(call: ChatCall, target: Target): UpstreamRequest {
    const { edits, leftOut } = editsOf(relative, call, target)
    const beginning = prefill === undefined ? undefined : beginningOf(call)
    const told = leftOut.length === 0 ? {} : { leftOut }
    if (beginning === undefined) return { path: target.basePath + path, body: written(call, edits), ...told }
    const basePath = prefill?.basePath?.(target.basePath) ?? target.basePath
    const last = { role: 'assistant', content: beginning, ...prefill?.message }
    return { path: basePath + path, body: written(call, { ...edits, ...prefill?.call }, last), ...told }
  }

  return {
    name: relative.name,
    baseUrl: relative.baseUrl,
    ...(relative.pricedAs === undefined ? {} : { pricedAs: relative.pricedAs }),
    ...(relative.tracedAs === undefined ? {} : { tracedAs: relative.tracedAs }),
    ...(relative.abilities === undefined ? {} : { abilities: relative.abilities }),
    options: z.strictObject({}),
    dialect: relative.writesOtherwise === true ? undefined : 'chat',
    ...(prefill === undefined ? {} : { prefill: prefill.answers }),
    framing: 'sse',
    authorize: (key): Readonly<Record<string, string>> => (key === '' ? {} : { authorization: `Bearer ${key}` }),
    refuses: (call, target) =>
      inability(call.shape, relative.cannot ?? []) ?? whyNotBegun(call) ?? relative.refuses?.(call, target),
    encode,
    decode: body => decodeAnswer(body, traits),
    decoder: () => answerDecoder(traits),
    classify: failure => classifyBy(rules, failure),
  }
}

/** The call as the client wrote it, with what has to be different, and one more message at its end. */
function written(call: ChatCall, edits: Edits, last?: ChatMessage): Buffer | string {
  if (last === undefined)
    return call.dialect === 'chat' ? spliceObject(call.source, edits) : JSON.stringify({ ...call.body, ...edits })
  const changed = edits.messages as readonly ChatMessage[] | undefined
  if (call.dialect === 'chat' && changed === undefined) return spliceObject(call.source, edits, { messages: last })
  const messages = [...(changed ?? call.body.messages), last]
  return call.dialect === 'chat'
    ? spliceObject(call.source, { ...edits, messages })
    : JSON.stringify({ ...call.body, ...edits, messages })
}

/** A limit beyond what the model can write is refused with 400, though another model of the route may well have it. */
const LIMITS = ['max_tokens', 'max_completion_tokens']

function editsOf(
  relative: Relative,
  call: ChatCall,
  target: Target,
): { readonly edits: Edits; readonly leftOut: readonly string[] } {
  const { shape } = call
  const edits: Record<string, unknown> = { model: target.model }
  const leftOut: string[] = []
  const leave = (field: string) => {
    edits[field] = undefined
    if (!isDefault(field, shape[field])) leftOut.push(field)
  }
  if ((shape.stream ?? false) !== call.stream) edits.stream = call.stream
  if (relative.usageUnasked === true) {
    if (shape.stream_options !== undefined) edits.stream_options = undefined
  } else if (call.stream && shape.stream_options?.include_usage !== true) {
    edits.stream_options = { ...(shape.stream_options && call.body.stream_options), include_usage: true }
  }
  const renames = resolved(relative.renames, call, target) ?? {}
  for (const from in renames) {
    const to = renames[from]!
    if (shape[from] === undefined) continue
    if (shape[to] === undefined || shape[to] === null) edits[to] = call.body[from]
    edits[from] = undefined
  }
  for (const field of resolved(relative.drops, call, target) ?? []) if (shape[field] !== undefined) leave(field)
  const { knows } = relative
  if (knows !== undefined) for (const field in call.body) if (!knows.has(field) && !(field in edits)) leave(field)
  const adjusted = relative.adjust?.(call, target) ?? {}
  for (const field in adjusted) {
    if (adjusted[field] !== undefined) edits[field] = adjusted[field]
    else if (shape[field] !== undefined) leave(field)
  }
  const { maxOutput } = target.abilities
  for (const field of LIMITS) {
    const asked = field in edits ? edits[field] : shape[field]
    if (maxOutput !== undefined && typeof asked === 'number' && asked > maxOutput) edits[field] = maxOutput
  }
  const rewrites = resolved(relative.messages, call, target) ?? []
  const messages = rewritten(shape.messages, rewrites)
  // What is not ASCII decides nothing: a conversation that would stay the same need not be made.
  if (messages !== shape.messages) edits.messages = call.body === shape ? messages : rewritten(call.body.messages, rewrites)
  return { edits, leftOut }
}

function rewritten(messages: readonly ChatMessage[], rewrites: readonly Rewrite[]): readonly ChatMessage[] {
  return rewrites.reduce((left, rewrite) => rewrite(left), messages)
}

function resolved<Value>(
  value: Value | ((call: ChatCall, target: Target) => Value) | undefined,
  call: ChatCall,
  target: Target,
): Value | undefined {
  return typeof value === 'function' ? (value as (call: ChatCall, target: Target) => Value)(call, target) : value
}

/** Some of its models take 64, none refuses 40. */
const LONGEST_TOOL_ID = 40
const shortIds: Rewrite = messages => renameToolIds(messages, id => shortToolId(id, LONGEST_TOOL_ID))

export const openai: Provider = openAIFamily({
  name: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  abilities,
  drops: (call, target) => refusedFields(call, target.model),
  renames: (_, target) => renamedFields(target.model),
  messages: (_, target) => [...roles(target.model), shortIds],
  refuses: (call, target) =>
    target.model.includes('-search-preview') ? inability(call.shape, ['more than one choice']) : undefined,
  rules: [
    // A message that is too long is not too long a conversation in words, but it is in fact.
    { code: /^string_above_max_length$/, message: /messages\[\d+\]\.content|'input'/, fault: 'context-too-long' },
    // One call larger than a whole minute's tokens: no waiting and no resting of the key helps, only a target that takes more.
    { status: 429, message: /^Request too large for/, fault: 'context-too-long' },
    { code: /^(?:invalid_prompt|cyber_policy|bio_policy)$/, fault: 'content-filtered' },
  ],
})
