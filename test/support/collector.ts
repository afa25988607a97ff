/** An OTLP/HTTP collector on a free port that takes JSON and keeps what it gets. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SeenSpan {
  readonly name: string
  /** 2: server; 3: client. */
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }[]
  /** 2: an error. */
  readonly status: number
  readonly message: string | undefined
  readonly startedMs: number
  readonly endedMs: number
  readonly resource: Readonly<Record<string, unknown>>
}

export interface Collector {
  readonly url: string
  spans(): readonly SeenSpan[]
  /** All requests, as they came. */
  requests(): readonly { readonly path: string; readonly type: string | undefined; readonly body: string }[]
  /** How many have come, taken or not. */
  tries(): number
  /** From now on it answers so. */
  answers(status: number): void
  /** From now on it keeps its answers to itself, until what this returns is called. */
  hold(): () => void
  close(): Promise<void>
}

export async function collector(): Promise<Collector> {
  const requests: { path: string; type: string | undefined; body: string }[] = []
  let status = 200
  let tries = 0
  let held: (() => void)[] | undefined
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      tries++
      if (status === 200) {
        const body = Buffer.concat(chunks).toString('utf8')
        requests.push({ path: request.url!, type: request.headers['content-type'], body })
      }
      const answer = () => void response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
      if (held === undefined) answer()
      else held.push(answer)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => requests.filter(({ type }) => type === 'application/json').flatMap(({ body }) => spansIn(JSON.parse(body))),
    requests: () => requests,
    tries: () => tries,
    answers(now) {
      status = now
    },
    hold() {
      held = []
      return () => {
        for (const answer of held ?? []) answer()
        held = undefined
      }
    },
    close() {
      server.closeAllConnections()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}

function spansIn(body: any): SeenSpan[] {
  return body.resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    scopeSpans.flatMap(({ spans }: any) =>
      spans.map((span: any) => ({
        name: span.name,
        kind: span.kind,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId,
        attributes: told(span.attributes),
        events: (span.events ?? []).map((event: any) => ({ name: event.name, attributes: told(event.attributes) })),
        status: span.status?.code ?? 0,
        message: span.status?.message,
        startedMs: Number(BigInt(span.startTimeUnixNano) / 1_000n) / 1_000,
        endedMs: Number(BigInt(span.endTimeUnixNano) / 1_000n) / 1_000,
        resource: told(resource.attributes),
      })),
    ),
  )
}

const told = (attributes: any[] = []) => Object.fromEntries(attributes.map(({ key, value }) => [key, saidBy(value)]))

function saidBy(value: any): unknown {
  if ('arrayValue' in value) return value.arrayValue.values.map(saidBy)
  if ('intValue' in value) return Number(value.intValue)
  return Object.values(value)[0]
}
