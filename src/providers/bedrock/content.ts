/** Parts of OpenAI's content as blocks of Converse's. */
import type { ContentPart } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { fileOf, imageOf, type Source, textOf } from '../kit/messages.ts'

/** One block of a message; its only field says what it is: text, image, document, toolUse, toolResult, reasoningContent, cachePoint. */
export type Block = Readonly<Record<string, unknown>>

const IMAGE_FORMATS: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/gif': 'gif',
  'image/webp': 'webp',
}

const DOCUMENT_FORMATS: Readonly<Record<string, string>> = {
  'application/pdf': 'pdf',
  'text/csv': 'csv',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'text/html': 'html',
  'text/markdown': 'md',
  'text/plain': 'txt',
  'application/json': 'txt',
}

const LONGEST_NAME = 200

/** Names of documents within one call: they have to be legal, and no two may be the same. */
export type DocumentNames = (filename: string | undefined) => string

export function documentNames(): DocumentNames {
  const used = new Set<string>()
  return filename => {
    const legal = legalName(filename)
    let name = legal
    for (let count = 2; used.has(name); count++) name = `${legal.slice(0, LONGEST_NAME - 8)} ${count}`
    used.add(name)
    return name
  }
}

/** Letters, digits, single spaces, hyphens, round and square brackets. The ending says nothing that the format does not say. */
function legalName(filename: string | undefined): string {
  const name = (filename ?? '')
    .replace(/\.[A-Za-z0-9]{1,5}$/, '')
    .replace(/[^A-Za-z0-9()[\]-]+/g, ' ')
    .trim()
    .slice(0, LONGEST_NAME)
    .trim()
  return name === '' ? 'document' : name
}

/** A part as a block; undefined for a blank text (refused with 400 if sent) and for what `untranslatable` names. */
export function blockOf(part: ContentPart, names: DocumentNames): Block | undefined {
  const text = textOf(part)
  if (text !== undefined) return text.trim() === '' ? undefined : { text }
  if (part.type === 'image_url') return imageBlock(imageOf(part))
  return part.type === 'file' ? fileBlock(part, names) : undefined
}

/** Why a part cannot be sent; undefined when it can. */
export function untranslatable(part: ContentPart): string | undefined {
  if (textOf(part) !== undefined || blockOf(part, () => 'document') !== undefined) return undefined
  if (part.type === 'image_url') return 'an image that is not png, jpeg, gif or webp data within the call'
  if (part.type === 'file') return 'a file that is not data within the call, of a kind that it reads'
  return `content of type ${part.type}`
}

/** The cache point that the author of a part, a message or a tool asked for behind it. */
export function cachePointOf(author: Readonly<Record<string, unknown>>): Block | undefined {
  const cacheControl = asObject(author.cache_control)
  if (cacheControl === undefined) return undefined
  const { ttl } = cacheControl
  return { cachePoint: { type: 'default', ...(ttl === '5m' || ttl === '1h' ? { ttl } : {}) } }
}

function imageBlock(source: Source | undefined): Block | undefined {
  if (source?.kind !== 'inline') return undefined
  const format = IMAGE_FORMATS[source.mediaType]
  return format === undefined ? undefined : { image: { format, source: { bytes: source.base64 } } }
}

function fileBlock(part: ContentPart, names: DocumentNames): Block | undefined {
  const file = fileOf(part)
  if (file?.source.kind !== 'inline') return undefined
  const { mediaType, base64 } = file.source
  if (mediaType.startsWith('image/')) return imageBlock(file.source)
  const format = DOCUMENT_FORMATS[mediaType]
  return format === undefined ? undefined : { document: { format, name: names(file.name), source: { bytes: base64 } } }
}
