/*
 * A call with less in it, for models that can do less: a shorter answer, no tools, no pictures, no schema. What is taken out of a
 * conversation leaves a word in its place, so that the model knows that something was there and does not make it up.
 */
import type { Feature } from '../core/attempt.ts'
import type { ChatBody, ChatCall, ChatMessage, ContentPart } from '../core/chat.ts'
import { type JsonObjectSource, type Spans, scanObject, spliceObject } from '../core/json.ts'

export interface Reduction {
  /** The longest answer, in tokens; undefined: as long as the call allows. */
  readonly maxTokens: number | undefined
  readonly drop: readonly Feature[]
}

export interface Reduced {
  readonly call: ChatCall
  /** What was there to be dropped. */
  readonly leftOut: readonly Feature[]
}

export function reducedCall(call: ChatCall, { maxTokens, drop }: Reduction): Reduced {
  const edits: Record<string, unknown> = {}
  const leftOut = drop.filter(feature => DROPS[feature](call.body, edits))
  if (maxTokens !== undefined) cap(call.body, maxTokens, edits)
  return { call: Object.keys(edits).length === 0 ? call : edited(call, edits), leftOut }
}

type Edits = Record<string, unknown>

/** Each writes what it changes into the edits, over what those before it wrote. @returns whether there was anything of its feature */
const DROPS: Readonly<Record<Feature, (body: ChatBody, edits: Edits) => boolean>> = {
  tools: dropTools,
  vision(body, edits) {
    const messages = messagesOf(body, edits)
    if (!messages.some(hasPicture)) return false
    edits.messages = messages.map(withoutPictures)
    return true
  },
  json_schema(body, edits) {
    if (body.response_format?.type !== 'json_schema') return false
    edits.response_format = undefined
    return true
  },
}

const messagesOf = (body: ChatBody, edits: Edits) => (edits.messages ?? body.messages) as readonly ChatMessage[]

const TOOL_FIELDS = ['tools', 'tool_choice', 'parallel_tool_calls', 'functions', 'function_call'] as const

function dropTools(body: ChatBody, edits: Edits): boolean {
  const fields = TOOL_FIELDS.filter(field => body[field] !== undefined)
  for (const field of fields) edits[field] = undefined
  const messages = messagesOf(body, edits)
  const speaksOfTools = messages.some(({ role, tool_calls: calls }) => role === 'tool' || (calls?.length ?? 0) > 0)
  if (speaksOfTools) edits.messages = toolsInWords(messages)
  return fields.length > 0 || speaksOfTools
}

/** Models without tools, and their servers, take neither calls nor results: both are told in words. */
function toolsInWords(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const names = new Map<string, string>()
  return messages.map(message => {
    const { tool_calls: calls, ...rest } = message
    if (message.role === 'tool') {
      const name = names.get(message.tool_call_id ?? '')
      return { role: 'user', content: `[Result${name === undefined ? '' : ` of ${name}`}] ${textOf(message.content)}` }
    }
    if (calls === undefined || calls === null || calls.length === 0) return message
    const said = calls.map(call => {
      names.set(call.id, call.function?.name ?? 'a tool')
      return `[Called ${call.function?.name ?? 'a tool'} with ${call.function?.arguments ?? 'input of its own'}]`
    })
    return { ...rest, content: [textOf(message.content), ...said].filter(line => line !== '').join('\n') }
  })
}

function textOf(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content
  return (content ?? []).map(part => (typeof part.text === 'string' ? part.text : '')).join('')
}

const isPicture = (part: ContentPart) => part.type === 'image_url'
const hasPicture = ({ content }: ChatMessage) => Array.isArray(content) && content.some(isPicture)
const NO_PICTURE: ContentPart = { type: 'text', text: '[An image was here; it cannot be shown.]' }

function withoutPictures(message: ChatMessage): ChatMessage {
  if (!hasPicture(message)) return message
  return { ...message, content: (message.content as readonly ContentPart[]).map(part => (isPicture(part) ? NO_PICTURE : part)) }
}

/** Where a call names no limit of its own, the older name of the field is the one that every translator knows. */
function cap({ max_tokens: older, max_completion_tokens: newer }: ChatBody, most: number, edits: Edits): void {
  if (typeof newer === 'number' && newer > most) edits.max_completion_tokens = most
  if (typeof older === 'number' ? older > most : typeof newer !== 'number') edits.max_tokens = most
}

/** The depth was bounded when the call came, and nothing deeper has been put in. */
const ANY_DEPTH = Number.POSITIVE_INFINITY

interface Edited extends ChatCall {
  readonly [MADE_OF]: { readonly call: ChatCall; readonly edits: Edits; source: JsonObjectSource | undefined }
}

const MADE_OF = Symbol('made of')

/**
 * The bytes are written when somebody asks for them: most rungs of a plan are never tried. By one getter for all: whatever the getter of
 * an object literal can see, V8 keeps until its next full collection, and that would be every call.
 */
const SOURCE: PropertyDescriptor & ThisType<Edited> = {
  enumerable: true,
  get() {
    const made = this[MADE_OF]
    const { call, edits } = made
    made.source ??= scanned(call.dialect === 'chat' ? spliceObject(call.source, edits) : Buffer.from(JSON.stringify(this.body)))
    return made.source
  },
}

function edited(call: ChatCall, edits: Edits): ChatCall {
  const body: Record<string, unknown> = { ...call.body, ...edits }
  for (const field in edits) if (edits[field] === undefined) delete body[field]
  const { source: _, ...rest } = call
  // In any other dialect the client's own bytes say what has been taken out.
  const whole = body as ChatBody
  const made = { ...rest, dialect: 'chat', body: whole, shape: whole, [MADE_OF]: { call, edits, source: undefined } } as const
  return Object.defineProperty(made, 'source', SOURCE) as Edited
}

function scanned(bytes: Buffer): JsonObjectSource {
  return { bytes, spans: scanObject(bytes, ANY_DEPTH) as Spans }
}
