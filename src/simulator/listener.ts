/*
 * A port that can go down and come back. While it is shut, the socket is really closed, so that connecting is refused by the kernel;
 * when it opens, it takes the same port again.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

export interface Listener {
  readonly port: number
  /** Listens again, as soon as the port can be had. */
  open(): void
  /** Closes the port, and resets every connection. */
  shut(): void
  /** Shuts for good; resolves when nothing is left open. */
  close(): Promise<void>
}

/** While the port was shut, somebody else may have taken it for a moment. */
const RETRY_MS = 20

/** Resolves when it listens; rejects when it cannot (address in use, no such address). `port` 0 takes a free one. */
export async function startListener(host: string, port: number, accept: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>()
  let server: Server | undefined
  let retry: NodeJS.Timeout | undefined

  function create(): Server {
    return createServer({ allowHalfOpen: true, noDelay: true }, socket => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // A peer that resets its connection is nobody's error here; without a listener it would be thrown.
      socket.on('error', () => socket.destroy())
      accept(socket)
    })
  }

  function listenAgain(): void {
    const attempt = create()
    server = attempt
    attempt.on('error', () => {
      if (server !== attempt) return
      retry = setTimeout(listenAgain, RETRY_MS)
    })
    // It may have been shut again before the address was looked up.
    attempt.once('listening', () => server !== attempt && attempt.close())
    attempt.listen({ host, port: boundPort, exclusive: true })
  }

  function shut(): void {
    clearTimeout(retry)
    if (server?.listening) server.close()
    server = undefined
    for (const socket of sockets) resetNow(socket)
  }

  const original = create()
  server = original
  original.listen({ host, port, exclusive: true })
  await once(original, 'listening')
  const boundPort = (original.address() as AddressInfo).port

  return {
    port: boundPort,
    open() {
      if (server === undefined) listenAgain()
    },
    shut,
    async close() {
      const closing = server
      const closed = closing?.listening ? once(closing, 'close') : undefined
      const gone = [...sockets].map(socket => once(socket, 'close'))
      shut()
      await Promise.all([closed, ...gone])
    },
  }
}

/**
 * Resets the connection at once. Node's own way ends the writing side first; whatever destroys the socket before that is through (an error
 * of its peer will do) makes Node lose the connection without closing it, and neither its peer nor who waits for its end ever hears of it.
 * One that is being ended already is only closed, for the same reason.
 */
export function resetNow(socket: Socket): void {
  if (!socket.writableEnded) socket.resetAndDestroy()
  socket.destroy()
}
