/** What of OpenAI's API would be silently lost on the way to Cohere, and is therefore not sent there at all. */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { partsOf } from '../kit/messages.ts'
import { readToolChoice } from '../kit/tool-choice.ts'
import { untranslatable } from './conversation.ts'
import { type Traits, traitsOf } from './models.ts'

const FORMATS: ReadonlySet<string> = new Set(['text', 'json_object', 'json_schema'])
const MOST_STOP_SEQUENCES = 5

/** Why Cohere cannot honour the call; undefined when it can. */
export function refuses(call: ChatCall, target: Target): string | undefined {
  const { body } = call
  return whyNotTheFields(body) ?? whyNotTheTools(body, traitsOf(target.model)) ?? whyNotTheMessages(body)
}

function whyNotTheFields(body: ChatBody): string | undefined {
  if (typeof body.n === 'number' && body.n > 1) return 'more than one choice (n)'
  if (Array.isArray(body.modalities) && body.modalities.includes('audio')) return 'an answer as audio'
  if (typeof body.top_logprobs === 'number' && body.top_logprobs > 0) return 'alternatives to each token (top_logprobs)'
  if (asObject(body.web_search_options) !== undefined) return 'web_search_options'
  if (isFilled(body.functions)) return 'functions (the form before tools)'
  if (Array.isArray(body.stop) && body.stop.length > MOST_STOP_SEQUENCES) return `more than ${MOST_STOP_SEQUENCES} stop sequences`
  const format = body.response_format?.type
  if (format !== undefined && !FORMATS.has(format)) return `an answer of the format ${format}`
  if (format === undefined || format === 'text') return undefined
  if (isFilled(body.documents)) return 'an answer as JSON about documents'
  return isFilled(body.tools) && readToolChoice(body.tool_choice).mode !== 'none'
    ? 'tools and an answer as JSON together'
    : undefined
}

function whyNotTheTools(body: ChatBody, traits: Traits): string | undefined {
  const tools = Array.isArray(body.tools) ? body.tools : []
  const foreign = tools.find(tool => tool.type !== 'function' || typeof tool.function?.name !== 'string')
  if (foreign !== undefined) return `tools of type ${foreign.type}`
  if (asObject(body.tool_choice)?.type === 'custom') return 'tools of type custom'
  return tools.length > 0 && !traits.toolChoice && readToolChoice(body.tool_choice).mode === 'required'
    ? 'that a tool has to be called (tool_choice)'
    : undefined
}

function whyNotTheMessages(body: ChatBody): string | undefined {
  for (const message of body.messages) {
    if (message.role === 'function' || asObject(message.function_call) !== undefined) return 'functions (the form before tools)'
    if (asObject(message.audio) !== undefined) return 'an earlier answer as audio'
    if (Array.isArray(message.tool_calls) && message.tool_calls.some(call => call?.type === 'custom'))
      return 'tools of type custom'
    for (const part of partsOf(message.content)) {
      const isText = part.type === 'text' || part.type === 'refusal'
      if (!isText && message.role === 'tool') return 'results of tools that are not text'
      if (!isText && message.role !== 'user') return 'images and files of anybody but the user'
      const reason = untranslatable(part)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}
