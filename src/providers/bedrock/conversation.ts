/*
 * OpenAI's messages as Converse's conversation: instructions apart from it, turns that alternate strictly and begin with the user's, the
 * results of tools first in the turn after the calls. What the API refuses (blank texts, documents without a text beside them, a
 * beginning or an end by the assistant) is left out or completed, because OpenAI's API takes it.
 */
import type { ChatMessage } from '../../core/chat.ts'
import { asObject, tryParse } from '../../core/json.ts'
import { type ThinkingBlock, thinkingBlocks } from '../kit/claude/thinking.ts'
import { argumentsOf, partsOf, type ToolIds, toolIds, turnsOf } from '../kit/messages.ts'
import { exactToolId } from '../kit/tool-ids.ts'
import { type Block, blockOf, cachePointOf, type DocumentNames, documentNames } from './content.ts'
import type { Traits } from './models.ts'

export interface Turn {
  readonly role: 'user' | 'assistant'
  readonly content: readonly Block[]
}

export interface Conversation {
  /** Undefined when there are no instructions, or no place for them. */
  readonly system: readonly Block[] | undefined
  readonly turns: readonly Turn[]
}

export interface Manner {
  /** Whether thinking that the client sends back goes to the model. */
  readonly keepThinking: boolean
  /** One more instruction, after the client's own. */
  readonly instruction: string | undefined
  /** Whether the model goes on from the assistant's own words at the end. */
  readonly prefill: boolean
}

/** What is needed to write one message. */
interface Writing {
  readonly traits: Traits
  readonly ids: ToolIds
  readonly names: DocumentNames
  readonly keepThinking: boolean
}

export function conversationOf(messages: readonly ChatMessage[], traits: Traits, manner: Manner): Conversation {
  const { instructions, turns } = turnsOf(messages)
  const writing = { traits, ids: idsFor(traits), names: documentNames(), keepThinking: manner.keepThinking }
  const joined: { readonly role: Turn['role']; readonly content: Block[] }[] = []
  for (const { role, messages } of turns) {
    const content = messages.flatMap(message =>
      role === 'assistant' ? assistantBlocks(message, writing) : userBlocks(message, writing),
    )
    if (content.every(isCachePoint)) continue
    const last = joined.at(-1)
    if (last?.role === role) last.content.push(...content)
    else joined.push({ role, content })
  }
  const system = instructions.flatMap(message => contentBlocks(message, writing))
  if (manner.instruction !== undefined) system.push({ text: manner.instruction })
  const bounds = bounded(joined.map(resultsFirst).map(documentsWithText), manner.prefill)
  if (system.every(isCachePoint)) return { system: undefined, turns: bounds }
  return traits.system ? { system, turns: bounds } : { system: undefined, turns: instructed(bounds, system) }
}

function idsFor({ toolId, toolIdLength }: Traits): ToolIds {
  const ids = toolIds(toolId)
  if (toolIdLength === undefined) return ids
  return {
    forCall: id => exactToolId(ids.forCall(id), toolIdLength),
    forResult: id => exactToolId(ids.forResult(id), toolIdLength),
  }
}

/** The content of a message, with the cache points that its parts or the message itself ask for. */
function contentBlocks(message: ChatMessage, writing: Writing): Block[] {
  return [...partBlocks(message, writing), ...cachePoint(message, writing)]
}

function partBlocks(message: ChatMessage, writing: Writing): Block[] {
  return partsOf(message.content).flatMap(part => {
    const block = blockOf(part, writing.names)
    return block === undefined ? [] : [block, ...cachePoint(part, writing)]
  })
}

function cachePoint(author: Readonly<Record<string, unknown>>, { traits }: Writing): Block[] {
  const point = traits.caching === 'nowhere' ? undefined : cachePointOf(author)
  return point === undefined ? [] : [point]
}

function userBlocks(message: ChatMessage, writing: Writing): Block[] {
  if (message.role !== 'tool') return contentBlocks(message, writing)
  const { traits, ids } = writing
  const toolResult = {
    toolUseId: ids.forResult(message.tool_call_id ?? ''),
    content: resultContent(message, writing),
    ...(message.is_error === true && traits.resultStatus ? { status: 'error' } : {}),
  }
  return [{ toolResult }, ...cachePoint(message, writing)]
}

function resultContent(message: ChatMessage, writing: Writing): readonly Block[] {
  const blocks = partBlocks(message, writing).filter(block => !isCachePoint(block))
  if (!writing.traits.jsonResults) return blocks.length === 0 ? [{ text: '(empty)' }] : blocks
  const text = blocks.flatMap(block => (typeof block.text === 'string' ? block.text : [])).join('\n')
  return [{ json: asObject(tryParse(text)) ?? { result: text } }, ...blocks.filter(block => typeof block.text !== 'string')]
}

function assistantBlocks(message: ChatMessage, writing: Writing): Block[] {
  const blocks = partBlocks(message, writing)
  const refusal = message.refusal
  if (typeof refusal === 'string' && refusal.trim() !== '') blocks.push({ text: refusal })
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
    const called = asObject(asObject(call)?.function)
    if (typeof called?.name !== 'string') continue
    const toolUse = { toolUseId: writing.ids.forCall(call.id), name: called.name, input: argumentsOf(called.arguments) }
    blocks.push({ toolUse })
  }
  if (blocks.length > 0) blocks.push(...cachePoint(message, writing))
  return writing.keepThinking ? [...thinkingBlocks(message).map(reasoningBlock), ...blocks] : blocks
}

function reasoningBlock(block: ThinkingBlock): Block {
  if (block.type === 'redacted_thinking') return { reasoningContent: { redactedContent: block.data } }
  return { reasoningContent: { reasoningText: { text: block.thinking, signature: block.signature } } }
}

function isCachePoint(block: Block): boolean {
  return 'cachePoint' in block
}

/** Each result with the cache point behind it, if any. */
function resultsFirst(turn: Turn): Turn {
  const results: Block[] = []
  const others: Block[] = []
  for (const [at, block] of turn.content.entries()) {
    const before = turn.content[at - 1]
    const ofResult = 'toolResult' in block || (isCachePoint(block) && before !== undefined && 'toolResult' in before)
    if (ofResult) results.push(block)
    else others.push(block)
  }
  return results.length === 0 || others.length === 0 ? turn : { role: turn.role, content: [...results, ...others] }
}

/** A document needs a text in the same message. */
function documentsWithText(turn: Turn): Turn {
  const isLonely = turn.content.some(block => 'document' in block) && !turn.content.some(block => 'text' in block)
  return isLonely ? { role: turn.role, content: [...turn.content, { text: 'See the attached document.' }] } : turn
}

/** A conversation begins with the user and, unless the model goes on from the assistant's own words, ends with the user. */
function bounded(turns: readonly Turn[], prefill: boolean): readonly Turn[] {
  const first = turns[0]?.role === 'user' ? turns : [said('Begin.'), ...turns]
  const last = first.at(-1)!
  const lastText = last.content.at(-1)?.text
  if (last.role === 'user') return first
  if (!prefill || typeof lastText !== 'string') return [...first, said('Continue.')]
  // White space at the end of a beginning is refused with 400.
  return [...first.slice(0, -1), { role: last.role, content: [...last.content.slice(0, -1), { text: lastText.trimEnd() }] }]
}

/** The instructions in front of the first message, for a model that has no other place for them. */
function instructed([first, ...others]: readonly Turn[], system: readonly Block[]): readonly Turn[] {
  return [{ role: 'user', content: [...system, ...first!.content] }, ...others]
}

function said(text: string): Turn {
  return { role: 'user', content: [{ text }] }
}
