/**
 * The provider of the bench: answers at once with the same bytes, in two dialects, whole or as a stream with one event per write.
 * A whole answer takes as many milliseconds as the first argument says.
 */
import { createServer, type ServerResponse } from 'node:http'
import { announce } from './announce.ts'
import { DOWN_PATH, EVENT_EVERY_MS, MESSAGES_PATH, STREAM_EVENTS } from './rows.ts'

const CONTENT = 'A whole answer of ordinary length. '.repeat(18)
const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-0123456789abcdefghijklmnopqrs',
    object: 'chat.completion',
    created: 1_760_000_000,
    model: 'small-1-2026-01-01',
    choices: [
      { index: 0, message: { role: 'assistant', content: CONTENT, refusal: null }, logprobs: null, finish_reason: 'stop' },
    ],
    usage: {
      prompt_tokens: 250,
      completion_tokens: 160,
      total_tokens: 410,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
    system_fingerprint: 'fp_0123456789',
  }),
)
const MESSAGE = Buffer.from(
  JSON.stringify({
    id: 'msg_0123456789abcdefghijklmn',
    type: 'message',
    role: 'assistant',
    model: 'small-1-2026-01-01',
    content: [{ type: 'text', text: CONTENT }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 250, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 160 },
  }),
)

const LATENCY_MS = Number(process.argv[2] ?? 0)
const DONE = Buffer.from('data: [DONE]\n\n')
const EVENTS = Array.from({ length: STREAM_EVENTS }, (_, at) => event(at))

function event(at: number): Buffer {
  const delta = at === 0 ? { role: 'assistant', content: 'A', refusal: null } : at < STREAM_EVENTS - 1 ? { content: ' word' } : {}
  const chunk = {
    id: 'chatcmpl-0123456789abcdefghijklmnopqrs',
    object: 'chat.completion.chunk',
    created: 1_760_000_000,
    model: 'small-1-2026-01-01',
    service_tier: 'default',
    system_fingerprint: 'fp_0123456789',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: at === STREAM_EVENTS - 1 ? 'stop' : null }],
    usage: null,
  }
  return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`)
}

function stream(res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  let sent = 0
  const next = () => {
    if (sent < STREAM_EVENTS) return void res.write(EVENTS[sent++])
    clearInterval(timer)
    res.end(DONE)
  }
  const timer = setInterval(next, EVENT_EVERY_MS)
  next()
  res.once('close', () => clearInterval(timer))
}

const server = createServer((req, res) => {
  let streams = false
  req.on('data', (chunk: Buffer) => {
    streams ||= chunk.includes('"stream":true')
  })
  req.on('end', () => {
    if (req.url!.startsWith(DOWN_PATH)) return res.writeHead(503, { 'content-length': 0 }).end()
    if (streams) return stream(res)
    const body = req.url === MESSAGES_PATH ? MESSAGE : ANSWER
    const answer = () => void res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
    if (LATENCY_MS === 0) answer()
    else setTimeout(answer, LATENCY_MS)
  })
})
announce(server)
