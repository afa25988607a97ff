/** What of OpenAI's API would be silently lost on the way to a model behind Converse, and is therefore not sent there at all. */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { partsOf } from '../kit/messages.ts'
import { BEGINS_ANEW, beginningOf, whyNotBegun } from '../kit/prefill.ts'
import { toolsOfHistory } from '../kit/tool-choice.ts'
import { answerFormatOf } from './answer-format.ts'
import { untranslatable } from './content.ts'
import { stopSequencesOf } from './encode.ts'
import { type Traits, traitsOf } from './models.ts'
import { cannotForce, isTranslatable, toolingOf } from './tools.ts'

const FORMATS = new Set(['text', 'json_object', 'json_schema'])

/** Why the model cannot honour the call; undefined when it can. */
export function refuses(call: ChatCall, target: Target): string | undefined {
  const body = call.body
  const traits = traitsOf(target.model)
  return whyNotTheFields(body, traits) ?? whyNotTheTools(body, traits) ?? whyNotTheMessages(body) ?? whyNotTheRest(call, traits)
}

/** Of models other than Claude nothing is known, and the operator's word counts. Where tools are declared, none goes on. */
function whyNotTheRest(call: ChatCall, traits: Traits): string | undefined {
  if (beginningOf(call) === undefined) return undefined
  if (traits.claude !== undefined && !traits.prefill) return BEGINS_ANEW
  return toolingOf(call.body, traits, undefined).config === undefined
    ? whyNotBegun(call)
    : 'the rest of an answer that may call tools'
}

function whyNotTheFields(body: ChatBody, traits: Traits): string | undefined {
  if (typeof body.n === 'number' && body.n > 1) return 'more than one choice (n)'
  const modalities = body.modalities
  if (Array.isArray(modalities) && modalities.includes('audio')) return 'an answer as audio'
  if (asObject(body.web_search_options) !== undefined) return 'web_search_options'
  if (Array.isArray(body.functions) && body.functions.length > 0) return 'functions (the form before tools)'
  const stops = stopSequencesOf(body.stop).length
  if (stops > traits.stops) return `more than ${traits.stops} stop sequences`
  const format = body.response_format?.type
  return format === undefined || FORMATS.has(format) ? undefined : `an answer of the format ${format}`
}

function whyNotTheTools(body: ChatBody, traits: Traits): string | undefined {
  const tools = Array.isArray(body.tools) ? body.tools : []
  const foreign = tools.find(tool => !isTranslatable(tool))
  if (foreign !== undefined) return `tools of type ${foreign.type}`
  if (asObject(body.tool_choice)?.type === 'custom') return 'tools of type custom'
  const throughTool = answerFormatOf(body, traits).tool !== undefined
  const withTools = tools.length > 0 || toolsOfHistory(body.messages).length > 0
  if (!traits.tools && (withTools || throughTool)) return throughTool ? 'a JSON schema for the answer' : 'tools'
  return cannotForce(body, traits, throughTool)
}

function whyNotTheMessages(body: ChatBody): string | undefined {
  for (const message of body.messages) {
    const instructs = message.role === 'system' || message.role === 'developer'
    if (message.role === 'function' || asObject(message.function_call) !== undefined) return 'functions (the form before tools)'
    if (asObject(message.audio) !== undefined) return 'an earlier answer as audio'
    if (Array.isArray(message.tool_calls) && message.tool_calls.some(call => call?.type === 'custom'))
      return 'tools of type custom'
    for (const part of partsOf(message.content)) {
      if (instructs && part.type !== 'text') return 'instructions that are not text'
      const reason = untranslatable(part)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}
