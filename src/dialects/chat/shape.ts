/** What whole answers, streams and refusals of OpenAI's chat API have in common. */
import { randomBytes } from 'node:crypto'
import type { Fault } from '../../core/fault.ts'

export function newAnswerId(): string {
  return `chatcmpl-${randomBytes(15).toString('base64url')}`
}

/** OpenAI's error body: all four keys, always. */
export function errorBody(fault: Fault): { error: { message: string; type: string; param: string | null; code: string | null } } {
  return { error: { message: fault.message, type: fault.type, param: fault.details.param ?? null, code: fault.code } }
}
