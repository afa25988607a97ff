/*
 * OpenAI's messages taken apart, for translators whose own messages look different: parts of content, data URLs, arguments of tool
 * calls, turns in place of single messages, and tool ids within a provider's alphabet. Everything here reads what a client wrote, so
 * nothing may throw on odd input: what has the wrong type is treated as if it were not there.
 */
import type { ChatMessage, ContentPart } from '../../core/chat.ts'
import { asObject, tryParse } from '../../core/json.ts'
import { madeToolId } from './tool-ids.ts'

/** Content as parts: a string becomes one text part, null and nothing become none. */
export function partsOf(content: ChatMessage['content']): readonly ContentPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return []
  return (content as readonly unknown[]).filter(part => typeof asObject(part)?.type === 'string') as ContentPart[]
}

/** The text of one part: of text and of refusals, which an assistant said as well; undefined for anything else. */
export function textOf(part: ContentPart): string | undefined {
  const text = part.type === 'text' ? part.text : part.type === 'refusal' ? part.refusal : undefined
  return typeof text === 'string' ? text : undefined
}

export interface DataUrl {
  /** In lower case, without parameters; `text/plain` where the URL names none. */
  readonly mediaType: string
  readonly base64: string
}

/** The content of a `data:` URL, as base64 whatever the URL's own encoding; undefined when it is no such URL. */
export function parseDataUrl(url: string): DataUrl | undefined {
  const comma = url.indexOf(',')
  if (comma === -1 || url.slice(0, 5).toLowerCase() !== 'data:') return undefined
  const [mediaType, ...parameters] = url
    .slice(5, comma)
    .split(';')
    .map(part => part.trim().toLowerCase())
  const content = url.slice(comma + 1)
  const base64 = parameters.includes('base64') ? content : Buffer.from(percentDecoded(content)).toString('base64')
  return { mediaType: mediaType || 'text/plain', base64 }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Where the bytes of an image or a file are: in the call, at an address, or with the provider under an id. */
export type Source =
  | { readonly kind: 'inline'; readonly mediaType: string; readonly base64: string }
  | { readonly kind: 'address'; readonly url: string }
  | { readonly kind: 'id'; readonly id: string }

/** The picture of an `image_url` part, in the official form (an object) or as the bare string that some clients send. */
export function imageOf(part: ContentPart): Source | undefined {
  const image = part.image_url
  const url = typeof image === 'string' ? image : asObject(image)?.url
  return typeof url === 'string' ? sourceOf(url) : undefined
}

/** The document of a `file` part, with its name. Data without a `data:` prefix is taken for what the file's name says it is. */
export function fileOf(part: ContentPart): { readonly source: Source; readonly name?: string } | undefined {
  const file = asObject(part.file)
  if (file === undefined) return undefined
  const name = typeof file.filename === 'string' && file.filename !== '' ? file.filename : undefined
  const source = sourceOfFile(file, name)
  if (source === undefined) return undefined
  return name === undefined ? { source } : { source, name }
}

function sourceOfFile(file: Readonly<Record<string, unknown>>, name: string | undefined): Source | undefined {
  if (typeof file.file_id === 'string') return { kind: 'id', id: file.file_id }
  const content = file.file_data ?? file.file_url
  if (typeof content !== 'string' || content === '') return undefined
  const source = sourceOf(content)
  if (source !== undefined || content.includes(':')) return source
  const mediaType = MEDIA_TYPES[name?.split('.').at(-1)?.toLowerCase() ?? '']
  return mediaType === undefined ? undefined : { kind: 'inline', mediaType, base64: content }
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  xls: 'application/vnd.ms-excel',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
}

function sourceOf(url: string): Source | undefined {
  if (/^https?:\/\//i.test(url)) return { kind: 'address', url }
  const inline = parseDataUrl(url)
  if (inline === undefined) return undefined
  // A name that is in wide use and that no provider takes.
  const mediaType = inline.mediaType === 'image/jpg' ? 'image/jpeg' : inline.mediaType
  return { kind: 'inline', mediaType, base64: inline.base64 }
}

/**
 * The arguments of a tool call as an object. Nothing at all means no arguments. What is not a JSON object (a model may write broken
 * JSON, and the client must still send it back) is kept under `raw`, so that the model sees what it has written and can do better.
 */
export function argumentsOf(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== 'string' || json.trim() === '') return {}
  return asObject(tryParse(json)) ?? { raw: json }
}

/** Consecutive messages that one side said, in the order in which they came. */
export interface MessageTurn {
  readonly role: 'user' | 'assistant'
  readonly messages: readonly ChatMessage[]
}

/**
 * Splits a conversation into its instructions (system and developer messages, wherever they stand) and turns that alternate. The
 * results of tools belong to the user's side.
 */
export function turnsOf(messages: readonly ChatMessage[]): {
  readonly instructions: readonly ChatMessage[]
  readonly turns: readonly MessageTurn[]
} {
  const instructions: ChatMessage[] = []
  const turns: { readonly role: 'user' | 'assistant'; readonly messages: ChatMessage[] }[] = []
  for (const message of messages) {
    if (message.role === 'system' || message.role === 'developer') {
      instructions.push(message)
      continue
    }
    const role = message.role === 'assistant' ? 'assistant' : 'user'
    const last = turns.at(-1)
    if (last?.role === role) last.messages.push(message)
    else turns.push({ role, messages: [message] })
  }
  return { instructions, turns }
}

/** Names for tool calls that one provider accepts, the same for a call and its result. */
export interface ToolIds {
  forCall(id: string): string
  forResult(id: string): string
}

/**
 * Tool ids that match `legal`, for one walk through one conversation. A legal id stays as it is, any other becomes a hash of itself, so
 * that the same id is always the same. An id that a later turn uses again (some servers count from `call_0` in every answer) gets a
 * number, where ids must be unique; a result belongs to the latest call of its id.
 */
export function toolIds(legal: RegExp): ToolIds {
  const uses = new Map<string, number>()
  const latest = new Map<string, string>()
  const renamed = (id: string) => (legal.test(id) ? id : madeToolId(id))

  return {
    forCall(id) {
      const first = renamed(id)
      const times = (uses.get(first) ?? 0) + 1
      uses.set(first, times)
      const unique = times === 1 ? first : `${first}_${times}`
      latest.set(id, unique)
      return unique
    },
    forResult: id => latest.get(id) ?? renamed(id),
  }
}
