/** Faults of HTTP itself, in the words of the fault table: what the server refuses before a call is one. */

import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import type { Dialect } from '../core/dialect.ts'
import { Fault, faultOf } from '../core/fault.ts'
import { chat } from '../dialects/chat/chat.ts'

/** What Fastify throws, as a Fault. */
export function httpFault(error: unknown, maxBodyBytes: number): Fault {
  if (error instanceof Fault) return error
  switch ((error as { code?: string }).code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return tooLarge(maxBodyBytes)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_CONTENT_TYPE':
      return notJson()
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Fault('bad-request', {
        message: 'The body is not as long as its content-length says.',
        code: 'invalid_content_length',
      })
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new Fault('bad-request', { message: 'The body is not valid JSON.', code: 'invalid_json' })
    case 'ECONNRESET':
    case 'ECONNABORTED':
      return new Fault('client-gone')
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Fault('bad-request', { message: 'The URL is not valid.', code: 'invalid_url' })
    default:
      return faultOf(error)
  }
}

export const tooLarge = (maxBodyBytes: number) =>
  new Fault('too-large', { message: `The request body is larger than ${maxBodyBytes} bytes, the most that is taken here.` })

export const notJson = () =>
  new Fault('bad-request', {
    status: 415,
    code: 'unsupported_media_type',
    message: 'The body must be JSON. Send it with "content-type: application/json".',
  })

/** A body that must be unpacked first: not taken, since a small one can come to fill the memory. */
export const packed = () =>
  new Fault('bad-request', {
    status: 415,
    code: 'unsupported_media_type',
    message: 'A compressed body is not taken here. Send it without "content-encoding".',
  })

export function noSuchUrl(method: string, url: string): Fault {
  const path = url.split('?', 1)[0]!.slice(0, 200)
  return new Fault('unknown-route', { message: `There is nothing at ${method} ${path}.`, code: 'not_found' })
}

export const overloaded = () =>
  new Fault('exhausted', {
    message: 'The gateway has more calls than it can answer at present. Try again.',
    code: 'overloaded',
    shouldRetry: true,
    retryAfterMs: 1_000,
  })

export const draining = () =>
  new Fault('exhausted', {
    message: 'The gateway is shutting down. Try again; another instance will answer.',
    code: 'draining',
    shouldRetry: true,
    retryAfterMs: 1_000,
  })

/** On the listener for operators. */
export function refuseAdmin(reply: FastifyReply, fault: Fault): FastifyReply {
  return reply
    .code(fault.status)
    .header('content-type', 'application/json; charset=utf-8')
    .header('x-request-id', randomUUID())
    .header('x-should-retry', 'false')
    .send(Buffer.from(chat.refusal(fault)))
}

/**
 * Answers what is no HTTP request, or came too slowly, on the bare socket, and closes it.
 * @param answering whether an answer is on its way over this socket, into which nothing else may be written
 */
export function refuseSocket(dialect: Dialect, error: Error & { code?: string }, socket: Socket, answering: boolean): void {
  if (socket.destroyed) return
  if (!socket.writable || answering || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const fault = socketFault(error.code)
  const body = Buffer.from(dialect.refusal(fault))
  const head = [
    `HTTP/1.1 ${fault.status} ${STATUS_CODES[fault.status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${body.length}`,
    `x-request-id: ${randomUUID()}`,
    'x-should-retry: false',
    'connection: close',
    '',
    '',
  ].join('\r\n')
  socket.end(Buffer.concat([Buffer.from(head), body]))
  // The rest of what it sends is not worth reading.
  socket.once('finish', () => socket.destroy())
}

function socketFault(code: string | undefined): Fault {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new Fault('bad-request', { status: 408, code: 'request_timeout', message: 'The request took too long to arrive.' })
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new Fault('bad-request', { status: 431, code: 'headers_too_large', message: 'The request headers are too large.' })
  }
  return new Fault('bad-request', { code: 'invalid_http', message: 'This is not a valid HTTP request.' })
}
