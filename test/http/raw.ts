/** A client that writes whatever bytes it likes, and hears what really comes. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { until } from '../support/running.ts'

export interface RawClient {
  readonly socket: Socket
  /** All that has come so far. */
  heard(): string
  send(bytes: string | Buffer): void
  /** Resolves with all that came once the other side has closed the connection. */
  closed(mostMs?: number): Promise<string>
  /** Resolves once `text` has come. */
  hears(text: string | RegExp, mostMs?: number): Promise<string>
}

export async function rawClient(url: string, firstBytes: string | Buffer = ''): Promise<RawClient> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: false })
  let heard = ''
  let isClosed = false
  socket.setEncoding('utf8')
  socket.on('data', text => {
    heard += text
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
  })
  await once(socket, 'connect')
  socket.write(firstBytes)
  return {
    socket,
    heard: () => heard,
    send: bytes => void socket.write(bytes),
    async closed(mostMs = 3_000) {
      await until(`the connection is closed; heard: ${heard}`, () => isClosed, mostMs)
      return heard
    },
    async hears(text, mostMs = 3_000) {
      const holds = () => (typeof text === 'string' ? heard.includes(text) : text.test(heard))
      await until(`hears ${text}`, holds, mostMs)
      return heard
    },
  }
}

/** A POST of a chat call as bytes. */
export function post(body: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = { host: 'x', 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST /v1/chat/completions HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/** The status, the headers (names in lower case) and the JSON body of one answer. */
export function parsed(text: string): {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: any
} {
  const [head, body] = text.split('\r\n\r\n', 2) as [string, string?]
  const [first, ...lines] = head.split('\r\n') as [string, ...string[]]
  const headers = Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  return { status: Number(first.split(' ')[1]), headers, body: JSON.parse(body ?? '') }
}
