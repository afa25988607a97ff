/** How a server of the bench tells where it listens, and that it does not outlive the bench. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export function announce(server: Server): void {
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }))
  process.on('disconnect', () => process.exit())
}
