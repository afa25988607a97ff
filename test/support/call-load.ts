/*
 * Calls at a steady rate, whatever becomes of the ones before: whole answers and streams, half of them over connections that are kept and
 * half over one of their own. It reads as the clients of providers do: who is refused with `x-should-retry: true` waits for as long as he is
 * told and asks again, twice at most, and that is counted. So is a kept connection that turns out to be closed when a call is sent over it,
 * which no server can rule out: it closes one that is idle, and the next call is already on its way. Anything else that is not the answer is
 * a failed call.
 */
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface CallLoad {
  /** Begins no more calls, and waits for those under way. */
  stop(): Promise<Loaded>
  /** So far, for who waits for some. */
  begun(): number
  /** Now. */
  underWay(): number
}

export interface Loaded {
  readonly answered: number
  /** How many of them were streams. */
  readonly streams: number
  /** Refusals that said that one should ask again, by their codes. */
  readonly asked: Readonly<Record<string, number>>
  /** Calls that were sent into a kept connection just as it was closed, and sent again. */
  readonly crossed: number
  /** What went wrong, by call. */
  readonly failed: readonly string[]
}

export interface CallLoadOptions {
  readonly url: string
  readonly perSecond: number
  /** What every answer says. */
  readonly text: string
  readonly model?: string
}

const MOST_TRIES = 3

export function callLoad({ url, perSecond, text, model = 'r' }: CallLoadOptions): CallLoad {
  const kept = new Agent({ keepAlive: true, maxSockets: 20 })
  const underWay = new Set<Promise<void>>()
  const asked: Record<string, number> = {}
  const failed: string[] = []
  let [answered, streams, begun, crossed] = [0, 0, 0, 0]

  async function call(number: number): Promise<void> {
    const stream = number % 3 === 0
    const body = JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Hello' }] })
    for (let tries = 1; ; tries++) {
      const answer = await post(`${url}/v1/chat/completions`, body, number % 2 === 0 ? kept : false)
      if (answer === 'crossed') {
        crossed++
        continue
      }
      const { status, headers, said } = answer
      if (status === 503 && headers['x-should-retry'] === 'true' && tries < MOST_TRIES) {
        const { code } = JSON.parse(said).error
        asked[code] = (asked[code] ?? 0) + 1
        await sleep(Number(headers['retry-after']) * 1_000)
        continue
      }
      const got = status === 200 ? textOf(said, stream) : `${status} ${said}`
      if (got !== text) throw new Error(got)
      answered++
      if (stream) streams++
      return
    }
  }

  function begin(): void {
    const number = begun++
    const one: Promise<void> = call(number)
      .catch((error: Error) => void failed.push(`call ${number}: ${error.message}`))
      .finally(() => underWay.delete(one))
    underWay.add(one)
  }

  const beganAt = performance.now()
  const timer = setInterval(() => {
    while (begun < ((performance.now() - beganAt) * perSecond) / 1_000) begin()
  }, 2)
  return {
    begun: () => begun,
    underWay: () => underWay.size,
    async stop() {
      clearInterval(timer)
      await Promise.all(underWay)
      kept.destroy()
      return { answered, streams, asked, crossed, failed }
    },
  }
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly said: string
}

function post(url: string, body: string, agent: Agent | false): Promise<Answer | 'crossed'> {
  return new Promise((resolve, reject) => {
    let isHeard = false
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const asked = request(url, { method: 'POST', agent, headers }, answer => {
      isHeard = true
      let said = ''
      answer.setEncoding('utf8')
      answer.on('data', chunk => (said += chunk))
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, said }))
      answer.on('error', reject)
    })
    asked.on('error', (error: Error & { code?: string }) => {
      if (asked.reusedSocket && error.code === 'ECONNRESET' && !isHeard) resolve('crossed')
      else reject(error)
    })
    asked.end(body)
  })
}

/** What an answer says; of one that is not whole, the whole of what came. */
function textOf(said: string, stream: boolean): string {
  if (!stream) return JSON.parse(said).choices[0].message.content
  if (!said.endsWith('data: [DONE]\n\n')) return said
  const events = said.split('\n\n').filter(event => event.startsWith('data: {'))
  return events.map(event => JSON.parse(event.slice(6)).choices[0]?.delta?.content ?? '').join('')
}
