/*
 * Rewrites of the conversation that relatives need. Each gives back the very same array when nothing had to change, so that a call whose
 * conversation is fine already reaches the provider as the client's own bytes.
 */
import type { ChatMessage, ContentPart } from '../../core/chat.ts'

export type Rewrite = (messages: readonly ChatMessage[]) => readonly ChatMessage[]

/** Changes single messages; `change` gives back the same message where nothing is to be done. */
export function each(change: (message: ChatMessage) => ChatMessage): Rewrite {
  return messages => {
    const changed = messages.map(change)
    return changed.some((message, index) => message !== messages[index]) ? changed : messages
  }
}

/** One role's messages under another: `developer` as `system`, or the other way round. */
export function roleAs(from: string, to: string): Rewrite {
  return each(message => (message.role === from ? { ...message, role: to } : message))
}

/** For models that take no instructions of their own: they become the beginning of what the user says first. */
export const instructionsIntoUser: Rewrite = messages => {
  const instructions = messages.filter(isInstruction)
  if (instructions.length === 0) return messages
  const words = instructions.map(textOf).join('\n\n')
  const others = messages.filter(message => !isInstruction(message))
  const first = others.findIndex(message => message.role === 'user')
  if (first === -1) return [{ role: 'user', content: words }, ...others]
  return others.map((message, index) => (index === first ? { ...message, content: joined(words, message.content) } : message))
}

/** For APIs that want instructions first, and then user and assistant in turns. */
export const inTurns: Rewrite = messages => {
  const instructions = messages.filter(isInstruction)
  const turns: ChatMessage[] = []
  for (const message of messages) {
    if (isInstruction(message)) continue
    const last = turns.at(-1)
    if (last?.role === message.role) turns[turns.length - 1] = { ...last, content: joined(last.content, message.content) }
    else turns.push(message)
  }
  const [only] = instructions
  if (
    instructions.length < 2 &&
    turns.length + instructions.length === messages.length &&
    (only === undefined || only === messages[0])
  )
    return messages
  return only === undefined ? turns : [{ ...only, content: instructions.map(textOf).join('\n\n') }, ...turns]
}

/** Earlier thoughts under the name that this provider reads; `always`: present, if empty, wherever tools were called. */
export function thoughtsAs(field: 'reasoning' | 'reasoning_content', always: boolean): Rewrite {
  const other = field === 'reasoning' ? 'reasoning_content' : 'reasoning'
  return each(message => {
    if (message.role !== 'assistant' || typeof message[field] === 'string') return message
    const { [other]: thoughts, ...rest } = message
    if (typeof thoughts === 'string') return { ...(rest as ChatMessage), [field]: thoughts }
    return always && (message.tool_calls?.length ?? 0) > 0 ? { ...message, [field]: '' } : message
  })
}

/** Messages with these fields only, by role. */
export function onlyFields(known: (role: string) => ReadonlySet<string>): Rewrite {
  return each(message => {
    const fields = known(message.role)
    if (Object.keys(message).every(key => fields.has(key))) return message
    return Object.fromEntries(Object.entries(message).filter(([key]) => fields.has(key))) as ChatMessage
  })
}

function isInstruction(message: ChatMessage): boolean {
  return message.role === 'system' || message.role === 'developer'
}

function textOf(message: ChatMessage): string {
  const { content } = message
  if (typeof content === 'string') return content
  return (content ?? []).map(part => (typeof part.text === 'string' ? part.text : '')).join('')
}

function joined(first: ChatMessage['content'], second: ChatMessage['content']): string | readonly ContentPart[] {
  if (!first) return second ?? ''
  if (!second) return first
  if (typeof first === 'string' && typeof second === 'string') return `${first}\n\n${second}`
  return [...partsOf(first), ...partsOf(second)]
}

function partsOf(content: string | readonly ContentPart[]): readonly ContentPart[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}
