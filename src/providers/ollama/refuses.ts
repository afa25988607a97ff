/** What of OpenAI's API would be silently lost on the way to Ollama, and is therefore not sent there at all. */
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { partsOf } from '../kit/messages.ts'
import { whyNotBegun } from '../kit/prefill.ts'
import { untranslatable } from './conversation.ts'

const FORMATS: ReadonlySet<string> = new Set(['text', 'json_object', 'json_schema'])

/** Why Ollama cannot honour the call; undefined when it can. */
export function refuses(call: ChatCall): string | undefined {
  const { body } = call
  return whyNotTheFields(body) ?? whyNotTheTools(body) ?? whyNotTheMessages(body) ?? whyNotBegun(call)
}

function whyNotTheFields(body: ChatBody): string | undefined {
  if (typeof body.n === 'number' && body.n > 1) return 'more than one choice (n)'
  if (Array.isArray(body.modalities) && body.modalities.includes('audio')) return 'an answer as audio'
  if (asObject(body.web_search_options) !== undefined) return 'web_search_options'
  if (Array.isArray(body.functions) && body.functions.length > 0) return 'functions (the form before tools)'
  const format = body.response_format?.type
  return format === undefined || FORMATS.has(format) ? undefined : `an answer of the format ${format}`
}

function whyNotTheTools(body: ChatBody): string | undefined {
  const tools = Array.isArray(body.tools) ? body.tools : []
  const foreign = tools.find(tool => tool.type !== 'function' || typeof tool.function?.name !== 'string')
  if (foreign !== undefined) return `tools of type ${foreign.type}`
  return asObject(body.tool_choice)?.type === 'custom' ? 'tools of type custom' : undefined
}

function whyNotTheMessages(body: ChatBody): string | undefined {
  for (const message of body.messages) {
    if (message.role === 'function' || asObject(message.function_call) !== undefined) return 'functions (the form before tools)'
    if (asObject(message.audio) !== undefined) return 'an earlier answer as audio'
    if (Array.isArray(message.tool_calls) && message.tool_calls.some(call => call?.type === 'custom'))
      return 'tools of type custom'
    for (const part of partsOf(message.content)) {
      const reason = untranslatable(part)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}
