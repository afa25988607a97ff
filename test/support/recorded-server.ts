/*
 * A provider's stand-in: a real server that answers in that provider's own wire and writes down what it was sent. A call that the
 * provider would have refused is refused and noted, so that a test can hold that there was none. It can be made to fail with a recorded
 * refusal.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ProviderWire, Received } from './wires/scene.ts'

export interface Refusal {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** JSON. */
  readonly body?: unknown
  /** In place of the body: text. */
  readonly raw?: string
}

export interface RecordedServer {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly calls: readonly Received[]
  /** What was wrong with calls. */
  readonly problems: readonly string[]
  /** From now on every call fails like this; undefined: it is well again. */
  fail(refusal: Refusal | undefined): void
  close(): Promise<void>
}

/** Answers leave in pieces of this size, which is no multiple of anything. */
const PIECE = 97

export async function recordedServer(wire: ProviderWire): Promise<RecordedServer> {
  const calls: Received[] = []
  const problems: string[] = []
  let failing: Refusal | undefined

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const received = { path: request.url!, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) }
    calls.push(received)
    const answer = wire(received)
    if ('problem' in answer) problems.push(answer.problem)
    if (failing !== undefined) {
      response.writeHead(failing.status, { 'content-type': 'application/json', ...failing.headers })
      response.end(failing.raw ?? JSON.stringify(failing.body ?? {}))
    } else if ('problem' in answer) {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: answer.problem, type: 'invalid_request_error' } }))
    } else {
      response.writeHead(200, { 'content-type': answer.contentType })
      const bytes = Buffer.from(answer.bytes as string)
      for (let at = 0; at < bytes.length; at += PIECE) response.write(bytes.subarray(at, at + PIECE))
      response.end()
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    problems,
    fail(refusal) {
      failing = refusal
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
