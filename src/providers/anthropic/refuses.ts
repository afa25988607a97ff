/** What of OpenAI's API would be silently lost on the way to Anthropic, and is therefore not sent there at all. */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { traitsOf } from '../kit/claude/models.ts'
import { partsOf } from '../kit/messages.ts'
import { BEGINS_ANEW, beginningOf, whyNotBegun } from '../kit/prefill.ts'
import { untranslatable } from './content.ts'
import { isTranslatable } from './tools.ts'

const FORMATS = new Set(['text', 'json_object', 'json_schema'])

/** Why Anthropic cannot honour the call; undefined when it can. */
export function refuses(call: ChatCall, target: Target): string | undefined {
  const body = call.body
  return whyNotTheFields(body) ?? whyNotTheTools(body) ?? whyNotTheMessages(body) ?? whyNotTheRest(call, target)
}

/** Newer models refuse a conversation that ends with the assistant's words; the others do not think while they go on from them. */
function whyNotTheRest(call: ChatCall, target: Target): string | undefined {
  if (beginningOf(call) === undefined) return undefined
  return traitsOf(target.model).prefill ? whyNotBegun(call) : BEGINS_ANEW
}

function whyNotTheFields(body: ChatBody): string | undefined {
  if (typeof body.n === 'number' && body.n > 1) return 'more than one choice (n)'
  const modalities = body.modalities
  if (Array.isArray(modalities) && modalities.includes('audio')) return 'an answer as audio'
  if (asObject(body.web_search_options) !== undefined) return 'web_search_options'
  if (Array.isArray(body.functions) && body.functions.length > 0) return 'functions (the form before tools)'
  const format = body.response_format?.type
  return format === undefined || FORMATS.has(format) ? undefined : `an answer of the format ${format}`
}

function whyNotTheTools(body: ChatBody): string | undefined {
  const tools = Array.isArray(body.tools) ? body.tools : []
  const foreign = tools.find(tool => !isTranslatable(tool))
  if (foreign !== undefined) return `tools of type ${foreign.type}`
  const choice = asObject(body.tool_choice)?.type
  return choice === 'custom' ? 'tools of type custom' : undefined
}

function whyNotTheMessages(body: ChatBody): string | undefined {
  for (const message of body.messages) {
    const instructs = message.role === 'system' || message.role === 'developer'
    if (message.role === 'function' || asObject(message.function_call) !== undefined) return 'functions (the form before tools)'
    if (asObject(message.audio) !== undefined) return 'an earlier answer as audio'
    if (Array.isArray(message.tool_calls) && message.tool_calls.some(call => call.type === 'custom'))
      return 'tools of type custom'
    for (const part of partsOf(message.content)) {
      if (instructs && part.type !== 'text') return 'instructions that are not text'
      const reason = untranslatable(part)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}
