/** One small message to somebody who is no provider: what comes back matters by its status alone. */
import type { Clock } from '../core/clock.ts'
import { Fault } from '../core/fault.ts'
import { exchange } from './exchange.ts'
import type { Pools } from './pools.ts'

export interface Message {
  /** http:// or https://. */
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const CONNECT_MS = 2_000
/** From the beginning to the end of the answer. */
const WHOLE_MS = 10_000
const MOST_ANSWERED = 64 * 1024

/** Posts it and resolves with the status. Rejects with a Fault when there is none in time; what is answered besides is not looked at. */
export async function post(pools: Pools, clock: Clock, { url, headers, body }: Message): Promise<number> {
  const { origin, pathname, search } = new URL(url)
  const flat = Object.entries({ 'content-type': 'application/json', 'user-agent': 'understudy', ...headers }).flat()
  const sent = exchange(pools, { origin, path: pathname + search, headers: flat, body, connectMs: CONNECT_MS })
  const cancel = clock.after(WHOLE_MS, () =>
    sent.abort(new Fault('upstream-timeout', { detail: `no answer within ${WHOLE_MS} ms` })),
  )
  try {
    const { status } = await sent.head
    await sent.rest(MOST_ANSWERED)
    return status
  } finally {
    cancel()
  }
}
