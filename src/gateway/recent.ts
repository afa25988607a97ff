/*
 * The last calls, with their attempts, for operators. What is kept of a call is what its log line says, and no more: no prompt, no answer
 * and no key. The oldest makes room for the newest.
 */

/** What is said of a call when it is over. Anything that is undefined is not said. */
export interface CallRecord {
  readonly id: string
  readonly status: number
  readonly ending: string
  readonly route: string | undefined
  readonly client: string | undefined
  readonly attempts: readonly object[]
  readonly [field: string]: unknown
}

export interface Recent {
  /** @param failedOver whether another target was tried, or answered, in place of one that did not */
  keep(record: CallRecord, atMs: number, failedOver: boolean): void
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

/** Whether it holds words of a provider, which may be a few of a large text: that would stay in memory as long as they do. */
const quotes = ({ detail, attempts }: CallRecord) =>
  detail !== undefined || attempts.some(attempt => 'detail' in attempt && attempt.detail !== undefined)
const apart = (record: CallRecord): unknown => JSON.parse(JSON.stringify(record))

export function recent(): Recent {
  const ring: RecentCall[] = []
  let kept = 0
  const newestFirst = () => Array.from({ length: ring.length }, (_, back) => ring[(kept - 1 - back) % MOST]!)
  return {
    keep(record, atMs, failedOver) {
      ring[kept++ % MOST] = { record: quotes(record) ? (apart(record) as CallRecord) : record, atMs, failedOver }
    },
    list: ({ failedOver, route, client, status } = {}) =>
      newestFirst().filter(
        call =>
          (failedOver === undefined || call.failedOver === failedOver) &&
          (route === undefined || call.record.route === route) &&
          (client === undefined || call.record.client === client) &&
          (status === undefined || call.record.status === status),
      ),
    find: id => newestFirst().find(({ record }) => record.id === id),
  }
}
