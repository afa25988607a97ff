/** An upstream of bare TCP, which sees what really comes and sends what no HTTP server would. */
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface Upstream {
  readonly origin: string
  /** Connections that were opened so far, and those that are open now. */
  opened(): number
  open(): number
  close(): Promise<void>
}

/** @param onConnection told of each connection with its number, from 1 */
export async function upstream(onConnection: (socket: Socket, number: number) => void): Promise<Upstream> {
  const sockets = new Set<Socket>()
  let opened = 0
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onConnection(socket, ++opened)
    // Or it would not see that the other side has closed.
    socket.resume()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    opened: () => opened,
    open: () => sockets.size,
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}

/** Calls `onRequest` for each request of a connection once all of it has come; it must have a content-length. */
export function onRequests(socket: Socket, onRequest: (head: string, body: string) => void): void {
  let raw = Buffer.alloc(0)
  socket.on('data', chunk => {
    raw = Buffer.concat([raw, chunk])
    for (;;) {
      const headEnd = raw.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const head = raw.toString('latin1', 0, headEnd)
      const end = headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (raw.length < end) return
      const body = raw.toString('utf8', headEnd + 4, end)
      raw = raw.subarray(end)
      onRequest(head, body)
    }
  })
}

/** An upstream that answers every request with these bytes. */
export function answering(answer: string | Buffer): Promise<Upstream> {
  return upstream(socket => onRequests(socket, () => socket.write(answer)))
}

export function whole(body: string, more = ''): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`
}

export const CHUNKED = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'

export const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

/** Undici uses a connection again from the next turn of the event loop on; the end of an answer is told before. */
export const nextTurn = () => new Promise<void>(resolve => setImmediate(() => setImmediate(resolve)))
