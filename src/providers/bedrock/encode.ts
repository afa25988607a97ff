/*
 * A call in OpenAI's chat shape as the body of Converse or ConverseStream. Only fields that mean something there are sent; Converse
 * refuses unknown ones with 400. What merely tunes an answer and has no equivalent is left out and named in `leftOut`; what would
 * change the answer's meaning is refused before (refuses.ts). Fields of Converse's own, by its own names, are passed on as they are.
 */
import type { Target } from '../../core/attempt.ts'
import type { ChatBody, ChatCall } from '../../core/chat.ts'
import { asObject } from '../../core/json.ts'
import type { UpstreamRequest } from '../../core/provider.ts'
import { leftOutOf } from '../kit/left-out.ts'
import { partsOf } from '../kit/messages.ts'
import { beginningOf, begun } from '../kit/prefill.ts'
import { answerFormatOf } from './answer-format.ts'
import type { Block } from './content.ts'
import { conversationOf } from './conversation.ts'
import { type Traits, traitsOf } from './models.ts'
import { tuningOf } from './reasoning.ts'
import { toolingOf } from './tools.ts'

/** Where nobody knows how long an answer may be. */
const SOME_MAX_TOKENS = 8_192

export function encode(call: ChatCall, target: Target): UpstreamRequest {
  const body = begun(call)
  const traits = traitsOf(target.model)
  const most = target.abilities.maxOutput ?? traits.claude?.maxOutput
  const asked = body.max_completion_tokens ?? body.max_tokens
  const bound = typeof asked === 'number' ? Math.min(asked, most ?? asked) : undefined
  const format = answerFormatOf(body, traits)
  const tooling = toolingOf(body, traits, format.tool)
  // Where a stream is refused the answer is asked for whole; it reaches the client as a stream all the same.
  const stream = call.stream && (tooling.config === undefined || traits.streamsTools)
  const tuning = tuningOf(body, traits, {
    bound,
    maxTokens: bound ?? most ?? SOME_MAX_TOKENS,
    toolForced: tooling.forced,
  })
  const instructions = [format.instruction, tooling.instruction].filter(text => text !== undefined)
  const conversation = conversationOf(body.messages, traits, {
    keepThinking: tuning.keepThinking,
    instruction: instructions.length === 0 ? undefined : instructions.join('\n\n'),
    prefill: tooling.config === undefined && (traits.prefill || beginningOf(call) !== undefined),
  })
  const stopSequences = stopSequencesOf(body.stop)
  const inference = { ...tuning.inference, ...(stopSequences.length === 0 ? {} : { stopSequences }) }
  const metadata = requestMetadataOf(body.metadata)
  // JSON.stringify leaves out what is undefined.
  const message = {
    system: conversation.system,
    messages: conversation.turns,
    inferenceConfig: filled(inference),
    toolConfig: tooling.config,
    outputConfig: format.native === undefined ? undefined : { textFormat: format.native },
    additionalModelRequestFields: filled({ ...tuning.additional, ...asObject(body.additionalModelRequestFields) }),
    additionalModelResponseFieldPaths: Array.isArray(body.additionalModelResponseFieldPaths)
      ? body.additionalModelResponseFieldPaths
      : undefined,
    guardrailConfig: guardrailOf(body, stream),
    performanceConfig: asObject(body.performanceConfig),
    requestMetadata: filled(metadata.legal),
    serviceTier: serviceTierOf(body.service_tier),
  }
  return {
    path: `${target.basePath}/model/${encodeURIComponent(target.model)}/${stream ? 'converse-stream' : 'converse'}`,
    body: JSON.stringify(message),
    headers: {
      accept: stream ? 'application/vnd.amazon.eventstream' : 'application/json',
      'content-type': 'application/json',
    },
    leftOut: [
      ...(stream === call.stream ? [] : ['stream']),
      ...tuning.leftOut,
      ...otherwiseLeftOut(body, traits, metadata.complete),
    ],
  }
}

function filled<Value extends object>(fields: Value): Value | undefined {
  return Object.keys(fields).length === 0 ? undefined : fields
}

/** What the call's stop comes to. Sequences of white space only are refused with 400. */
export function stopSequencesOf(stop: ChatBody['stop']): readonly string[] {
  const sequences: readonly unknown[] = typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : []
  return sequences.filter(sequence => typeof sequence === 'string' && sequence.trim() !== '') as string[]
}

/** How a stream is guarded is a matter of streams, and refused elsewhere. */
function guardrailOf(body: ChatBody, stream: boolean): Block | undefined {
  const given = asObject(body.guardrailConfig)
  if (given === undefined || stream) return given
  const { streamProcessingMode: _, ...rest } = given
  return rest
}

const METADATA_ENTRIES = 16
const METADATA_KEY = /^[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}$/
const METADATA_VALUE = /^[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}$/

function requestMetadataOf(given: unknown): { readonly legal: Readonly<Record<string, string>>; readonly complete: boolean } {
  const entries = Object.entries(asObject(given) ?? {})
  const legal = entries
    .filter(
      (entry): entry is [string, string] =>
        typeof entry[1] === 'string' && METADATA_KEY.test(entry[0]) && METADATA_VALUE.test(entry[1]),
    )
    .slice(0, METADATA_ENTRIES)
  return { legal: Object.fromEntries(legal), complete: legal.length === entries.length }
}

/** `auto` and `default` are what happens anyway, and not every model may be told so. */
function serviceTierOf(tier: unknown): { readonly type: string } | undefined {
  return tier === 'priority' || tier === 'flex' || tier === 'reserved' ? { type: tier } : undefined
}

/** What is sent, or named elsewhere when it is not. */
const READ: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'top_k',
  'n',
  'stop',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'functions',
  'function_call',
  'response_format',
  'reasoning_effort',
  'thinking',
  'metadata',
  'modalities',
  'additionalModelRequestFields',
  'additionalModelResponseFieldPaths',
  'guardrailConfig',
  'performanceConfig',
  'service_tier',
])

function otherwiseLeftOut(body: ChatBody, traits: Traits, allMetadata: boolean): readonly string[] {
  const leftOut = leftOutOf(body, READ)
  if (!allMetadata) leftOut.push('metadata')
  if (body.service_tier === 'scale') leftOut.push('service_tier')
  if (body.parallel_tool_calls === false) leftOut.push('parallel_tool_calls')
  const point = (author: unknown) => asObject(asObject(author)?.cache_control) !== undefined
  const inMessages = body.messages.some(message => point(message) || partsOf(message.content).some(point))
  const inTools = Array.isArray(body.tools) && body.tools.some(tool => point(tool) || point(tool?.function))
  const lost = (inMessages && traits.caching === 'nowhere') || (inTools && traits.caching !== 'everywhere')
  if (lost && !leftOut.includes('cache_control')) leftOut.push('cache_control')
  return leftOut
}
