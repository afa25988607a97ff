/*
 * The last section of the bench: a thousand open streams at once, as many events a second as a model says words, from an upstream that is
 * a process of its own: what they cost the gateway in memory, and whether the words still come evenly. The same streams straight from the
 * upstream come first: what the machine does to them is not the gateway's doing.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { gatewayProcess } from '../support/gateway-process.ts'
import type { Children } from './children.ts'
import { CHAT_PATH } from './rows.ts'

const STREAMS = 1_000
export const PER_SECOND = 20
/** Streams begin one after the other over this time, so that they do not all speak at once. */
const BEGIN_MS = 4_000
const WATCH_MS = 8_000
const EVENT_END = '\n\n'
/** What the streams may take of resident memory. */
const MOST_MB = 150

/** Milliseconds between two events of a stream. */
interface Pace {
  readonly p50: number
  readonly p99: number
}

export async function streamsSection(own: Children): Promise<string> {
  const upstream = own.start('upstream of streams', './streams-upstream.ts', [])
  const upstreamPort = await own.heard(upstream, (message: { port?: number }) => message.port)
  const gateway = await gatewayProcess({
    providers: { primary: { type: 'openai', base_url: `http://127.0.0.1:${upstreamPort}/v1`, keys: ['key'] } },
    routes: { streams: ['primary/small-1'] },
  })
  try {
    const idle = await gateway.memory()
    const straight = await opened(upstreamPort)
    const direct = await straight.pace()
    straight.close()
    const streams = await opened(gateway.port)
    const pace = await streams.pace()
    const open = await gateway.memory()
    streams.close()

    const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(0)
    const perStream = ((open.usedBytes - idle.usedBytes) / STREAMS / 1024).toFixed(1)
    const told = ({ p50, p99 }: Pace) => `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`
    return [
      `${STREAMS} open streams, ${PER_SECOND} events a second each`,
      `  resident memory   ${mb(open.residentBytes)} MB (idle ${mb(idle.residentBytes)} MB): ${mb(open.residentBytes - idle.residentBytes)} MB for the streams; at most ${MOST_MB}`,
      `  in use            ${mb(open.usedBytes)} MB (idle ${mb(idle.usedBytes)} MB): ${perStream} KB per stream`,
      `  between events    ${told(pace)} (straight from the upstream: ${told(direct)})`,
      '',
    ].join('\n')
  } finally {
    await gateway.stop()
    await own.stop(upstream)
  }
}

async function opened(port: number) {
  const body = JSON.stringify({ model: 'streams', messages: [{ role: 'user', content: 'Hello' }], stream: true })
  const head = `POST ${CHAT_PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  const sockets: Socket[] = []
  const gaps: number[] = []
  let watching = false
  for (let at = 0; at < STREAMS; at++) {
    const socket = connect(port, '127.0.0.1')
    let last = 0
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      const now = performance.now()
      for (let end = chunk.indexOf(EVENT_END); end !== -1; end = chunk.indexOf(EVENT_END, end + 2)) {
        if (watching && last > 0) gaps.push(now - last)
        last = now
      }
    })
    socket.write(head + body)
    sockets.push(socket)
    await pause(BEGIN_MS / STREAMS)
  }
  return {
    async pace(): Promise<Pace> {
      watching = true
      await pause(WATCH_MS)
      watching = false
      const expected = (STREAMS * PER_SECOND * WATCH_MS) / 1_000
      if (gaps.length < expected * 0.8) throw new Error(`${gaps.length} events came, and about ${expected} should have`)
      gaps.sort((a, b) => a - b)
      return { p50: gaps[Math.floor(gaps.length * 0.5)]!, p99: gaps[Math.floor(gaps.length * 0.99)]! }
    },
    close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
