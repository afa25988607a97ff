/* Calls and targets for the tests of providers, made the way the gateway makes them. */
import type { Target } from '../../src/core/attempt.ts'
import type { ChatBody, ChatCall, DialectName } from '../../src/core/chat.ts'
import { Spans, scanObject } from '../../src/core/json.ts'
import type { Provider, UpstreamFailure, UpstreamRequest } from '../../src/core/provider.ts'

/** A call of a client who wrote exactly this JSON. */
export function callOf(json: string, dialect: DialectName = 'chat'): ChatCall {
  const bytes = Buffer.from(json)
  const spans = scanObject(bytes, 64)
  if (!(spans instanceof Spans)) throw new Error(`not a body: ${json}`)
  const body = JSON.parse(json) as ChatBody
  const stream = body.stream === true
  return {
    dialect,
    model: body.model,
    stream,
    wantsUsage: body.stream_options?.include_usage === true,
    body,
    shape: JSON.parse(bytes.toString('latin1')) as ChatBody,
    source: { bytes, spans },
  }
}

export function targetOf(provider: Provider, model: string): Target {
  return {
    id: `${provider.name}/${model}`,
    providerName: provider.name,
    model,
    label: model,
    provider,
    options: {},
    origin: 'https://upstream.test',
    basePath: '/v1',
    query: '',
    headers: {},
    tags: new Set(),
    timeouts: { connectMs: 1, firstTokenMs: 1, idleMs: 1, totalMs: 1 },
    retry: { attempts: 0, firstMs: 1, factor: 1, maxMs: 1, rateLimitWaitMs: 1 },
    abilities: {},
  }
}

/** What the provider would send for this body, as JSON and as text. */
export function sent(
  provider: Provider,
  model: string,
  body: object,
): { readonly json: Record<string, unknown>; readonly text: string; readonly leftOut: readonly string[] } {
  const request: UpstreamRequest = provider.encode(
    callOf(JSON.stringify({ model: 'route', messages: [{ role: 'user', content: 'hi' }], ...body })),
    targetOf(provider, model),
  )
  const text = Buffer.from(request.body as Uint8Array).toString()
  return { json: JSON.parse(text), text, leftOut: request.leftOut ?? [] }
}

/** Why the provider would not take this body. */
export function refusal(provider: Provider, model: string, body: object): string | undefined {
  return provider.refuses(
    callOf(JSON.stringify({ model: 'route', messages: [{ role: 'user', content: 'hi' }], ...body })),
    targetOf(provider, model),
  )
}

/** A failed answer with this body, JSON or text, received on 2026-03-01 at noon UTC. */
export function failed(status: number, body: unknown, headers: UpstreamFailure['headers'] = {}): UpstreamFailure {
  const text = typeof body === 'string' ? body : (JSON.stringify(body) ?? '')
  return { status, headers, body: typeof body === 'string' ? undefined : body, text, receivedMs: Date.UTC(2026, 2, 1, 12) }
}
