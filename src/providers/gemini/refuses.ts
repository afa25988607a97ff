/** What of OpenAI's API would be silently lost on the way to Gemini, and is therefore not sent there at all. */
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import { partsOf } from '../kit/messages.ts'
import { BEGINS_ANEW, beginningOf, whyNotBegun } from '../kit/prefill.ts'
import { untranslatable } from './content.ts'
import { asksForImages, stopsOf } from './encode.ts'
import type { Traits } from './models.ts'
import type { Site } from './site.ts'
import { asksGoogle, functionsOf, whyNot } from './tools.ts'

const FORMATS = new Set(['text', 'json_object', 'json_schema'])
const MOST_CANDIDATES = 8
const MOST_STOPS = 5

/** Why this model cannot honour the call; undefined when it can. */
export function whyRefused(call: ChatCall, traits: Traits, site: Site): string | undefined {
  const { body } = call
  return (
    whyNotTheFields(call) ?? whyNotTheTools(body, traits) ?? whyNotTheMessages(body, traits, site) ?? whyNotTheRest(call, traits)
  )
}

function whyNotTheRest(call: ChatCall, traits: Traits): string | undefined {
  if (beginningOf(call) === undefined) return undefined
  return traits.prefill ? whyNotBegun(call) : BEGINS_ANEW
}

function whyNotTheFields({ body, stream }: ChatCall): string | undefined {
  const n = body.n ?? 1
  if (n > MOST_CANDIDATES) return `more than ${MOST_CANDIDATES} choices (n)`
  if (n > 1 && stream) return 'more than one choice (n) in a stream'
  if (stopsOf(body.stop).length > MOST_STOPS) return `more than ${MOST_STOPS} stop sequences`
  if (Array.isArray(body.modalities) && body.modalities.includes('audio')) return 'an answer as audio'
  if (Array.isArray(body.functions) && body.functions.length > 0) return 'functions (the form before tools)'
  const format = body.response_format?.type
  return format === undefined || FORMATS.has(format) ? undefined : `an answer of the format ${format}`
}

function whyNotTheTools(body: ChatBody, traits: Traits): string | undefined {
  const tools = Array.isArray(body.tools) ? body.tools : []
  for (const tool of tools) {
    const reason = whyNot(tool)
    if (reason !== undefined) return reason
  }
  if (asObject(body.tool_choice)?.type === 'custom') return 'tools of type custom'
  const functions = functionsOf(body).length > 0
  const json = body.response_format?.type === 'json_object' || body.response_format?.type === 'json_schema'
  if (functions && !traits.tools) return 'tools'
  if (json && (!traits.json || asksForImages(body))) return 'an answer as JSON'
  if (!traits.mixes && functions && json) return 'an answer as JSON together with tools'
  return !traits.mixes && asksGoogle(body) && (functions || json)
    ? 'a search together with tools or with an answer as JSON'
    : undefined
}

function whyNotTheMessages(body: ChatBody, traits: Traits, site: Site): string | undefined {
  for (const message of body.messages) {
    const instructs = message.role === 'system' || message.role === 'developer'
    if (message.role === 'function' || asObject(message.function_call) !== undefined) return 'functions (the form before tools)'
    if (asObject(message.audio) !== undefined) return 'an earlier answer as audio'
    if (Array.isArray(message.tool_calls) && message.tool_calls.some(call => call?.type === 'custom'))
      return 'tools of type custom'
    if (!traits.tools && (message.role === 'tool' || (message.tool_calls?.length ?? 0) > 0)) return 'tools'
    for (const part of partsOf(message.content)) {
      if (instructs && part.type !== 'text') return 'instructions that are not text'
      const reason = untranslatable(part, traits, site)
      if (reason !== undefined) return reason
    }
  }
  return undefined
}
