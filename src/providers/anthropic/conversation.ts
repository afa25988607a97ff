/*
 * OpenAI's messages as Anthropic's conversation: instructions apart from it, turns that alternate and begin with the user's, the
 * results of tools first in the turn after the calls. What the API refuses (empty texts, a beginning or an end by the assistant)
 * is left out or completed, because OpenAI's API takes it.
 */
import type { ChatMessage } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { Traits } from '../kit/claude/models.ts'
import { thinkingBlocks } from '../kit/claude/thinking.ts'
import { argumentsOf, partsOf, type ToolIds, toolIds, turnsOf } from '../kit/messages.ts'
import { type Block, blockOf, withCacheControl } from './content.ts'

export interface Turn {
  readonly role: 'user' | 'assistant'
  readonly content: readonly Block[]
}

export interface Conversation {
  /** Undefined when there are no instructions. Blocks only where a cache breakpoint must be kept. */
  readonly system: string | readonly Block[] | undefined
  readonly turns: readonly Turn[]
}

const LEGAL_ID = /^[a-zA-Z0-9_-]+$/

/**
 * @param keepThinking whether thinking that the client sends back goes to the model; only where the model may think this time
 * @param instruction one more instruction, after the client's own
 */
export function conversationOf(
  messages: readonly ChatMessage[],
  traits: Traits,
  keepThinking: boolean,
  instruction: string | undefined,
): Conversation {
  const { instructions, turns } = turnsOf(messages)
  const ids = toolIds(LEGAL_ID)
  const joined: { readonly role: Turn['role']; readonly content: Block[] }[] = []
  for (const { role, messages } of turns) {
    const content = messages.flatMap(message =>
      role === 'assistant' ? assistantBlocks(message, ids, keepThinking) : userBlocks(message, ids),
    )
    if (content.length === 0) continue
    const last = joined.at(-1)
    if (last?.role === role) last.content.push(...content)
    else joined.push({ role, content })
  }
  return { system: systemOf(instructions, instruction), turns: bounded(joined.map(resultsFirst), traits) }
}

function systemOf(messages: readonly ChatMessage[], instruction: string | undefined): Conversation['system'] {
  const blocks = messages.flatMap(contentBlocks).filter(block => block.type === 'text')
  if (instruction !== undefined) blocks.push({ type: 'text', text: instruction })
  if (blocks.length === 0) return undefined
  return blocks.some(block => 'cache_control' in block) ? blocks : blocks.map(block => block.text).join('\n\n')
}

/** The content of a message; a cache breakpoint on the message is one after its last block. */
function contentBlocks(message: ChatMessage): Block[] {
  const blocks = partsOf(message.content).flatMap(part => blockOf(part) ?? [])
  const last = blocks.pop()
  if (last !== undefined) blocks.push(withCacheControl(last, message))
  return blocks
}

function userBlocks(message: ChatMessage, ids: ToolIds): Block[] {
  if (message.role !== 'tool') return contentBlocks(message)
  const content =
    typeof message.content === 'string' ? message.content : partsOf(message.content).flatMap(part => blockOf(part) ?? [])
  const result: Block = {
    type: 'tool_result',
    tool_use_id: ids.forResult(message.tool_call_id ?? ''),
    ...(content.length === 0 ? {} : { content }),
    ...(typeof message.is_error === 'boolean' ? { is_error: message.is_error } : {}),
  }
  return [withCacheControl(result, message)]
}

function assistantBlocks(message: ChatMessage, ids: ToolIds, keepThinking: boolean): Block[] {
  const blocks = partsOf(message.content).flatMap(part => blockOf(part) ?? [])
  const refusal = message.refusal
  if (typeof refusal === 'string' && refusal.trim() !== '') blocks.push({ type: 'text', text: refusal })
  for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
    const called = asObject(asObject(call)?.function)
    if (typeof called?.name !== 'string') continue
    const input = argumentsOf(called.arguments)
    blocks.push({ type: 'tool_use', id: ids.forCall(call.id), name: called.name, input })
  }
  const last = blocks.pop()
  if (last !== undefined) blocks.push(withCacheControl(last, message))
  return keepThinking ? [...thinkingBlocks(message), ...blocks] : blocks
}

function resultsFirst(turn: Turn): Turn {
  const results = turn.content.filter(block => block.type === 'tool_result')
  if (results.length === 0 || results.length === turn.content.length) return turn
  return { role: turn.role, content: [...results, ...turn.content.filter(block => block.type !== 'tool_result')] }
}

/** A conversation begins with the user and, unless the model goes on from the assistant's own words, ends with the user. */
function bounded(turns: readonly Turn[], traits: Traits): readonly Turn[] {
  const first = turns[0]?.role === 'user' ? turns : [said('Begin.'), ...turns]
  const last = first.at(-1)!
  const lastBlock = last.content.at(-1)
  if (last.role === 'user' || lastBlock?.type !== 'text') return first
  if (!traits.prefill) return [...first, said('Continue.')]
  // White space at the end of a beginning is refused with 400.
  const trimmed: Block = { ...lastBlock, text: String(lastBlock.text).trimEnd() }
  return [...first.slice(0, -1), { role: last.role, content: [...last.content.slice(0, -1), trimmed] }]
}

function said(text: string): Turn {
  return { role: 'user', content: [{ type: 'text', text }] }
}
