/** Google's Gemini API with keys of AI Studio, translated from and to OpenAI's chat shape. */
import { z } from 'zod'
import type { Target } from '../../core/attempt.ts'
import type { ChatCall } from '../../core/chat.ts'
import type { Provider, UpstreamFailure, UpstreamRequest } from '../../core/provider.ts'
import { abilities } from './abilities.ts'
import { isAstray, pathOf } from './address.ts'
import { decodeWhole, streamDecoder } from './decode.ts'
import { composed } from './encode.ts'
import { traitsOf } from './models.ts'
import { whyRefused } from './refuses.ts'
import { classifyGoogle } from './rules.ts'
import { type Site, STUDIO } from './site.ts'

const classify = (failure: UpstreamFailure) => classifyGoogle(failure)

export const gemini: Provider = {
  name: 'gemini',
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  options: z.strictObject({}),
  dialect: undefined,
  pricedAs: 'google',
  tracedAs: 'gcp.gemini',
  abilities,
  prefill: 'continued',
  framing: 'sse',
  authorize: (key): Readonly<Record<string, string>> => (key === '' ? {} : { 'x-goog-api-key': key }),
  refuses: (call, target) => whyNotSent(call, target, STUDIO),
  encode(call, target) {
    const base = /\/v1(?:beta|alpha)?$/.test(target.basePath) ? target.basePath : `${target.basePath}/v1beta`
    const model = target.model.includes('/') ? target.model : `models/${target.model}`
    return generating(call, target, STUDIO, `${base}/${pathOf(model)}`)
  },
  decode: body => decodeWhole(body, classify),
  decoder: () => streamDecoder(classify),
  classify,
}

/** Why a site cannot honour the call; undefined when it can. */
export function whyNotSent(call: ChatCall, target: Target, site: Site): string | undefined {
  return isAstray(target.model) ? 'a model of this name' : whyRefused(call, traitsOf(target.model), site)
}

/** The request that makes a model answer. `model`: its path at that site. */
export function generating(call: ChatCall, target: Target, site: Site, model: string): UpstreamRequest {
  const traits = traitsOf(target.model)
  const { body, headers, leftOut } = composed(call, traits, site, target.abilities.maxOutput ?? traits.maxOutput)
  const method = call.stream ? 'streamGenerateContent?alt=sse' : 'generateContent'
  return { path: `${model}:${method}`, body, headers, leftOut }
}
