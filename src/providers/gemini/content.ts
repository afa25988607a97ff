/** Parts of OpenAI's content as parts of Gemini's. */
import type { ContentPart } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { fileOf, imageOf, type Source, textOf } from '../kit/messages.ts'
import type { Traits } from './models.ts'
import type { Site } from './site.ts'

/** text, inlineData, fileData, functionCall or functionResponse, with a signature beside it at times. */
export type Part = Readonly<Record<string, unknown>>

const IMAGES = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/heic', 'image/heif'])
const TYPES_OF_FILES = /^(?:image|audio|video|text)\/|^application\/(?:pdf|json|x-javascript|x-python)$/
const AUDIO: Readonly<Record<string, string>> = {
  wav: 'audio/wav',
  mp3: 'audio/mp3',
  aiff: 'audio/aiff',
  aac: 'audio/aac',
  ogg: 'audio/ogg',
  flac: 'audio/flac',
}
const BY_ENDING: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  heic: 'image/heic',
  heif: 'image/heif',
  pdf: 'application/pdf',
  txt: 'text/plain',
  html: 'text/html',
  csv: 'text/csv',
  json: 'application/json',
  mp4: 'video/mp4',
  webm: 'video/webm',
  mov: 'video/quicktime',
  ...AUDIO,
}
/** What these services can always read: files that were given to them, and videos. */
const OWN_FILE = /^https:\/\/generativelanguage\.googleapis\.com\/|^files\//
const VIDEO_PAGE = /^https:\/\/(?:www\.|m\.)?(?:youtube\.com\/|youtu\.be\/)/

/** A part of a message; undefined for an empty text (refused with 400 if sent) and for what `untranslatable` names. */
export function partOf(part: ContentPart, traits: Traits, site: Site): Part | undefined {
  const text = textOf(part)
  if (text !== undefined) return text === '' ? undefined : { text }
  switch (part.type) {
    case 'image_url':
      return mediaPart(bucketOf(asObject(part.image_url)?.url ?? part.image_url) ?? imageOf(part), 'image/jpeg', traits, site)
    case 'file':
      return mediaPart(bucketOf(asObject(part.file)?.file_url) ?? fileOf(part)?.source, 'application/pdf', traits, site)
    case 'input_audio':
      return audioPart(asObject(part.input_audio))
    default:
      return undefined
  }
}

/** Why a part cannot be sent; undefined when it can. */
export function untranslatable(part: ContentPart, traits: Traits, site: Site): string | undefined {
  if (textOf(part) !== undefined || partOf(part, traits, site) !== undefined) return undefined
  if (part.type === 'image_url') return 'an image that is neither png, jpeg, webp or heic data nor at an address that it reads'
  if (part.type === 'file') return 'a file of a type or at a place that it does not read'
  return `content of type ${part.type}`
}

function mediaPart(source: Source | undefined, otherwise: string, traits: Traits, site: Site): Part | undefined {
  switch (source?.kind) {
    case 'inline': {
      const { mediaType, base64 } = source
      const known = mediaType.startsWith('image/') ? IMAGES.has(mediaType) : TYPES_OF_FILES.test(mediaType)
      return known ? { inlineData: { mimeType: mediaType, data: base64 } } : undefined
    }
    case 'address':
      return isReadable(source.url, traits, site) ? fileData(source.url, otherwise) : undefined
    case 'id':
      return site.files && OWN_FILE.test(source.id) ? { fileData: { fileUri: fileUri(source.id) } } : undefined
    default:
      return undefined
  }
}

function isReadable(url: string, traits: Traits, site: Site): boolean {
  if (OWN_FILE.test(url)) return site.files
  return traits.addresses || VIDEO_PAGE.test(url) || site.buckets
}

function fileData(url: string, otherwise: string): Part {
  if (OWN_FILE.test(url)) return { fileData: { fileUri: url } }
  const mimeType = VIDEO_PAGE.test(url) ? 'video/mp4' : (BY_ENDING[endingOf(url)] ?? otherwise)
  return { fileData: { mimeType, fileUri: url } }
}

function fileUri(id: string): string {
  return id.startsWith('files/') ? `https://generativelanguage.googleapis.com/v1beta/${id}` : id
}

function endingOf(url: string): string {
  const path = url.split(/[?#]/, 1)[0]!
  return path.slice(path.lastIndexOf('.') + 1).toLowerCase()
}

/** An object in Google's cloud storage, which is read by the site that has buckets. */
function bucketOf(url: unknown): Source | undefined {
  return typeof url === 'string' && url.startsWith('gs://') ? { kind: 'address', url } : undefined
}

function audioPart(audio: Readonly<Record<string, unknown>> | undefined): Part | undefined {
  const mimeType = AUDIO[String(audio?.format)]
  return mimeType === undefined || typeof audio?.data !== 'string' ? undefined : { inlineData: { mimeType, data: audio.data } }
}
