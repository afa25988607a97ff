/*
 * Who is told when something happens. What is told is put in line and sent from there, one message after the other for each receiver, so that
 * no call ever waits for one. A receiver that fails is tried again a few times, and one that is away loses the oldest of what waits for it.
 *
 * During an outage the same thing happens at every call. So of each event about the same subject the first is told at once, and then one a
 * minute at most, which says how often it was.
 */
import { createHmac, randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Log } from './log.ts'

export const WEBHOOK_EVENTS = ['circuit.opened', 'circuit.closed', 'route.exhausted', 'key.retired', 'budget.exhausted'] as const
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number]

export interface Receiver {
  readonly url: string
  /** Signs what is sent to it. */
  readonly secret: string | undefined
  readonly on: readonly WebhookEvent[]
}

export interface Webhooks {
  /** @param subject what it happened to, by names from the configuration */
  tell(event: WebhookEvent, subject: Readonly<Record<string, string>>): void
  /** Sends what is in line, without a second try and for a moment only. */
  close(): Promise<void>
}

export interface WebhookOptions {
  readonly receivers: readonly Receiver[]
  /** Posts a body of JSON and resolves with the status. */
  readonly send: (message: {
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }) => Promise<number>
  readonly clock: Clock
  readonly log: Log
}

/** The same about the same is not told more often. */
const QUIET_MS = 60_000
/** So many subjects are kept quiet at a time; beyond them nothing is told, since they come from callers. */
const MOST_QUIET = 1_000
const MOST_IN_LINE = 100
/** Before the second try, the third and so on. */
const PAUSES_MS = [1_000, 5_000, 25_000]
const CLOSE_MS = 2_000

/** Something that was told less than a minute ago. */
interface Quiet {
  /** How often it has happened since, and when it did last. */
  held: number
  lastMs: number
}

export function webhooks({ receivers, send, clock, log }: WebhookOptions): Webhooks {
  const quiet = new Map<string, Quiet>()
  const lines = receivers.map((receiver, index) => line(receiver, `webhooks[${index}]`, { send, clock, log }))
  const wanted = new Set(receivers.flatMap(({ on }) => on))

  function tell(event: WebhookEvent, subject: Readonly<Record<string, string>>): void {
    if (!wanted.has(event)) return
    const key = `${event} ${Object.values(subject).join(' ')}`
    const known = quiet.get(key)
    if (known !== undefined) {
      known.held++
      known.lastMs = clock.now()
    } else if (quiet.size < MOST_QUIET) told(key, event, subject, clock.now(), 1)
  }

  function told(key: string, event: WebhookEvent, subject: Readonly<Record<string, string>>, atMs: number, times: number): void {
    const body = JSON.stringify({ id: randomUUID(), event, at: new Date(atMs).toISOString(), ...subject, times })
    for (const each of lines) each.put(event, body)
    const now: Quiet = { held: 0, lastMs: atMs }
    quiet.set(key, now)
    clock.after(QUIET_MS, () => {
      if (now.held > 0) told(key, event, subject, now.lastMs, now.held)
      else quiet.delete(key)
    })
  }

  return {
    tell,
    async close() {
      let cancel = () => {}
      const enough = new Promise<void>(resolve => {
        cancel = clock.after(CLOSE_MS, resolve)
      })
      await Promise.race([Promise.all(lines.map(each => each.end())), enough])
      cancel()
    },
  }
}

interface Waiting {
  readonly event: WebhookEvent
  readonly body: string
}

/** What waits for one receiver. */
function line({ url, secret, on }: Receiver, name: string, { send, clock, log }: Omit<WebhookOptions, 'receivers'>) {
  const waiting: Waiting[] = []
  let running: Promise<void> | undefined
  let away = false
  let ending = false
  let skipPause = () => {}

  function put(event: WebhookEvent, body: string): void {
    if (ending || !on.includes(event)) return
    if (waiting.length >= MOST_IN_LINE) waiting.shift()
    waiting.push({ event, body })
    running ??= run()
  }

  async function run(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const trouble = await delivered(next)
      if (trouble !== undefined && !away) log.warn('webhook', { webhook: name, receiver: 'away', detail: trouble })
      if (trouble === undefined && away) log.info('webhook', { webhook: name, receiver: 'back' })
      away = trouble !== undefined
    }
    running = undefined
  }

  /** Undefined when it arrived; otherwise why it did not, the last time. */
  async function delivered(message: Waiting): Promise<string | undefined> {
    for (let tries = 0; ; tries++) {
      const trouble = await tried(message)
      const pauseMs = PAUSES_MS[tries]
      if (trouble === undefined || trouble.isFinal || pauseMs === undefined || ending) return trouble?.reason
      await new Promise<void>(resolve => {
        const cancel = clock.after(pauseMs, resolve)
        skipPause = () => {
          cancel()
          resolve()
        }
      })
    }
  }

  async function tried({ event, body }: Waiting): Promise<{ readonly reason: string; readonly isFinal: boolean } | undefined> {
    const headers = {
      'x-understudy-event': event,
      'x-understudy-timestamp': String(Math.floor(clock.now() / 1000)),
      ...(secret !== undefined && {
        'x-understudy-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      }),
    }
    try {
      const status = await send({ url, headers, body })
      if (status >= 200 && status <= 299) return undefined
      const isFinal = status < 500 && status !== 408 && status !== 429
      return { reason: `status ${status}`, isFinal }
    } catch (thrown) {
      // Its kind and no more: a message could name the address, which for some receivers is all the credential there is.
      return { reason: (thrown as { kind?: string }).kind ?? 'not sent', isFinal: false }
    }
  }

  return {
    put,
    async end() {
      ending = true
      skipPause()
      await running
    },
  }
}
