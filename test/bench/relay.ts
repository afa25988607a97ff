/*
 * What the gateway is measured against: a relay on the same HTTP server and the same client that does as good as nothing. It reads the
 * body, parses it, passes the bytes on, and the answer back. Argument: the upstream's origin.
 */
import { createServer, type OutgoingHttpHeaders } from 'node:http'
import { Pool } from 'undici'
import { announce } from './announce.ts'

// As in src/upstream/pools.ts.
const pool = new Pool(process.argv[2]!, {
  allowH2: false,
  pipelining: 1,
  keepAliveTimeout: 60_000,
  headersTimeout: 0,
  bodyTimeout: 0,
})
const HEADERS = ['content-type', 'application/json', 'accept-encoding', 'identity', 'authorization', 'Bearer key']

const server = createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    JSON.parse(body.toString('utf8'))
    pool.dispatch(
      { path: req.url!, method: 'POST', headers: HEADERS, body },
      {
        onRequestStart() {},
        onResponseStart(_, status, answered) {
          const { 'content-type': type, 'content-length': length } = answered as OutgoingHttpHeaders
          res.writeHead(
            status,
            length === undefined ? { 'content-type': type } : { 'content-type': type, 'content-length': length },
          )
        },
        onResponseData(controller, chunk) {
          if (res.destroyed) controller.abort(new Error('the client has gone'))
          else res.write(chunk)
        },
        onResponseEnd() {
          res.end()
        },
        onResponseError(_, error) {
          res.destroy(error)
        },
      },
    )
  })
})
announce(server)
