/** Claude at Vertex: Anthropic's messages, with the model in the address and the version in the body. */
import type { Target } from '../../core/attempt.ts'
import type { ChatCall, ContentPart } from '../../core/chat.ts'
import type { UpstreamRequest } from '../../core/provider.ts'
import { anthropic } from '../anthropic/anthropic.ts'
import { messageOf } from '../anthropic/encode.ts'
import { isAstray } from '../gemini/address.ts'
import { fileOf, imageOf, partsOf } from '../kit/messages.ts'

const VERSION = 'vertex-2023-10-16'

export function isClaude(model: string): boolean {
  return /^(?:publishers\/anthropic\/|claude)/.test(model)
}

/** Why Claude at Vertex cannot honour the call; undefined when it can. */
export function whyNotClaude(call: ChatCall, target: Target): string | undefined {
  if (isAstray(target.model)) return 'a model of this name'
  const elsewhere = call.body.messages.some(message => partsOf(message.content).some(isElsewhere))
  return elsewhere ? 'an image or a file that is not in the call itself' : anthropic.refuses(call, target)
}

function isElsewhere(part: ContentPart): boolean {
  const source = part.type === 'image_url' ? imageOf(part) : part.type === 'file' ? fileOf(part)?.source : undefined
  return source !== undefined && source.kind !== 'inline'
}

/** @param path the model's, without the method */
export function encodeClaude(call: ChatCall, target: Target, path: string): UpstreamRequest {
  const { message, headers, leftOut } = messageOf(call, target)
  const { model: _, service_tier: tier, ...rest } = message
  return {
    path: `${path}:${call.stream ? 'streamRawPredict' : 'rawPredict'}`,
    body: JSON.stringify({ anthropic_version: VERSION, ...rest }),
    headers,
    // Capacity is bought from Google here.
    leftOut: tier === undefined ? leftOut : [...leftOut, 'service_tier'],
  }
}
