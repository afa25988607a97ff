/** The provider of the streams section: each stream says a word every so often, for ever. */
import { createServer } from 'node:http'
import { announce } from './announce.ts'
import { PER_SECOND } from './streams.ts'

const chunk = (delta: object) =>
  Buffer.from(
    `data: ${JSON.stringify({
      id: 'chatcmpl-0123456789abcdefghijklmnopqrs',
      object: 'chat.completion.chunk',
      created: 1_760_000_000,
      model: 'small-1-2026-01-01',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: null }],
      usage: null,
    })}\n\n`,
  )
const FIRST = chunk({ role: 'assistant', content: 'A' })
const NEXT = chunk({ content: ' word' })

const server = createServer((req, res) => {
  req.resume()
  req.on('end', () => {
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    res.write(FIRST)
    const timer = setInterval(() => res.write(NEXT), 1_000 / PER_SECOND)
    res.once('close', () => clearInterval(timer))
  })
})
announce(server)
