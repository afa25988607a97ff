/* OpenAI's tool_choice in its many forms, read into one. */
import type { ChatBody } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'

export interface ToolChoice {
  /** Undefined where the call does not say, or says it in a form that nobody knows. */
  readonly mode: 'none' | 'auto' | 'required' | undefined
  /** The one function that has to be called. */
  readonly name?: string
  /** The only functions that may be called. */
  readonly allowed?: ReadonlySet<string>
}

export function readToolChoice(choice: ChatBody['tool_choice']): ToolChoice {
  if (typeof choice === 'string') return { mode: modeOf(choice) }
  if (choice?.type === 'function') {
    const name = asObject(choice.function)?.name
    return typeof name === 'string' ? { mode: 'required', name } : { mode: undefined }
  }
  if (choice?.type !== 'allowed_tools') return { mode: undefined }
  const given = asObject(choice.allowed_tools)
  const listed: readonly unknown[] = Array.isArray(given?.tools) ? given.tools : []
  const names = listed.map(tool => asObject(asObject(tool)?.function)?.name).filter(name => typeof name === 'string')
  return { mode: modeOf(given?.mode) ?? 'auto', allowed: new Set(names) }
}

function modeOf(mode: unknown): ToolChoice['mode'] {
  return mode === 'none' || mode === 'auto' || mode === 'required' ? mode : undefined
}

/** The names of the functions that were called earlier in a conversation: some APIs want them declared whenever their calls are there. */
export function toolsOfHistory(messages: ChatBody['messages']): readonly string[] {
  const names = new Set<string>()
  for (const message of messages) {
    for (const call of Array.isArray(message.tool_calls) ? message.tool_calls : []) {
      const name = asObject(asObject(call)?.function)?.name
      if (typeof name === 'string') names.add(name)
    }
  }
  return [...names]
}
