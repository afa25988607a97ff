/*
 * A provider that misbehaves to order: it speaks a real API over real TCP, answers every call by itself, and its script says what goes
 * wrong. Connections are taken in by a listener of its own, which can go down, and handed to an HTTP server that never listens; so a
 * refusal is decided before HTTP has seen the connection.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ScriptRule, SimulatorConfig } from '../config/simulation.ts'
import { asObject, tryParse } from '../core/json.ts'
import { anthropicWire } from './anthropic.ts'
import { type Actor, carryOut, type Received } from './exchange.ts'
import { geminiWire } from './gemini.ts'
import { createLedger, type Entry, type SimulatedCall, type SimulatedCounts, type SimulatedEnding } from './ledger.ts'
import { resetNow, startListener } from './listener.ts'
import { openAIWire } from './openai.ts'
import { type Lots, startScript } from './script.ts'

export type { SimulatedCall, SimulatedCounts, SimulatedEnding } from './ledger.ts'

export interface Simulator {
  readonly name: string
  /** `http://host:port`. The API's paths lie below `/v1`, `/v1beta` and `/beta`, and below `/`. */
  readonly url: string
  /** What reached it: the last 10,000 requests, the latest at the end. Live. */
  readonly calls: readonly SimulatedCall[]
  /** Of all requests since it started. Live. */
  readonly counts: SimulatedCounts
  /** Replaces the script, and starts its counters and its clock again. Calls under way stay on their course, unless the port goes down. */
  script(rules: readonly ScriptRule[]): void
  /** Ends every connection; resolves when nothing is left open. */
  close(): Promise<void>
}

const WIRES = { openai: openAIWire, anthropic: anthropicWire, gemini: geminiWire } as const satisfies Record<
  SimulatorConfig['speaks'],
  Actor['wire']
>

/** Longer bodies are refused. */
const MAX_BODY_BYTES = 64 * 1024 ** 2
/** What stands before the paths of an API; those beside it, for what is not released, have the same paths. */
const VERSION = /^\/(?:v1(?:beta|alpha)?|beta)(?=\/)/
/** setTimeout's own limit. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/**
 * Rejects when the address cannot be listened on. `random`: for rules with a share, from 0 to 1. `ended`: told of every call, once, as it
 * ends; for tests that count more calls than are kept.
 */
