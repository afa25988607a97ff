/** A GET that asks how somebody is: small, and soon over. */
import type { Clock } from '../core/clock.ts'
import type { Pools } from './pools.ts'

export interface Inquiry {
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly connectMs: number
  readonly timeoutMs: number
}

/** More than this of an answer is not read. */
const MOST_BYTES = 1024 * 1024

/** Rejects when there is no answer in time, or none at all. The text is cut off where it is too long. */
export async function inquire(
  pools: Pools,
  clock: Clock,
  { origin, path, headers, connectMs, timeoutMs }: Inquiry,
): Promise<{ readonly status: number; readonly text: string }> {
  const ending = new AbortController()
  const cancel = clock.after(timeoutMs, () => ending.abort(new Error(`not within ${timeoutMs} ms`)))
  try {
    const { statusCode, body } = await pools
      .kept(origin, connectMs)
      .request({ method: 'GET', path, headers, signal: ending.signal })
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > MOST_BYTES) break
    }
    return { status: statusCode, text: Buffer.concat(chunks).toString('utf8') }
  } finally {
    cancel()
  }
}
