/*
 * The last calls, with their attempts, for operators. What is kept of a call is what its log line says, and no more: no prompt, no answer
 * and no key. The oldest makes room for the newest.
 *
 * They are kept as the bytes of their JSON, which the garbage collector does not look at: as objects, a thousand calls would be copied by
 * each of its runs, and would leave what they were behind in the old space. They are asked for rarely.
 */

/** What is said of a call when it is over. */
export interface CallRecord {
  readonly id: string
  readonly status: number
  readonly ending: string
  readonly route?: string
  readonly client?: string
  readonly attempts: readonly object[]
  readonly [field: string]: unknown
}

export interface Recent {
  /**
   * @param json a CallRecord
   * @param failedOver whether another target was tried, or answered, in place of one that did not
   */
  keep(json: string, atMs: number, failedOver: boolean): void
  /** The newest first. */
  list(filter?: RecentFilter): readonly RecentCall[]
  /** The newest call of this id. */
  find(id: string): RecentCall | undefined
}

/** Undefined: any. */
export interface RecentFilter {
  readonly failedOver?: boolean | undefined
  readonly route?: string | undefined
  readonly client?: string | undefined
  readonly status?: number | undefined
}

export interface RecentCall {
  readonly record: CallRecord
  /** When it began, in milliseconds since 1970. */
  readonly atMs: number
  readonly failedOver: boolean
}

const MOST = 1_000
/** Places are made a little larger than what goes there, since the next call is a little larger still. */
const STEP_BYTES = 512
/** A place that was made for more than this is not kept for something small. */
const LARGE_BYTES = 16 * 1024

interface Place {
  bytes: Buffer
  length: number
  atMs: number
  failedOver: boolean
}

export function recent(): Recent {
  const ring: Place[] = []
  let kept = 0

  function placeFor(length: number): Place {
    const at = kept++ % MOST
    ring[at] ??= { bytes: Buffer.alloc(0), length: 0, atMs: 0, failedOver: false }
    const place = ring[at]
    if (place.bytes.length < length || (place.bytes.length > LARGE_BYTES && length <= LARGE_BYTES))
      place.bytes = Buffer.allocUnsafeSlow(Math.ceil(length / STEP_BYTES) * STEP_BYTES)
    return place
  }

  function* newestFirst(): Generator<RecentCall> {
    for (let back = 0; back < ring.length; back++) {
      const { bytes, length, atMs, failedOver } = ring[(kept - 1 - back) % MOST]!
      yield { record: JSON.parse(bytes.toString('utf8', 0, length)) as CallRecord, atMs, failedOver }
    }
  }

  return {
    keep(json, atMs, failedOver) {
      const place = placeFor(Buffer.byteLength(json))
      place.length = place.bytes.write(json)
      place.atMs = atMs
      place.failedOver = failedOver
    },
    list: ({ failedOver, route, client, status } = {}) =>
      [...newestFirst()].filter(
        call =>
          (failedOver === undefined || call.failedOver === failedOver) &&
          (route === undefined || call.record.route === route) &&
          (client === undefined || call.record.client === client) &&
          (status === undefined || call.record.status === status),
      ),
    find: id => newestFirst().find(({ record }) => record.id === id),
  }
}
