/** Parts of OpenAI's content as blocks of Anthropic's. */
import type { ContentPart } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { fileOf, imageOf, type Source, textOf } from '../kit/messages.ts'

/** One block of a message: text, image, document, thinking, tool_use, tool_result … */
export interface Block {
  readonly type: string
  readonly [field: string]: unknown
}

const IMAGES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp'])
/** Ids of Anthropic's Files API; another provider's ids look different and mean nothing there. */
const FILE_ID = /^file_/

/** A part as a block; undefined for an empty text (refused with 400 if sent) and for what `untranslatable` names. */
export function blockOf(part: ContentPart): Block | undefined {
  const text = textOf(part)
  if (text !== undefined) return text.trim() === '' ? undefined : withCacheControl({ type: 'text', text }, part)
  const block = part.type === 'image_url' ? imageBlock(imageOf(part)) : part.type === 'file' ? fileBlock(part) : undefined
  return block && withCacheControl(block, part)
}

/** Why a part cannot be sent to Anthropic; undefined when it can. */
export function untranslatable(part: ContentPart): string | undefined {
  if (textOf(part) !== undefined || blockOf(part) !== undefined) return undefined
  if (part.type === 'image_url') return 'an image that is neither jpeg, png, gif or webp data nor at an http address'
  if (part.type === 'file') return 'a file that is neither pdf or text data, nor at an http address, nor one of its own'
  return `content of type ${part.type}`
}

/** The same block with the cache breakpoint that its author asked for, if any. */
export function withCacheControl(block: Block, author: Readonly<Record<string, unknown>>): Block {
  const cacheControl = asObject(author.cache_control)
  return cacheControl === undefined ? block : { ...block, cache_control: cacheControl }
}

/** Whether this block needs the Files API, which is asked for by a header. */
export function refersToFile(block: Block): boolean {
  return asObject(block.source)?.type === 'file'
}

function imageBlock(source: Source | undefined): Block | undefined {
  switch (source?.kind) {
    case 'inline':
      if (!IMAGES.has(source.mediaType)) return undefined
      return { type: 'image', source: { type: 'base64', media_type: source.mediaType, data: source.base64 } }
    case 'address':
      return { type: 'image', source: { type: 'url', url: source.url } }
    default:
      return undefined
  }
}

function fileBlock(part: ContentPart): Block | undefined {
  const file = fileOf(part)
  if (file === undefined) return undefined
  if (file.source.kind === 'inline' && file.source.mediaType.startsWith('image/')) return imageBlock(file.source)
  const source = documentSource(file.source)
  if (source === undefined) return undefined
  return { type: 'document', source, ...(file.name === undefined ? {} : { title: file.name }) }
}

function documentSource(source: Source): Readonly<Record<string, unknown>> | undefined {
  switch (source.kind) {
    case 'address':
      return { type: 'url', url: source.url }
    case 'id':
      return FILE_ID.test(source.id) ? { type: 'file', file_id: source.id } : undefined
    case 'inline': {
      if (source.mediaType === 'application/pdf') return { type: 'base64', media_type: source.mediaType, data: source.base64 }
      if (!source.mediaType.startsWith('text/') && source.mediaType !== 'application/json') return undefined
      // Every text goes as text/plain, the only media type that is taken here.
      return { type: 'text', media_type: 'text/plain', data: Buffer.from(source.base64, 'base64').toString('utf8') }
    }
  }
}
