/** A client that sees what really comes over TCP: bytes, when they came, and how the connection ended. */
import { connect } from 'node:net'
import type { SimulatorConfig } from '../../src/config/simulation.ts'

export interface Heard {
  /** 0 where nothing came. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** What came of the body, without the framing of chunks. */
  readonly body: string
  /** Whether HTTP says that this is all of it. */
  readonly isComplete: boolean
  /** `us`: this client ended the connection, because the answer was complete or because it was told to. */
  readonly endedBy: 'us' | 'fin' | 'reset' | 'refused'
  /** From the call to the first byte of the answer, and to the end. */
  readonly headMs: number
  readonly totalMs: number
}

export interface Request {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object goes as JSON, a text as it is. */
  readonly body?: unknown
  /** Leaves as soon as this holds of what has come so far. */
  readonly leaveWhen?: (raw: string) => boolean
  readonly leaveAfterMs?: number
}

export function ask(url: string, request: Request = {}): Promise<Heard> {
  const { hostname, port, host } = new URL(url)
  const { method = 'POST', path = '/v1/chat/completions', headers = {}, body, leaveWhen, leaveAfterMs } = request
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)
  const lines = { host, 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)), ...headers }
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
  return new Promise(resolve => {
    const started = performance.now()
    let raw = Buffer.alloc(0)
    let headMs = Number.NaN
    let timer: NodeJS.Timeout | undefined
    const socket = connect(Number(port), hostname)
    const end = (endedBy: Heard['endedBy']) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ ...parse(raw), endedBy, headMs, totalMs: performance.now() - started })
    }
    if (leaveAfterMs !== undefined) timer = setTimeout(() => end('us'), leaveAfterMs)
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'reset'))
    socket.on('end', () => end('fin'))
    socket.on('data', (chunk: Buffer) => {
      if (raw.length === 0) headMs = performance.now() - started
      raw = Buffer.concat([raw, chunk])
      if (parse(raw).isComplete || leaveWhen?.(raw.toString()) === true) end('us')
    })
    socket.write(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${text}`)
  })
}

function parse(raw: Buffer): Pick<Heard, 'status' | 'headers' | 'body' | 'isComplete'> {
  const split = raw.indexOf('\r\n\r\n')
  if (split === -1) return { status: 0, headers: {}, body: '', isComplete: false }
  const [first = '', ...lines] = raw.toString('latin1', 0, split).split('\r\n')
  const headers = Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const rest = raw.subarray(split + 4)
  const status = Number(first.split(' ')[1])
  if (headers['transfer-encoding'] === 'chunked') return { status, headers, ...dechunk(rest) }
  return {
    status,
    headers,
    body: rest.toString(),
    isComplete: rest.length >= Number(headers['content-length'] ?? Number.POSITIVE_INFINITY),
  }
}

function dechunk(raw: Buffer): { body: string; isComplete: boolean } {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const line = raw.indexOf('\r\n', at)
    if (line === -1) return { body: Buffer.concat(parts).toString(), isComplete: false }
    const size = Number.parseInt(raw.toString('latin1', at, line), 16)
    if (size === 0) return { body: Buffer.concat(parts).toString(), isComplete: true }
    parts.push(raw.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
}

/** The JSON of each event of a stream; text where it is none. */
export function eventsIn(body: string): any[] {
  return body
    .split(/\r?\n\r?\n/)
    .filter(frame => frame !== '')
    .map(frame => {
      const text = frame.slice(frame.indexOf('data: ') + 6)
      try {
        return JSON.parse(text)
      } catch {
        return text
      }
    })
}

/** A simulator's configuration on a free port, with what the test is about. */
export function config(about: Partial<SimulatorConfig> = {}): SimulatorConfig {
  return { name: 'alpha', speaks: 'openai', listen: '127.0.0.1:0', prefill: 'continue', token_delay: 0, script: [], ...about }
}

export const SAY_HELLO = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Say hello, please.' }] }
export const MESSAGES = '/v1/messages'
export const SAY_HELLO_TO_CLAUDE = { ...SAY_HELLO, model: 'claude-sonnet-4-5', max_tokens: 100 }
export const GENERATE = '/v1beta/models/gemini-2.5-flash:generateContent'
export const STREAM_GENERATE = '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse'
export const SAY_HELLO_TO_GEMINI = { contents: [{ role: 'user', parts: [{ text: 'Say hello, please.' }] }] }

/** A call to an API in its own words, for usage where that has to be asked for. */
export function callTo(speaks: SimulatorConfig['speaks'], stream: boolean): { readonly path: string; readonly body: object } {
  switch (speaks) {
    case 'anthropic':
      return { path: MESSAGES, body: { ...SAY_HELLO_TO_CLAUDE, stream } }
    case 'gemini':
      return { path: stream ? STREAM_GENERATE : GENERATE, body: SAY_HELLO_TO_GEMINI }
    case 'openai':
      return { path: '/v1/chat/completions', body: { ...SAY_HELLO, stream, stream_options: { include_usage: true } } }
  }
}

export const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a city',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { enum: ['celsius', 'fahrenheit'] }, days: { type: 'integer' } },
    required: ['city', 'unit'],
  },
}
export const TIME = {
  name: 'get_time',
  description: 'The time',
  schema: { type: 'object', properties: { zone: { type: 'string' } } },
}
