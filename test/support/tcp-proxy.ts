/** A TCP relay between a client and a server that can be slow, lose a reply, or be gone. */
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** From now on every byte takes so much longer, each way. */
  delay(ms: number): void
  /** Of the next command that holds `text`: the server gets it, and its reply is lost together with the connection. */
  loseReplyTo(text: string): void
  /** How many replies were lost so. */
  lost(): number
  /** Breaks all connections, and makes none until `open`. */
  shut(): void
  open(): void
  close(): Promise<void>
}

export async function tcpProxy(toPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let delayMs = 0
  let isShut = false
  let losing: string | undefined
  let lost = 0

  /** What is late holds up what comes after it: bytes stay in their order, also when the delay ends. */
  function inOrder(to: Socket): (chunk: Buffer) => void {
    let under = 0
    let last = 0
    return chunk => {
      if (delayMs === 0 && under === 0) return void to.write(chunk)
      under++
      last = Math.max(last, performance.now() + delayMs)
      setTimeout(() => {
        under--
        to.write(chunk)
      }, last - performance.now())
    }
  }

  const server = createServer(client => {
    if (isShut) return client.destroy()
    const upstream = connect(toPort, '127.0.0.1')
    let losesNext = false
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      const pass = inOrder(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.on('data', chunk => {
        if (from === client && losing !== undefined && chunk.includes(losing)) {
          losing = undefined
          losesNext = true
        } else if (from === upstream && losesNext) {
          lost++
          return void client.destroy()
        }
        pass(chunk)
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    delay(ms) {
      delayMs = ms
    },
    loseReplyTo(text) {
      losing = text
    },
    lost: () => lost,
    shut() {
      isShut = true
      for (const socket of sockets) socket.destroy()
    },
    open() {
      isShut = false
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