export async function startSimulator(
  config: SimulatorConfig,
  options: { readonly random?: () => number; readonly ended?: (call: SimulatedCall) => void } = {},
): Promise<Simulator> {
  const random = options.random ?? Math.random
  const actor: Actor = {
    wire: WIRES[config.speaks],
    voice: { name: config.name, answer: config.answer, echoes: config.prefill === 'echo' },
    tokenDelayMs: config.token_delay,
    refusesPrefill: config.prefill === 'refuse',
  }
  const ledger = createLedger(options.ended)
  /** The lots that were drawn when a connection opened, until its first call takes them. */
  const lotsOfConnection = new WeakMap<Socket, Lots>()
  /** Every request under way, and what ends it from our side. */
  const underWay = new Map<Promise<void>, (ending: SimulatedEnding) => void>()
  let script = startScript(config.script, random)
  let tideTimer: NodeJS.Timeout | undefined
  let closed: Promise<void> | undefined

  const http = createServer({ keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 }, (request, response) => {
    const controller = new AbortController()
    let abortedAs: SimulatedEnding = 'aborted'
    response.once('close', () => controller.abort())
    const done = serve(request, response, controller.signal, () => abortedAs).finally(() => underWay.delete(done))
    underWay.set(done, ending => {
      abortedAs = ending
      controller.abort()
    })
  })

  const { host, port } = addressOf(config.listen)
  const listener = await startListener(host, port, socket => {
    const lots = script.draw()
    const refusal = script.connection(lots)
    if (refusal === undefined) {
      lotsOfConnection.set(socket, lots)
      http.emit('connection', socket)
      return
    }
    const unread = {
      kind: 'refused',
      method: '',
      path: '',
      headers: {},
      body: undefined,
      model: undefined,
      stream: false,
    } as const
    ledger.begin({ at: Date.now(), ...unread, rule: refusal.index }, 0).end('faulted')
    resetNow(socket)
  })

  async function serve(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
    abortedAs: () => SimulatedEnding,
  ): Promise<void> {
    const { method = '', url = '/', headers } = request
    const lots = lotsOfConnection.get(request.socket) ?? script.draw()
    lotsOfConnection.delete(request.socket)
    const { text, bytes } = await readBody(request)
    const body = text === undefined ? undefined : tryParse(text)
    const fields = asObject(body)
    const [place = '', query] = url.split('?', 2)
    const path = place.replace(VERSION, '')
    const at = method === 'POST' ? actor.wire.callAt(path, new URLSearchParams(query)) : undefined
    const model = at?.model ?? (typeof fields?.model === 'string' ? fields.model : undefined)
    const stream = at?.stream ?? fields?.stream === true
    const kind = at !== undefined ? 'call' : method === 'GET' && path === '/models' ? 'inquiry' : 'unknown'
    const received: Received = { method, path, headers, body, isTooLong: text === undefined, model, kind, at: at ?? {} }

    const match = kind === 'call' ? script.call({ model, stream }, lots) : kind === 'inquiry' ? script.inquiry(lots) : undefined
    const entry = ledger.begin(
      { at: Date.now(), kind, method, path: url, headers, body, model, stream, rule: match?.index },
      bytes,
    )
    try {
      const line = { response, signal, sent: entry.sent }
      entry.end(await carryOut(actor, line, received, match?.rule))
    } catch (error) {
      if (signal.aborted) entry.end(abortedAs())
      else failOpenly(response, entry, error)
    }
  }

  /** Opens or shuts the port as the script has it now, and comes back when that changes. */
  function followTide(): void {
    clearTimeout(tideTimer)
    const now = script.elapsedMs()
    if (script.downtimes.some(({ fromMs, toMs }) => fromMs <= now && now < toMs)) {
      for (const end of underWay.values()) end('faulted')
      listener.shut()
    } else listener.open()
    const turns = script.downtimes.flatMap(({ fromMs, toMs }) => [fromMs, toMs]).filter(ms => ms > now)
    const next = Math.min(...turns)
    if (Number.isFinite(next)) tideTimer = setTimeout(followTide, Math.min(next - now, LONGEST_TIMEOUT_MS))
  }

  async function close(): Promise<void> {
    clearTimeout(tideTimer)
    for (const end of underWay.values()) end('aborted')
    await Promise.all([listener.close(), ...underWay.keys()])
  }

  followTide()
  return {
    name: config.name,
    url: `http://${reachable(host)}:${listener.port}`,
    calls: ledger.calls,
    counts: ledger.counts,
    script(rules) {
      if (closed !== undefined) return
      script = startScript(rules, random)
      followTide()
    },
    close() {
      closed ??= close()
      return closed
    },
  }
}

/** `text` is undefined when the body is too long. What a client that leaves has sent counts as all there was. */
async function readBody(request: IncomingMessage): Promise<{ text: string | undefined; bytes: number }> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
    }
  } catch {
    // The client left; its signal has aborted, and tells it to whoever waits next.
  }
  return bytes > MAX_BODY_BYTES ? { text: undefined, bytes: 0 } : { text: Buffer.concat(chunks).toString(), bytes }
}

/** A rule that cannot be carried out (a header that HTTP does not allow) must not look like a fault that was ordered. */
function failOpenly(response: ServerResponse, entry: Entry, error: unknown): void {
  entry.end('faulted')
  if (response.headersSent) {
    response.destroy()
    return
  }
  const text = `The simulator could not do what its script says: ${error instanceof Error ? error.message : String(error)}\n`
  // The length is told because the head that failed may have left its own behind.
  response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(Buffer.byteLength(text)) })
  response.end(text)
}

function addressOf(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(':')
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) }
}

/** An address that listens everywhere is reached on this machine. */
function reachable(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
