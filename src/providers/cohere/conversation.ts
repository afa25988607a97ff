/*
 * OpenAI's messages as Cohere's. They are near relatives: the differences are developer for system, thoughts that are either a plan
 * beside the calls or a block of the content, and that an assistant who said nothing is refused.
 */
import type { ChatMessage, ContentPart } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { fileOf, imageOf, partsOf, type Source, type ToolIds, textOf, toolIds } from '../kit/messages.ts'
import type { Traits } from './models.ts'
import { legalName } from './tool-names.ts'

type Fields = Readonly<Record<string, unknown>>

/** Any id will do, as long as it is one and names one call. */
const LEGAL_ID = /^.+$/s

/** @param instruction one more instruction, after those at the beginning */
export function conversationOf(
  messages: readonly ChatMessage[],
  traits: Traits,
  instruction: string | undefined,
): readonly Fields[] {
  const ids = toolIds(LEGAL_ID)
  const written = messages.flatMap<Fields>(message => messageOf(message, traits, ids) ?? [])
  if (instruction === undefined) return written
  const first = written.findIndex(({ role }) => role !== 'system')
  const at = first === -1 ? written.length : first
  return [...written.slice(0, at), { role: 'system', content: instruction }, ...written.slice(at)]
}

function messageOf(message: ChatMessage, traits: Traits, ids: ToolIds): Fields | undefined {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system', content: contentOf(message) }
    case 'assistant':
      return assistantOf(message, traits, ids)
    case 'tool':
      return { role: 'tool', tool_call_id: ids.forResult(message.tool_call_id ?? ''), content: contentOf(message) }
    default:
      return { role: 'user', content: contentOf(message) }
  }
}

/** A string as it came; parts as parts, those that hold nothing left out. */
function contentOf(message: ChatMessage): string | readonly Fields[] {
  if (typeof message.content === 'string') return message.content
  const parts = partsOf(message.content).flatMap<Fields>(part => partOf(part) ?? [])
  return parts.length === 0 ? '' : parts
}

/** A part as Cohere has it; undefined for an empty text and for what `untranslatable` names. */
function partOf(part: ContentPart): Fields | undefined {
  const text = textOf(part)
  if (text !== undefined) return text === '' ? undefined : { type: 'text', text }
  if (part.type === 'image_url') return imagePart(imageOf(part), asObject(part.image_url)?.detail)
  return part.type === 'file' ? imagePart(fileOf(part)?.source, undefined) : undefined
}

function imagePart(source: Source | undefined, detail: unknown): Fields | undefined {
  const url =
    source?.kind === 'address'
      ? source.url
      : source?.kind === 'inline' && source.mediaType.startsWith('image/')
        ? `data:${source.mediaType};base64,${source.base64}`
        : undefined
  if (url === undefined) return undefined
  return { type: 'image_url', image_url: typeof detail === 'string' ? { url, detail } : { url } }
}

/** Why a part cannot be sent to Cohere; undefined when it can. */
export function untranslatable(part: ContentPart): string | undefined {
  if (textOf(part) !== undefined) return undefined
  if (part.type === 'file') {
    const source = fileOf(part)?.source
    return source?.kind === 'inline' && partOf(part) !== undefined ? undefined : 'a file that is no image'
  }
  if (partOf(part) !== undefined) return undefined
  return part.type === 'image_url' ? 'an image that is neither data nor at an http address' : `content of type ${part.type}`
}

function assistantOf(message: ChatMessage, traits: Traits, ids: ToolIds): Fields | undefined {
  const calls = (Array.isArray(message.tool_calls) ? message.tool_calls : []).flatMap(call => callOf(call, ids) ?? [])
  const texts = partsOf(message.content).flatMap(part => textOf(part) || [])
  if (typeof message.refusal === 'string' && message.refusal !== '') texts.push(message.refusal)
  if (calls.length === 0) return texts.length === 0 ? undefined : { role: 'assistant', content: texts.join('\n\n') }
  const thought = message.reasoning_content ?? message.reasoning
  const thoughts = typeof thought === 'string' && thought !== '' ? thought : undefined
  const content = [
    ...(thoughts !== undefined && traits.thinks ? [{ type: 'thinking', thinking: thoughts }] : []),
    ...texts.map(text => ({ type: 'text', text })),
  ]
  return {
    role: 'assistant',
    ...(thoughts !== undefined && !traits.thinks ? { tool_plan: thoughts } : {}),
    ...(content.length === 0 ? {} : { content }),
    tool_calls: calls,
  }
}

function callOf(call: unknown, ids: ToolIds): Fields | undefined {
  const { id, function: called } = asObject(call) ?? {}
  const { name, arguments: written } = asObject(called) ?? {}
  if (typeof name !== 'string') return undefined
  const json = typeof written === 'string' && written.trim() !== '' ? written : '{}'
  return {
    id: ids.forCall(typeof id === 'string' ? id : ''),
    type: 'function',
    function: { name: legalName(name), arguments: json },
  }
}
