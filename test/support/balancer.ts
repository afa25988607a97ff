/** A load balancer in its simplest form: every new connection goes to one that says it is ready, in turns; then it is bytes. */
import { get } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  readonly url: string
  close(): Promise<void>
}

/** @param addresses where the instances are at present */
export async function balancer(addresses: () => readonly string[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let turn = 0

  async function take(client: Socket): Promise<void> {
    client.on('error', () => client.destroy())
    keep(client)
    const all = addresses()
    const from = turn++
    for (let at = 0; at < all.length; at++) {
      const address = all[(from + at) % all.length]!
      if (!(await isReady(address))) continue
      const instance = await connected(address)
      if (instance === undefined) continue
      keep(instance)
      client.pipe(instance).pipe(client)
      client.on('close', () => instance.destroy())
      instance.on('error', () => client.resetAndDestroy())
      return
    }
    client.resetAndDestroy()
  }

  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }

  const server = createServer({ allowHalfOpen: true }, client => void take(client))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const isReady = (address: string) =>
  new Promise<boolean>(resolve => {
    get(`${address}/ready`, { agent: false }, answer => {
      answer.resume()
      resolve(answer.statusCode === 200)
    }).on('error', () => resolve(false))
  })

function connected(address: string): Promise<Socket | undefined> {
  const { hostname, port } = new URL(address)
  return new Promise(resolve => {
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}
