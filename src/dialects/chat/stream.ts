/*
 * A streamed answer in OpenAI's shape. What the provider wrote in this shape goes out as it came; only the usage event, which the
 * gateway always asks for, is kept from clients that did not. Everything else is written from the events.
 */
import type { ChatCall, ChatEvent, Piece, Usage } from '../../core/chat.ts'
import type { AnswerWriter } from '../../core/dialect.ts'
import type { Fault } from '../../core/fault.ts'
import { asObject, tryParse } from '../../core/json.ts'
import { errorBody, newAnswerId } from './shape.ts'
import { openAIUsage } from './usage.ts'

const DONE = Buffer.from('data: [DONE]\n\n')
const HEARTBEAT = Buffer.from(': ping\n\n')

export function streamWriter(call: ChatCall, createdMs: number): AnswerWriter {
  let created = Math.floor(createdMs / 1000)
  let id: string | undefined
  let model = call.model
  let usage: Usage | undefined
  /** The client has it already, in the provider's words. */
  let usageTold = false
  const begun = new Set<number>()
  /** Per choice, the reasoning since its last signature: a signature is worth nothing without the text it signs. */
  const unsigned = new Map<number, string>()

  function write(piece: Piece): Uint8Array | undefined {
    if (piece.wire !== undefined) {
      for (const event of piece.events) remember(event)
      return relay(piece, piece.wire, call.wantsUsage)
    }
    let text = ''
    for (const event of piece.events) text += write1(event)
    return text === '' ? undefined : Buffer.from(text)
  }

  /** What the client has been told in the provider's words: what we may have to add is of the same answer. */
  function remember(event: ChatEvent): void {
    if (event.type === 'start') {
      if (event.id !== '') id ??= event.id
      if (event.model !== '') model = event.model
      created = event.createdS ?? created
    } else if ('choice' in event) begun.add(event.choice)
    else if (event.type === 'usage') usageTold = true
  }

  function write1(event: ChatEvent): string {
    switch (event.type) {
      case 'start':
        remember(event)
        return ''
      case 'usage':
        usage = event.usage
        return ''
      case 'answer-recovered':
        return `: recovered by ${event.kind}${event.trail === undefined ? '' : `; x-understudy-trail: ${event.trail}`}\n\n`
      case 'text-delta':
        return delta(event.choice, { content: event.text })
      case 'refusal-delta':
        return delta(event.choice, { refusal: event.text })
      case 'reasoning-delta':
        return reasoning(event)
      case 'tool-start': {
        const { index, id: callId, name, extra } = event
        const tool = { index, id: callId, type: 'function', function: { name, arguments: '' }, ...extra }
        return delta(event.choice, { tool_calls: [tool] })
      }
      case 'tool-delta':
        return delta(event.choice, { tool_calls: [{ index: event.index, function: { arguments: event.json } }] })
      case 'extra-delta': {
        const { logprobs, ...fields } = event.fields
        return delta(event.choice, fields, logprobs === undefined ? {} : { logprobs })
      }
      case 'finish':
        return delta(event.choice, {}, event.raw === event.reason ? {} : { native_finish_reason: event.raw }, event.reason)
    }
  }

  function reasoning(event: ChatEvent & { type: 'reasoning-delta' }): string {
    const whole = (unsigned.get(event.choice) ?? '') + event.text
    unsigned.set(event.choice, event.signature === undefined ? whole : '')
    const fields: Record<string, unknown> = {}
    if (event.text !== '') fields.reasoning_content = event.text
    if (event.signature !== undefined)
      fields.reasoning_details = [{ type: 'reasoning.text', text: whole, signature: event.signature }]
    return delta(event.choice, fields)
  }

  function delta(choice: number, fields: object, ofChoice: object = {}, finish: string | null = null): string {
    let text = ''
    if (!begun.has(choice)) {
      begun.add(choice)
      text = chunk([{ index: choice, delta: { role: 'assistant', content: '', refusal: null }, finish_reason: null }])
    }
    return text + chunk([{ index: choice, delta: fields, finish_reason: finish, ...ofChoice }])
  }

  function chunk(choices: readonly object[], counted: object | null = null): string {
    id ??= newAnswerId()
    const body = { id, object: 'chat.completion.chunk', created, model, choices, ...(call.wantsUsage && { usage: counted }) }
    return `data: ${JSON.stringify(body)}\n\n`
  }

  return {
    write,
    end() {
      const counted = call.wantsUsage && !usageTold && usage !== undefined ? openAIUsage(usage) : undefined
      return counted === undefined ? DONE : Buffer.concat([Buffer.from(chunk([], counted)), DONE])
    },
    fail: (fault: Fault) => Buffer.from(`data: ${JSON.stringify(errorBody(fault))}\n\n`),
    heartbeat: () => HEARTBEAT,
  }
}

/** The provider's own bytes; where they hold a usage that the client did not ask for, without it. */
function relay(piece: Piece, wire: Uint8Array, wantsUsage: boolean): Uint8Array | undefined {
  if (wantsUsage || !piece.events.some(event => event.type === 'usage')) return wire
  const lines = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength)
    .toString('utf8')
    .split(/\r\n|\r|\n/)
  const data = lines
    .filter(line => line.startsWith('data:'))
    .map(line => line.slice(5))
    .join('\n')
  const body = asObject(tryParse(data))
  if (body === undefined) return wire
  const { usage: _, ...rest } = body
  if (Array.isArray(rest.choices) && rest.choices.length === 0) return undefined
  return Buffer.from(`data: ${JSON.stringify(rest)}\n\n`)
}
