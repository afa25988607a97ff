/*
 * OpenAI's messages as Gemini's contents: instructions apart from them, turns of user and model, the results of tools in a turn of their
 * own, right after the calls and in their order. What the API refuses (empty parts, a beginning or, by newer models, an end by the model)
 * is left out or completed, because OpenAI's API takes it.
 */
import type { ChatMessage } from '../../core/chat.ts'
import { asObject, tryParse } from '../../core/json.ts'
import { objectsIn } from '../kit/lists.ts'
import { argumentsOf, partsOf, textOf, turnsOf } from '../kit/messages.ts'
import { type Part, partOf } from './content.ts'
import type { Traits } from './models.ts'
import { NO_SIGNATURE, signatureOf } from './signatures.ts'
import type { Site } from './site.ts'

export interface Content {
  readonly role: 'user' | 'model'
  readonly parts: readonly Part[]
}

export interface Conversation {
  readonly systemInstruction: { readonly parts: readonly Part[] } | undefined
  readonly contents: readonly Content[]
}

/** A call that waits for its result. */
interface Called {
  readonly id: string
  readonly name: string
}

export function conversationOf(messages: readonly ChatMessage[], traits: Traits, site: Site): Conversation {
  const { instructions, turns } = turnsOf(messages)
  const contents: Content[] = []
  let calls: readonly Called[] = []
  for (const turn of turns) {
    if (turn.role === 'assistant') {
      calls = turn.messages.flatMap(callsOf)
      add(
        contents,
        'model',
        turn.messages.flatMap(message => modelParts(message, traits, site)),
      )
    } else {
      const results = turn.messages.filter(message => message.role === 'tool')
      const { responses, images } = resultParts(results, calls, traits, site)
      const others = turn.messages.filter(message => message.role !== 'tool')
      add(contents, 'user', responses)
      add(contents, 'user', [...images, ...others.flatMap(message => contentParts(message, traits, site))])
    }
  }
  const said = instructions.flatMap(message => contentParts(message, traits, site)).filter(part => 'text' in part)
  if (contents[0]?.role !== 'user') contents.unshift({ role: 'user', parts: [{ text: 'Begin.' }] })
  if (!traits.prefill && contents.at(-1)?.role === 'model') contents.push({ role: 'user', parts: [{ text: 'Continue.' }] })
  if (said.length === 0) return { systemInstruction: undefined, contents }
  if (traits.instructions) return { systemInstruction: { parts: said }, contents }
  const [first, ...rest] = contents
  return { systemInstruction: undefined, contents: [{ role: 'user', parts: [...said, ...first!.parts] }, ...rest] }
}

function add(contents: Content[], role: Content['role'], parts: readonly Part[]): void {
  if (parts.length > 0) contents.push({ role, parts })
}

function contentParts(message: ChatMessage, traits: Traits, site: Site): Part[] {
  return partsOf(message.content)
    .map(part => partOf(part, traits, site))
    .filter(part => part !== undefined)
}

function callsOf(message: ChatMessage): Called[] {
  return objectsIn(message.tool_calls).flatMap(call => {
    const name = asObject(call.function)?.name
    return typeof name === 'string' ? [{ id: String(call.id), name }] : []
  })
}

function modelParts(message: ChatMessage, traits: Traits, site: Site): Part[] {
  const parts = contentParts(message, traits, site)
  if (typeof message.refusal === 'string' && message.refusal !== '') parts.push({ text: message.refusal })
  const signature = signatureOf(message)
  const last = parts.pop()
  if (last !== undefined)
    parts.push(signature === undefined || !('text' in last) ? last : { ...last, thoughtSignature: signature })
  let first = true
  for (const call of objectsIn(message.tool_calls)) {
    const called = asObject(call.function)
    if (typeof called?.name !== 'string') continue
    const functionCall = { ...idOf(call.id, site), name: called.name, args: argumentsOf(called.arguments) }
    // Only the first of several calls at once is signed.
    const signed = signatureOf(call) ?? (first && traits.signatures ? NO_SIGNATURE : undefined)
    parts.push(signed === undefined ? { functionCall } : { functionCall, thoughtSignature: signed })
    first = false
  }
  return parts
}

function idOf(id: unknown, site: Site): Readonly<Record<string, unknown>> {
  return site.toolIds && typeof id === 'string' && id !== '' ? { id } : {}
}

function resultParts(
  results: readonly ChatMessage[],
  calls: readonly Called[],
  traits: Traits,
  site: Site,
): { readonly responses: readonly Part[]; readonly images: readonly Part[] } {
  const images: Part[] = []
  const responses = inOrder(results, calls).map(message => {
    const media = contentParts(message, traits, site).filter(part => !('text' in part))
    if (!traits.mixes) images.push(...media)
    const functionResponse = {
      ...idOf(message.tool_call_id, site),
      name: nameOf(message, calls),
      response: responseOf(message),
      ...(traits.mixes && media.length > 0 ? { parts: media } : {}),
    }
    return { functionResponse }
  })
  return { responses, images }
}

/** Where ids do not count, order does. A result of no call of the turn before comes last. */
function inOrder(results: readonly ChatMessage[], calls: readonly Called[]): readonly ChatMessage[] {
  const place = (message: ChatMessage) => {
    const index = calls.findIndex(call => call.id === message.tool_call_id)
    return index === -1 ? calls.length : index
  }
  return results.toSorted((one, other) => place(one) - place(other))
}

function nameOf(message: ChatMessage, calls: readonly Called[]): string {
  return calls.find(call => call.id === message.tool_call_id)?.name ?? message.name ?? 'tool'
}

/** A result is an object; what is none becomes one. */
function responseOf(message: ChatMessage): Readonly<Record<string, unknown>> {
  const text = partsOf(message.content)
    .map(part => textOf(part) ?? '')
    .join('')
  if (message.is_error === true) return { error: text }
  return asObject(tryParse(text)) ?? { result: text }
}
