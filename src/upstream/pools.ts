/*
 * Connections to upstreams. One pool per origin, never capped here (limits are ours to set elsewhere); HTTP/1.1 only, since undici's
 * HTTP/2 has crashed processes; and undici's coarse timers off, since ours decide. A socket that has answered before and dies under a
 * new request says nothing about the upstream (its keep-alive merely ran out), so such an error is marked as one of a reused connection.
 */
import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { Clock } from '../core/clock.ts'
import { Connections } from './connections.ts'

/** Requests written to each socket so far. */
const USES = Symbol('requests')
type Used = { [USES]?: number }
/** Errors of sockets that had carried another request before. */
const ofReused = new WeakSet<object>()

diagnostics.subscribe('undici:client:sendHeaders', message => {
  const { socket } = message as { socket: Used }
  socket[USES] = (socket[USES] ?? 0) + 1
})

export class ConnectTimeout extends Error {
  readonly code = 'CONNECT_TIMEOUT'
}

/** Whether the error killed a request on a connection that had been used before it. */
export const isOfReusedConnection = (error: object): boolean => ofReused.has(error)

export interface Pools {
  /** The pool whose connections to `origin` are kept and used again. */
  kept(origin: string, connectMs: number): Connections
  /** The pool that opens a new connection for every request. */
  fresh(origin: string, connectMs: number): Connections
  /** Closes those that are none of these, each when the last request on it is over. One that is asked for again is opened again. */
  keepOnly(used: readonly { readonly origin: string; readonly connectMs: number }[]): void
  close(): Promise<void>
}

const KEEP_ALIVE_MS = 60_000

export function pools(clock: Clock): Pools {
  const kept = family(clock, 1)
  const fresh = family(clock, 0)
  return {
    kept: kept.of,
    fresh: fresh.of,
    keepOnly(used) {
      for (const each of [kept, fresh]) each.keepOnly(used)
    },
    async close() {
      await Promise.all([...kept.all(), ...fresh.all()].map(pool => pool.destroy()))
    },
  }
}

/** One pool per origin and time to connect, kept by both: a key put together from them would cost a string per call. */
function family(clock: Clock, pipelining: 0 | 1) {
  const byOrigin = new Map<string, Map<number, Connections>>()
  return {
    of(origin: string, connectMs: number): Connections {
      let byTime = byOrigin.get(origin)
      if (byTime === undefined) {
        byTime = new Map()
        byOrigin.set(origin, byTime)
      }
      let pool = byTime.get(connectMs)
      if (pool === undefined) {
        pool = opened(clock, origin, connectMs, pipelining)
        byTime.set(connectMs, pool)
      }
      return pool
    },
    keepOnly(used: Parameters<Pools['keepOnly']>[0]): void {
      for (const [origin, byTime] of byOrigin) {
        for (const [connectMs, pool] of byTime) {
          if (used.some(each => each.origin === origin && each.connectMs === connectMs)) continue
          byTime.delete(connectMs)
          pool.close().catch(() => undefined)
        }
        if (byTime.size === 0) byOrigin.delete(origin)
      }
    },
    all: () => [...byOrigin.values()].flatMap(byTime => [...byTime.values()]),
  }
}

function opened(clock: Clock, origin: string, connectMs: number, pipelining: 0 | 1): Connections {
  return new Connections(origin, {
    allowH2: false,
    pipelining,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: connector(clock, connectMs),
  })
}

/** Connects with one timer over name resolution, TCP and TLS together. */
function connector(clock: Clock, connectMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: 0, allowH2: false })
  return (options, callback) => {
    let settled = false
    const settle: buildConnector.Callback = (...result) => {
      if (settled) return
      settled = true
      cancel()
      const socket = result[1]
      socket?.prependListener('error', error => {
        if (((socket as Used)[USES] ?? 0) > 1) ofReused.add(error)
      })
      callback(...result)
    }
    // undici's type says void, but the socket comes back before it is connected, and only it can be destroyed while it is not.
    const socket = connect(options, settle) as unknown as Socket
    const cancel = clock.after(connectMs, () => {
      settle(new ConnectTimeout(`no connection within ${connectMs} ms`), null)
      socket.destroy()
    })
  }
}
