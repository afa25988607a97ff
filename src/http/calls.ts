/*
 * Calls: the POSTs of the dialects. They come past Fastify, on the node:http server itself: what it makes for each request (two objects,
 * the turns of its hooks, an async resource and a parser around the body) is a good part of what the gateway costs. All that can be known
 * from the head is asked before a byte of the body is read: whether we take calls, who calls, and what is going to come.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dialect } from '../core/dialect.ts'
import { Fault, faultOf } from '../core/fault.ts'
import { chat } from '../dialects/chat/chat.ts'
import { serve } from '../gateway/journey.ts'
import type { Overload } from './overload.ts'
import { notJson, overloaded, packed, tooLarge } from './refusals.ts'
import type { Requests, UnderWay } from './requests.ts'
import type { Turns } from './turns.ts'

/** One line per dialect: where its calls come in. */
const CALLS: ReadonlyMap<string, Dialect> = new Map([['/v1/chat/completions', chat]])

/** @returns takes a request if it is a call, and says whether it is */
export function calls(
  requests: Requests,
  maxBodyBytes: number,
  turns: Turns,
  overload: Overload | undefined,
): (request: IncomingMessage, raw: ServerResponse) => boolean {
  function take(dialect: Dialect, request: IncomingMessage, raw: ServerResponse): void {
    const underWay = requests.begin(request, raw)
    try {
      requests.identify(underWay)
      checkHead(request, maxBodyBytes)
    } catch (thrown) {
      return requests.refuse(underWay, faultOf(thrown))
    }
    turns.take(() => begin(underWay, dialect))
  }

  function begin(underWay: UnderWay, dialect: Dialect): void {
    const { request, raw } = underWay
    // Nothing more is heard of a request whose client left while it waited.
    if (request.destroyed) return requests.refuse(underWay, new Fault('client-gone'))
    // Only who may call is asked for the rest of the body.
    if (request.headers.expect !== undefined) raw.writeContinue()
    readBody(underWay, dialect)
  }

  function readBody(underWay: UnderWay, dialect: Dialect): void {
    const { request } = underWay
    let chunks: Buffer[] = []
    let isOver = false
    const refuse = (fault: Fault) => {
      if (isOver) return
      isOver = true
      chunks = []
      requests.refuse(underWay, fault)
    }
    request.on('data', (chunk: Buffer) => {
      if (isOver) return
      requests.holds(underWay, chunk.length)
      if (underWay.bytes > maxBodyBytes) refuse(tooLarge(maxBodyBytes))
      // One that is alone is read, however little room there is.
      else if (overload?.isFull(requests.bytes()) && underWay.bytes < requests.bytes()) refuse(overloaded())
      else chunks.push(chunk)
    })
    request.on('end', () => {
      if (isOver) return
      isOver = true
      void answer(underWay, dialect, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
    })
    request.on('error', () => refuse(new Fault('client-gone')))
  }

  async function answer(underWay: UnderWay, dialect: Dialect, body: Buffer): Promise<void> {
    const { gateway, journey, request } = underWay
    journey.cacheControl = request.headers['cache-control']
    requests.answer(underWay, await serve(gateway, dialect, journey, request.headers, body))
  }

  return (request, raw) => {
    const dialect = request.method === 'POST' ? CALLS.get(pathOf(request.url!)) : undefined
    if (dialect === undefined) return false
    if (overload?.refuses(requests.size(), requests.bytes(), request, raw) !== true) take(dialect, request, raw)
    return true
  }
}

function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

/** Throws a Fault when it can be seen from the head that the body is none that we could read. */
function checkHead({ headers }: IncomingMessage, maxBodyBytes: number): void {
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') throw packed()
  const length = headers['content-length'] ?? (headers['transfer-encoding'] === undefined ? '0' : undefined)
  if (!isJson(headers['content-type'], length === '0')) throw notJson()
  if (Number(length) > maxBodyBytes) throw tooLarge(maxBodyBytes)
}

/** What has no body need not say what it is. */
function isJson(type: string | undefined, isEmpty: boolean): boolean {
  if (type === undefined) return isEmpty
  return type === 'application/json' || type.split(';', 1)[0]!.trim().toLowerCase() === 'application/json'
}
