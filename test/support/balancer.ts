/** A load balancer in its simplest form: every new connection goes to one that says it is ready, in turns; then it is bytes. */
import { get } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Balancer {
  readonly url: string
  /** Why connections of clients were broken, as far as an instance did it. */
  readonly broken: readonly string[]
  close(): Promise<void>
}

const PATIENCE_MS = 5_000

/** @param addresses where the instances are at present */
export async function balancer(addresses: () => readonly string[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  const broken: string[] = []
  let turn = 0

  async function take(client: Socket): Promise<void> {
    client.on('error', () => client.destroy())
    keep(client)
    const from = turn++
    const endsAt = performance.now() + PATIENCE_MS
    let whyNot = 'nobody is there'
    // On a busy machine the one that was to be asked may have come or gone meanwhile: then all are asked again.
    while (performance.now() < endsAt && !client.destroyed) {
      const all = addresses()
      for (let at = 0; at < all.length; at++) {
        const address = all[(from + at) % all.length]!
        const reason = await notReady(address)
        const instance = reason === undefined ? await connected(address) : undefined
        if (instance !== undefined) return join(client, instance, address)
        whyNot = `${address}: ${reason ?? 'not to be reached'}`
      }
      await sleep(10)
    }
    broken.push(whyNot)
    client.resetAndDestroy()
  }

  function join(client: Socket, instance: Socket, address: string): void {
    keep(instance)
    client.pipe(instance).pipe(client)
    client.on('close', () => instance.destroy())
    instance.on('error', error => {
      broken.push(`${address}: ${error.message}`)
      client.resetAndDestroy()
    })
  }

  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }

  const server = createServer({ allowHalfOpen: true }, client => void take(client))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    broken,
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Undefined: it is. */
const notReady = (address: string) =>
  new Promise<string | undefined>(resolve => {
    get(`${address}/ready`, { agent: false }, answer => {
      answer.resume()
      resolve(answer.statusCode === 200 ? undefined : String(answer.statusCode))
    }).on('error', error => resolve(error.message))
  })

function connected(address: string): Promise<Socket | undefined> {
  const { hostname, port } = new URL(address)
  return new Promise(resolve => {
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}
