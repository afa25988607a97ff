/*
 * OpenAI's messages as Ollama's. Content is one text with images beside it, arguments are objects, and the result of a tool is told
 * apart by the tool's name, so each result is given the name that its call had.
 */
import type { ChatMessage, ContentPart } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { argumentsOf, fileOf, imageOf, partsOf, type ToolIds, textOf, toolIds } from '../kit/messages.ts'

type Fields = Readonly<Record<string, unknown>>

/** Any id will do, as long as it is one and names one call. */
const LEGAL_ID = /^.+$/s

/** @param instruction one more instruction, after those at the beginning */
export function conversationOf(messages: readonly ChatMessage[], instruction: string | undefined): readonly Fields[] {
  const ids = toolIds(LEGAL_ID)
  const names = new Map<string, string>()
  const written = messages.map(message => messageOf(message, ids, names))
  if (instruction === undefined) return written
  const first = written.findIndex(({ role }) => role !== 'system')
  const at = first === -1 ? written.length : first
  return [...written.slice(0, at), { role: 'system', content: instruction }, ...written.slice(at)]
}

/** @param names of the tools that were called so far, by the ids of their calls */
function messageOf(message: ChatMessage, ids: ToolIds, names: Map<string, string>): Fields {
  switch (message.role) {
    case 'system':
    case 'developer':
      return { role: 'system', ...contentOf(message) }
    case 'assistant':
      return assistantOf(message, ids, names)
    case 'tool': {
      const id = ids.forResult(message.tool_call_id ?? '')
      const name = names.get(id) ?? message.name
      return {
        role: 'tool',
        ...contentOf(message),
        ...(name === undefined ? {} : { tool_name: name }),
        tool_call_id: id,
      }
    }
    default:
      return { role: 'user', ...contentOf(message) }
  }
}

function contentOf(message: ChatMessage): Fields {
  const parts = partsOf(message.content)
  const texts = parts.flatMap(part => textOf(part) || [])
  if (typeof message.refusal === 'string' && message.refusal !== '') texts.push(message.refusal)
  const images = parts.flatMap(part => imageIn(part) ?? [])
  return { content: texts.join('\n\n'), ...(images.length === 0 ? {} : { images }) }
}

/** The picture of a part as bare base64; undefined where there is none, or only its address. */
function imageIn(part: ContentPart): string | undefined {
  const source = part.type === 'image_url' ? imageOf(part) : part.type === 'file' ? fileOf(part)?.source : undefined
  return source?.kind === 'inline' && source.mediaType.startsWith('image/') ? source.base64 : undefined
}

/** Why a part cannot be sent to Ollama; undefined when it can. */
export function untranslatable(part: ContentPart): string | undefined {
  if (textOf(part) !== undefined || imageIn(part) !== undefined) return undefined
  if (part.type === 'image_url') return 'an image that is not in the call itself'
  return part.type === 'file' ? 'a file that is no image' : `content of type ${part.type}`
}

function assistantOf(message: ChatMessage, ids: ToolIds, names: Map<string, string>): Fields {
  const thought = message.reasoning_content ?? message.reasoning
  const calls: Fields[] = []
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
    const { id: given, function: called } = asObject(call) ?? {}
    const { name, arguments: json } = asObject(called) ?? {}
    if (typeof name !== 'string') continue
    const id = ids.forCall(typeof given === 'string' ? given : '')
    names.set(id, name)
    calls.push({ id, function: { index: calls.length, name, arguments: argumentsOf(json) } })
  }
  return {
    role: 'assistant',
    ...contentOf(message),
    ...(typeof thought === 'string' && thought !== '' ? { thinking: thought } : {}),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}
