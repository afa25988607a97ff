/*
 * Google's Vertex AI: Gemini with the same bodies as at AI Studio, and Claude with Anthropic's. Which of the two a call is for is told by
 * its model, and an answer by its shape. Whose key it is decides the address: a service account names its project, an API key has none
 * in the path, and what base_url says stands above both.
 */
import { z } from 'zod'
import type { Target } from '../../core/attempt.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Provider } from '../../core/provider.ts'
import { abilities as ofClaude } from '../anthropic/abilities.ts'
import { anthropic } from '../anthropic/anthropic.ts'
import { abilities as ofGemini } from '../gemini/abilities.ts'
import { pathOf } from '../gemini/address.ts'
import { decodeWhole } from '../gemini/decode.ts'
import { generating, whyNotSent } from '../gemini/gemini.ts'
import { CLOUD } from '../gemini/site.ts'
import { encodeClaude, isClaude, whyNotClaude } from './claude.ts'
import { type Credentials, credentialsOf, grantOf } from './credentials.ts'
import { classify, isAnthropics } from './rules.ts'
import { eitherDecoder } from './streams.ts'
import { tokens } from './tokens.ts'

/** @param clock by which tokens end */
export function vertexBy(clock: Clock): Provider {
  const known = tokens(clock, key => {
    const credentials = credentialsOf(key)
    if (credentials.kind === 'api-key') return Promise.resolve({ headers: {}, expiresMs: Number.POSITIVE_INFINITY })
    return grantOf(credentials, clock)
  })

  return {
    name: 'vertex',
    baseUrl: 'https://aiplatform.googleapis.com',
    options: z.strictObject({}),
    dialect: undefined,
    pricedAs: 'google',
    tracedAs: 'gcp.vertex_ai',
    abilities: model => (isClaude(model) ? ofClaude(model) : ofGemini(model)),
    prefill: 'continued',
    framing: 'sse',
    authorize(key): Readonly<Record<string, string>> {
      const credentials = credentialsOf(key)
      return credentials.kind === 'api-key' && key !== '' ? { 'x-goog-api-key': key } : {}
    },
    refuses: (call, target) => (isClaude(target.model) ? whyNotClaude(call, target) : whyNotSent(call, target, CLOUD)),
    encode(call, target, key = '') {
      const model = `${placeOf(target, credentialsOf(key))}/${pathOf(modelPath(target.model))}`
      return isClaude(target.model) ? encodeClaude(call, target, model) : generating(call, target, CLOUD, model)
    },
    decode: body => (isAnthropics(body) ? anthropic.decode(body) : decodeWhole(body, classify)),
    decoder: eitherDecoder,
    classify,
    sign: (_, __, key) => known.headersFor(key),
    renews(key, signed, refused) {
      // 403 is about what may be done, not about who asks.
      if (refused.kind !== 'upstream-refused-key' || refused.details.upstreamStatus !== 401) return false
      if (credentialsOf(key).kind === 'api-key') return false
      known.forget(key, signed)
      return true
    },
  }
}

export const vertex: Provider = vertexBy(systemClock)

/** Publishers' models by their names; tuned ones and those of other publishers by their paths. */
function modelPath(model: string): string {
  if (/^(?:publishers|endpoints)\//.test(model)) return model
  return `publishers/${isClaude(model) ? 'anthropic' : 'google'}/models/${model}`
}

/** The path up to the publisher: as base_url has it, or with the project of the key and the location that the host tells. */
function placeOf(target: Target, credentials: Credentials): string {
  const { basePath } = target
  if (basePath.includes('/projects/')) return basePath
  const version = basePath === '' ? '/v1' : basePath
  if (credentials.kind === 'api-key') return version
  if (credentials.project === undefined) {
    throw new Fault('upstream-refused-key', {
      detail: 'which project? These credentials name none: base_url has to end in /v1/projects/PROJECT/locations/LOCATION',
    })
  }
  return `${version}/projects/${encodeURIComponent(credentials.project)}/locations/${locationOf(target.origin)}`
}

/** europe-west4-aiplatform.googleapis.com, aiplatform.eu.rep.googleapis.com; the bare host serves `global`. */
function locationOf(origin: string): string {
  const match = /^https:\/\/(?:([a-z0-9-]+)-aiplatform\.|aiplatform\.([a-z]+)\.rep\.)googleapis\.com/.exec(origin)
  return match?.[1] ?? match?.[2] ?? 'global'
}
