/*
 * The provider of the soak: short answers, whole and streamed, and one call in ten goes wrong: it is refused, refused for a while, garbled,
 * cut off before or after its first content, or its connection dies. Connections are closed soon after their last call, so that those
 * which the gateway still holds when nobody calls are too many.
 */
import { createServer, type ServerResponse } from 'node:http'
import { announce } from './announce.ts'

const FAULT_EVERY = 10
const IDLE_MS = 1_000

const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }
const head = { id: 'chatcmpl-soak', created: 1_760_000_000, model: 'small-1' }
const message = { role: 'assistant', content: 'It goes on.', refusal: null }
const ANSWER = JSON.stringify({
  ...head,
  object: 'chat.completion',
  choices: [{ index: 0, message, finish_reason: 'stop' }],
  usage,
})
const event = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
const EVENTS = [
  event({ role: 'assistant', content: 'It' }),
  event({ content: ' goes' }),
  event({ content: ' on.' }),
  event({}, 'stop'),
  `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices: [], usage })}\n\n`,
  'data: [DONE]\n\n',
]

function whole(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length }).end(text)
}

/** Piece by piece, each in a turn of its own. @param most so many, and then the connection dies */
function stream(res: ServerResponse, most = EVENTS.length): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  let at = 0
  const next = () => {
    if (at === EVENTS.length) res.end()
    else if (at === most) res.destroy()
    else {
      res.write(EVENTS[at++]!)
      setImmediate(next)
    }
  }
  next()
}

const FAULTS: readonly ((res: ServerResponse, streams: boolean) => void)[] = [
  res => res.writeHead(503, { 'content-length': 0 }).end(),
  res => res.writeHead(429, { 'retry-after-ms': '20', 'content-length': 0 }).end(),
  res => void res.destroy(),
  res => whole(res, '{"choices": ['),
  (res, streams) => (streams ? stream(res, 0) : whole(res, ANSWER.slice(1))),
  (res, streams) => (streams ? stream(res, 2) : void res.destroy()),
]

let calls = 0
const server = createServer((req, res) => {
  let streams = false
  req.on('data', (chunk: Buffer) => {
    streams ||= chunk.includes('"stream":true')
  })
  req.on('end', () => {
    const call = ++calls
    if (call % FAULT_EVERY === 0) FAULTS[(call / FAULT_EVERY) % FAULTS.length]!(res, streams)
    else if (streams) stream(res)
    else whole(res, ANSWER)
  })
})
announce(server)
server.keepAliveTimeout = IDLE_MS
